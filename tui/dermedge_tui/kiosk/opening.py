"""Opens the model while nobody is there yet, and closes the kiosk where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .screens.attract import AttractPage

if TYPE_CHECKING:
    from .app import KioskApp

AGAIN_AFTER = 60.0
"""Seconds between two tries: a pack may be repaired, or there is memory again."""


class Opening:
    """The first person does not wait, and a bad pack shows before anybody came."""

    def __init__(self, app: KioskApp) -> None:
        self._app = app
        self._station = app.station

    def begin(self) -> None:
        def work() -> None:
            trouble: Exception | None = None
            try:
                self._station.model()
            except Exception as error:
                trouble = error
            self._app.call_from_thread(self.ended, trouble)

        self._app.run_worker(work, thread=True, group="model")

    def again(self) -> None:
        if "pack" in self._station.troubles:
            self.begin()

    def ended(self, trouble: Exception | None) -> None:
        """Without an answer to give, nobody is invited."""
        if trouble is None:
            self._station.back("pack")
        else:
            self._station.lost("pack", trouble)
        if isinstance(invitation := self._app.screen_stack[1], AttractPage):
            invitation.tell(in_order=trouble is None)
