"""The camera, for touch: aim, count down, look at it, use it or take it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from dermedge import CameraError, cameras

from ...aiming import Aiming, Failed
from ...language import _
from ...screens.camera import CameraPage
from ...session import Queue, Session

if TYPE_CHECKING:
    from ...aiming import Cancelled


class KioskCameraPage(CameraPage, inherit_bindings=False):
    """The ordinary application's page without its key bar, its help and its way to other pages."""

    CSS_PATH = ["../../screens/camera.tcss", "camera.tcss"]  # type: ignore[assignment]  # noqa: RUF012
    ALLOW_SELECT: ClassVar[bool] = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "count", show=False),
        Binding("enter", "use", show=False),
        Binding("space", "again", show=False),
    ]

    def __init__(self, camera: str | None) -> None:
        super().__init__(Session(), Queue(), touch=True)
        if camera:
            self._aiming = OneCamera(self.post_message, camera)

    def compose(self) -> ComposeResult:
        yield from self.body()

    def on_unmount(self) -> None:
        """What a page that was left still knows is nobody's business."""
        self._taken = None

    def _hint(self) -> Content:
        if self.state != "failed":
            return super()._hint()
        # What to do about it is the operator's business, and stands on the operator's page.
        told = _("The camera does not answer. It is looked for again by itself; if this stays, please tell the staff.")
        return Content.assemble(("✗ ", "bold $error"), told)


class OneCamera(Aiming):
    """The one that the operator chose, and no other."""

    def __init__(self, post: Callable[[Message], object], id: str) -> None:
        super().__init__(post)
        self._id = id

    def run(self, place: int, cancelled: Cancelled) -> None:
        """In the thread."""
        try:
            known = [camera.id for camera in cameras()]
            if self._id not in known:
                raise CameraError(f"the camera {self._id} is not there; known are {', '.join(known)}")
        except CameraError as error:
            self._post(Failed(error))
            return
        super().run(known.index(self._id), cancelled)
