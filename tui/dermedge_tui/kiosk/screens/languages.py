"""Which language: the first question, asked in all of them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.widgets import Button

from ...language import LANGUAGES, chosen
from ...messages import LanguageChosen, PageAsked
from ..page import KioskPage
from ..widgets.choices import Target


class LanguagesPage(KioskPage):
    """No other words on it: whoever needs one language cannot read the others."""

    CSS_PATH: ClassVar[str] = "languages.tcss"

    def body(self) -> ComposeResult:
        with Grid(id="languages"):
            for code, name in LANGUAGES.items():
                yield Target(Content(name), id=code, variant="primary" if code == chosen() else "default")

    def filled(self) -> None:
        self.query_one(f"#{chosen()}", Button).focus()

    def chose(self, id: str) -> None:
        self.post_message(LanguageChosen(id))
        self.post_message(PageAsked("consent"))
