"""What this is, what it is not, whom it serves less well; and the person's word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from ...language import _
from ...messages import Agreed
from ..page import KioskPage
from ..widgets.reading import Reading


class ConsentPage(KioskPage):
    """The same texts that the ordinary application asks to agree to."""

    CSS_PATH: ClassVar[str] = "consent.tcss"
    PRIMARY = "agree"

    def __init__(self, texts: tuple[tuple[str, str], ...]) -> None:
        super().__init__()
        self._texts = texts

    def body(self) -> ComposeResult:
        yield Reading(*self._parts())

    def _parts(self) -> Iterator[Widget]:
        for title, text in self._texts:
            yield Static(Content(_(title)), classes="title")
            yield Static(Content(_(text)), classes="part")

    def choices(self) -> list[tuple[str, str]]:
        return [("done", _("No, thank you")), ("agree", _("I understand, and want to use it"))]

    def chose(self, id: str) -> None:
        self.post_message(Agreed())
