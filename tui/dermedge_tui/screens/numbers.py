"""Every number behind an answer: steps, times, quality, scores, and the thresholds that were applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ..figures import sections
from ..language import N_
from ..messages import PageAsked
from ..page import Page
from ..session import Entry, Queue, Session
from ..widgets.profilebar import ProfileBar

if TYPE_CHECKING:
    from dermedge import Scanner


class NumbersPage(Page):
    """For who wants to check; in the runtime's own words, which are English."""

    CSS_PATH = "numbers.tcss"
    HELP = N_("Everything that the runtime reported about this photograph, unrounded where it matters.")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f12", "debug", N_("Debug")),
        Binding("c", "calibrate", N_("Calibration")),
    ]

    def __init__(self, session: Session, queue: Queue, number: int, scanner: Scanner | None) -> None:
        super().__init__(session, queue)
        self.number = number
        self._of: Entry | None = None
        """The entry that is shown."""
        self._scanner = scanner

    def body(self) -> ComposeResult:
        self._of = self.session.get(self.number)
        yield ProfileBar()
        with VerticalScroll(id="text"):
            for title, lines in sections(self._of, self._scanner) if self._of else ():
                yield Static(Content(title), classes="title")
                widest = max((len(name) for name, _value in lines), default=0)
                yield Static(Content("\n".join(f"{name:<{widest}}  {value}" for name, value in lines)))

    def filled(self) -> None:
        self.query_one("#text").focus()
        self.query_one(ProfileBar).tell(self._of.scan.profile if self._of else None)

    def watch_session(self) -> None:
        if self.is_mounted and self.session.get(self.number) is not self._of:
            self.refresh(recompose=True)

    def action_debug(self) -> None:
        self.post_message(PageAsked("debug", self.number))

    def action_calibrate(self) -> None:
        self.post_message(PageAsked("calibration", self.number))
