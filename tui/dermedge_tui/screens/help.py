"""What a page is for, and its keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ..language import N_, _
from ..page import Page
from ..session import Queue, Session

GENERAL = N_(
    "Photographs can be dropped on this window at any time. F3 changes the colours, F2 the language. "
    "Nothing is sent anywhere, and nothing is kept when you leave."
)


class HelpPage(Page):
    """Made for the page that it was asked from."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "back", N_("Back"), show=False)]

    def __init__(self, session: Session, queue: Queue, about: str, keys: list[tuple[str, str]]) -> None:
        super().__init__(session, queue)
        self._about = about
        self._keys = keys

    def body(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(Content(_("Help")), classes="title")
            yield Static(Content(_(self._about)))
            widest = max((len(key) for key, _what in self._keys), default=0)
            rows = [
                Content.assemble((f"{key:>{widest}}  ", "bold $accent"), _(what)) for key, what in self._keys
            ]
            yield Static(Content("\n").join(rows))
            yield Static(Content(_(GENERAL)))

    def filled(self) -> None:
        self.query_one("#help").focus()
