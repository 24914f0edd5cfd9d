"""Are you sure: what is forgotten cannot be brought back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from ..language import N_, _, n_
from ..messages import EntryForgotten, PageAsked
from ..page import Page
from ..session import Queue, Session


class ForgetPage(Page):
    """One photograph, or all of them where the number is 0."""

    CSS_PATH = "forget.tcss"
    HELP = N_("Forgetting concerns this session only: the file that the photograph came from stays where it is.")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "forget", N_("Forget")),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, session: Session, queue: Queue, number: int) -> None:
        super().__init__(session, queue)
        self.number = number

    def body(self) -> ComposeResult:
        count = 1 if self.number else len(self.session.entries)
        asked = n_(
            "Forget {count} photograph and its answer? It cannot be brought back.",
            "Forget {count} photographs and their answers? They cannot be brought back.",
            count,
        )
        with VerticalScroll(id="question", can_focus=False):
            yield Static(Content(asked.format(count=count)))
            yield Button(_("Keep"), id="keep", variant="primary")
            yield Button(_("Forget"), id="forget", variant="error")

    def filled(self) -> None:
        self.query_one("#keep").focus()

    def on_button_pressed(self, message: Button.Pressed) -> None:
        if message.button.id == "forget":
            self.action_forget()
        else:
            self.action_back()

    def action_forget(self) -> None:
        # In this order: a page that has closed delivers nothing any more.
        self.post_message(EntryForgotten(self.number))
        self.post_message(PageAsked("back"))
