"""The day a photograph was taken, corrected by hand."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from ..language import N_, _
from ..messages import DateCorrected, PageAsked
from ..page import Page
from ..session import Queue, Session


class CorrectDatePage(Page):
    """In the one order of year, month and day that means the same everywhere."""

    CSS_PATH = "correct_date.tcss"
    HELP = N_("Type the day as year, month and day with dashes, such as 2026-03-09.")
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, session: Session, queue: Queue, number: int) -> None:
        super().__init__(session, queue)
        self.number = number
        entry = session.get(number)
        self._typed = entry.taken.isoformat() if entry else ""

    def body(self) -> ComposeResult:
        with VerticalScroll(id="date", can_focus=False):
            yield Static(Content(_("When was this photograph taken? Year-month-day:")))
            yield Input(self._typed, id="day", max_length=10, restrict=r"[0-9-]*")
            yield Static(id="wrong", markup=False)

    def filled(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self, message: Input.Changed) -> None:
        self._typed = message.value

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        try:
            taken = date.fromisoformat(message.value)
        except ValueError:
            self.query_one("#wrong", Static).update(_("That is no day; write it like 2026-03-09."))
            return
        if taken > date.today():
            self.query_one("#wrong", Static).update(_("That day is still to come."))
            return
        self.post_message(DateCorrected(self.number, taken))
        self.post_message(PageAsked("back"))
