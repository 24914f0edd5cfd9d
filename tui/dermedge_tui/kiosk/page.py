"""What every page of the kiosk shares: large targets, and no keys that lead out."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Button

from ..messages import PageAsked
from ..session import Session
from .messages import AnotherPhoto, Finished
from .widgets.choices import Choices


class KioskPage(Screen[None]):
    """`body` is what is shown, `choices` what can be touched below it: (id, words) from the left to the right."""

    AUTO_FOCUS = ""
    ALLOW_SELECT: ClassVar[bool] = False
    PRIMARY: ClassVar[str] = ""
    """The choice that most people want; it has the focus, so that Enter is enough."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-low"), (34, "-tall")]  # noqa: RUF012

    session: reactive[Session] = reactive(Session(), init=False)

    def __init__(self, session: Session = Session()) -> None:  # noqa: B008 - it is immutable
        super().__init__()
        self.set_reactive(KioskPage.session, session)

    def body(self) -> ComposeResult:
        yield from ()

    def choices(self) -> list[tuple[str, str]]:
        return []

    def filled(self) -> None:
        """Called when the widgets are there."""

    def chose(self, id: str) -> None:
        """A choice of this page's own was touched."""

    def compose(self) -> ComposeResult:
        yield from self.body()
        if choices := self.choices():
            yield Choices(choices, self.PRIMARY)

    def on_mount(self) -> None:
        self.filled()
        for button in self.query(f"Choices #{self.PRIMARY}" if self.PRIMARY else "Choices Button").results(Button):
            button.focus()
            break

    def on_unmount(self) -> None:
        """What a page that was left still knows is nobody's business."""
        self.set_reactive(KioskPage.session, Session())

    def on_button_pressed(self, message: Button.Pressed) -> None:
        message.stop()
        id = message.button.id or ""
        if id == "done":
            self.post_message(Finished())
        elif id == "back":
            self.post_message(PageAsked("back"))
        elif id == "another":
            self.post_message(AnotherPhoto())
        else:
            self.chose(id)
