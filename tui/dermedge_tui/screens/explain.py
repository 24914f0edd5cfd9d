"""What the heat map shows and what it does not, beside the heat map itself."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from .. import phrases
from ..language import N_, _
from ..page import Page
from ..session import Queue, Session
from ..widgets.picture import Picture, View

TEXTS: tuple[str, ...] = (
    N_("The colours run from blue (weak) to yellow (strong). Where nothing is coloured, nothing spoke for it."),
    N_("It shows what the computer looked at. It does not show where the disease is, or how far it reaches."),
    N_("A heat map beside the spot, on hair, on a ruler or on a pen mark, is a reason to trust the answer less."),
    N_("A heat map right on the spot is no proof that the answer is right."),
)


class ExplainPage(Page):
    """About the lesion that was looked at."""

    CSS_PATH = "explain.tcss"
    HELP = N_("The heat map comes from the same look that gave the answer, not from a second opinion.")
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, session: Session, queue: Queue, number: int, at: int) -> None:
        super().__init__(session, queue)
        entry = session.get(number)
        lesions = entry.scan.lesions if entry else ()
        self._entry = entry
        self._lesion = lesions[min(at, len(lesions) - 1)] if lesions else None

    def body(self) -> ComposeResult:
        with Horizontal(id="middle"):
            yield Picture(id="picture")
            with VerticalScroll(id="text"):
                heat = self._lesion.saliency if self._lesion else None
                if heat and self._entry:
                    name = phrases.condition(heat.condition, self._entry.names.get(heat.condition, heat.condition))
                    told = _("The heat map shows which parts of the picture spoke for: {condition}.")
                    yield Static(Content(told.format(condition=name)), classes="first")
                for text in TEXTS:
                    yield Static(Content(_(text)))

    def filled(self) -> None:
        if self._entry and self._lesion and self._lesion.saliency:
            region = self._lesion.saliency.region
            self.query_one(Picture).show(View(self._entry.scan, region, boxes=False, heat=True))
        self.query_one("#text").focus()
