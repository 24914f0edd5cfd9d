"""The finding as a code to photograph with a phone, and in the same words beside it."""

from __future__ import annotations

import os
from datetime import date
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from ... import charset
from ...language import _
from ...session import Session
from .. import takeaway
from ..page import KioskPage
from ..widgets.choices import Target
from ..widgets.code import Code
from ..widgets.reading import Reading


class TakeawayPage(KioskPage):
    """The code needs the screen's whole height, so that what can be touched stands beside it."""

    CSS_PATH: ClassVar[str] = "takeaway.tcss"

    def __init__(self, session: Session, number: int) -> None:
        super().__init__(session)
        entry = session.get(number)
        self._words = takeaway.words(entry.scan.verdict.level, date.today()) if entry else ""

    def body(self) -> ComposeResult:
        with Horizontal(id="takeaway"):
            with Vertical(id="said"):
                yield Reading(
                    Static(Content(_("Point your phone's camera at the code. It holds these words and nothing else:"))),
                    Static(Content(self._words), id="words"),
                    Static(Content(_("This screen cannot show the code.")), id="missing"),
                )
                yield Target(Content(_("Back")), id="back")
                yield Target(Content(_("I am done")), id="done", variant="primary")
            with Vertical(id="place"):
                yield Code(takeaway.modules(self._words), id="code")

    def filled(self) -> None:
        self.query_one("#done").focus()
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        for code in self.query("#code").results(Code):
            shown = code.fit(self.size.height) and self._shows_squares()
            code.display = shown
            self.query_one("#missing").display = not shown

    def _shows_squares(self) -> bool:
        """Without half cells, or without black and white, there is nothing that a phone could read."""
        plain = bool(getattr(self.app, "plain", False))
        return charset.shown("▀▄", plain) and not os.environ.get("NO_COLOR")
