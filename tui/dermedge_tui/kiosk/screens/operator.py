"""The operator's page, behind the PIN: how the box is, what was counted, and the few things that can be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from ...language import _
from ...messages import PageAsked
from ..messages import ExaminationAsked, LeaveAsked
from ..page import KioskPage
from ..widgets.reading import Reading

Row = tuple[str, ...]


class OperatorPage(KioskPage):
    """Rows of name and value under headings."""

    CSS_PATH: ClassVar[str] = "operator.tcss"

    def body(self) -> ComposeResult:
        yield Reading(Static(Content(_("One moment ..."))))

    def filled(self) -> None:
        self.post_message(PageAsked("health"))

    def choices(self) -> list[tuple[str, str]]:
        return [
            ("health", _("Health and counts")), ("doctor", _("Run the doctor")), ("newpin", _("Change the PIN")),
            ("leave", _("Quit the kiosk")), ("done", _("Back to the kiosk")),
        ]

    def tell(self, sections: Sequence[tuple[str, Sequence[Row]]]) -> None:
        parts: list[Widget] = []
        for title, rows in sections:
            parts.append(Static(Content(title), classes="title"))
            for name, *values in rows:
                cells = [Static(Content(value), classes="number" if values[1:] else "value") for value in values]
                parts.append(Horizontal(Static(Content(name), classes="name"), *cells))
        text = self.query_one(Reading).text
        text.remove_children()
        text.mount_all(parts)
        text.scroll_home(animate=False)

    def busy(self) -> None:
        self.tell([(_("One moment ..."), ())])

    def chose(self, id: str) -> None:
        if id == "doctor":
            self.post_message(ExaminationAsked())
        elif id == "leave":
            self.post_message(LeaveAsked())
        else:
            self.post_message(PageAsked(id))
