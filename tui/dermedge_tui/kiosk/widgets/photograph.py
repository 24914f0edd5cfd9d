"""A picture of a person's skin, which knows nothing of it any more once its page is left."""

from __future__ import annotations

from ...widgets.picture import Picture


class Photograph(Picture):
    """The toolkit may hold on to a widget for a while after its page is gone: the last one that was touched, say."""

    def on_unmount(self) -> None:
        self._view = self._asked = None
        self._lines = []
