"""The answer: the photograph, the level, what was seen and what to do."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from ...language import _
from ...messages import PageAsked
from ...session import Entry, Session
from ...widgets.banner import Banner
from ...widgets.finding import Finding
from ...widgets.picture import View
from ..page import KioskPage
from ..widgets.choices import Choices
from ..widgets.photograph import Photograph
from ..widgets.reading import Reading


class ResultPage(KioskPage):
    """Which spot is shown is this page's own; the answer is the session's."""

    CSS_PATH: ClassVar[str] = "result.tcss"
    PRIMARY = "takeaway"

    def __init__(self, session: Session, number: int) -> None:
        super().__init__(session)
        self._number = number
        self._at = self._entry.worst if self._entry else 0

    @property
    def _entry(self) -> Entry | None:
        return self.session.get(self._number)

    def body(self) -> ComposeResult:
        yield Banner(id="banner", markup=False)
        with Horizontal(id="middle"):
            yield Photograph(id="picture")
            yield Reading(text=Finding(id="finding"))

    def choices(self) -> list[tuple[str, str]]:
        return [
            ("next", _("Next spot")), ("questions", _("Questions")), ("explain", _("Explain")),
            ("another", _("Another photo")), ("takeaway", _("Take away")), ("done", _("I am done")),
        ]

    def filled(self) -> None:
        entry = self._entry
        if entry is None or not self.query("#banner"):
            return
        lesions = entry.scan.lesions
        lesion = lesions[self._at % len(lesions)] if lesions else None
        self.query_one(Banner).tell(entry.scan.verdict.level)
        self.query_one(Photograph).show(View(entry.scan, current=lesion.number if lesion else 0))
        self.query_one(Finding).tell(entry, lesion, bool(getattr(self.app, "plain", False)))
        choices = self.query_one(Choices)
        choices.show("next", len(lesions) > 1)
        choices.show("explain", bool(lesions))

    def watch_session(self) -> None:
        if self.is_mounted:
            self.filled()

    def chose(self, id: str) -> None:
        if id == "next":
            self._at += 1
            self.filled()
        else:
            self.post_message(PageAsked(id, self._number, self._at))
