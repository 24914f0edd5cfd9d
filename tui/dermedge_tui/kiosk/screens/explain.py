"""What the heat map shows and what it does not, beside the heat map itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from dermedge import Saliency

from ... import phrases
from ...language import _
from ...session import Entry, Session
from ...widgets.picture import View
from ..page import KioskPage
from ..widgets.photograph import Photograph
from ..widgets.reading import Reading


class ExplainPage(KioskPage):
    """The same words as in the ordinary application."""

    CSS_PATH: ClassVar[str] = "explain.tcss"
    PRIMARY = "back"

    def __init__(self, session: Session, number: int, at: int, texts: tuple[str, ...]) -> None:
        super().__init__(session)
        self._number = number
        self._at = at
        self._texts = texts

    @property
    def _entry(self) -> Entry | None:
        return self.session.get(self._number)

    @property
    def _heat(self) -> Saliency | None:
        lesions = self._entry.scan.lesions if self._entry else ()
        return lesions[self._at % len(lesions)].saliency if lesions else None

    def body(self) -> ComposeResult:
        with Horizontal(id="middle"):
            yield Photograph(id="picture")
            yield Reading(*self._parts())

    def _parts(self) -> Iterator[Widget]:
        entry, heat = self._entry, self._heat
        if entry and heat:
            name = phrases.condition(heat.condition, entry.names.get(heat.condition, heat.condition))
            told = _("The heat map shows which parts of the picture spoke for: {condition}.")
            yield Static(Content(told.format(condition=name)), classes="first")
        for text in self._texts:
            yield Static(Content(_(text)))

    def choices(self) -> list[tuple[str, str]]:
        return [("back", _("Back")), ("done", _("I am done"))]

    def filled(self) -> None:
        entry, heat = self._entry, self._heat
        if entry and heat:
            self.query_one(Photograph).show(View(entry.scan, heat.region, boxes=False, heat=True))
