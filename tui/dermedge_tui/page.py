"""What every screen shares: it shows the session it is given, and asks the application by messages."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.screen import Screen

from .language import N_
from .messages import PageAsked, TextPasted
from .session import Queue, Session
from .widgets.keybar import KeyBar


class Page(Screen[None]):
    """A screen; `filled` puts what is known into its widgets, also after a change of language."""

    AUTO_FOCUS = ""
    """Each page says itself what is focused first, in `filled`."""
    HELP: ClassVar[str] = ""
    """What this page is for, in a few sentences; the keys are added to it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", N_("Back")),
        Binding("question_mark", "help", N_("Help"), key_display="?"),
    ]
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012
        (0, "-tiny"), (40, "-narrow"), (80, "-normal"), (120, "-wide"),
    ]
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012
        (0, "-flat"), (12, "-low"), (24, "-high"), (40, "-tall"),
    ]

    session: reactive[Session] = reactive(Session(), init=False)
    queue: reactive[Queue] = reactive(Queue(), init=False)

    def __init__(self, session: Session, queue: Queue) -> None:
        super().__init__()
        self.set_reactive(Page.session, session)
        self.set_reactive(Page.queue, queue)

    def body(self) -> ComposeResult:
        """The page between the edges."""
        yield from ()

    def filled(self) -> None:
        """Called when the widgets are there."""

    def compose(self) -> ComposeResult:
        yield from self.body()
        yield KeyBar()

    def on_mount(self) -> None:
        self.filled()

    async def recompose(self) -> None:
        focused = self.focused.id if self.focused else None
        await super().recompose()
        if not self.query(KeyBar):  # the page was left meanwhile
            return
        self.filled()
        if focused and (again := self.query(f"#{focused}")):
            again.first().focus(scroll_visible=False)

    def action_back(self) -> None:
        self.post_message(PageAsked("back"))

    def action_help(self) -> None:
        self.post_message(PageAsked("help"))

    def on_paste(self, event: object) -> None:
        """A drop is welcome everywhere."""
        text = getattr(event, "text", "")
        if text:
            self.post_message(TextPasted(text))
