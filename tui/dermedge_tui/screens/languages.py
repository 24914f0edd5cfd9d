"""The languages, each in its own words."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ..language import LANGUAGES, N_, chosen
from ..messages import LanguageChosen, PageAsked
from ..page import Page


class LanguagesPage(Page):
    """Enter changes everything on the screen."""

    CSS_PATH = "languages.tcss"
    HELP = N_("Choose a language with the arrow keys and Enter.")
    BINDINGS: ClassVar[list[BindingType]] = []

    def body(self) -> ComposeResult:
        yield OptionList(*(Option(Content(name), id=code) for code, name in LANGUAGES.items()), id="languages")

    def filled(self) -> None:
        options = self.query_one(OptionList)
        options.focus()
        options.highlighted = list(LANGUAGES).index(chosen())

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self.post_message(LanguageChosen(message.option.id or "en"))
        self.post_message(PageAsked("back"))
