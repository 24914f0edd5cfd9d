"""A photograph could not be judged: why, and another try."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from ...language import _
from ..page import KioskPage
from ..widgets.reading import Reading


class AgainPage(KioskPage):
    """`why` is already in the person's language."""

    CSS_PATH: ClassVar[str] = "again.tcss"
    PRIMARY = "another"

    def __init__(self, why: str) -> None:
        super().__init__()
        self._why = why

    def body(self) -> ComposeResult:
        yield Reading(
            Static(Content(_("This photograph could not be judged.")), id="title"),
            Static(Content(self._why)),
        )

    def choices(self) -> list[tuple[str, str]]:
        return [("another", _("Try again")), ("done", _("I am done"))]
