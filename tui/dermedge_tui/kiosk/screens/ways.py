"""Where the photograph comes from, where the operator allows more than the camera."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from ...language import _
from ...messages import PageAsked
from ..page import KioskPage
from ..widgets.choices import Target


class WaysPage(KioskPage):
    """Two ways, one touch."""

    CSS_PATH: ClassVar[str] = "ways.tcss"

    def body(self) -> ComposeResult:
        yield Static(Content(_("Where is your photograph?")), id="title")
        with Horizontal(id="ways"):
            yield Target(Content(_("I take it here, with the camera")), id="camera", variant="primary")
            yield Target(Content(_("It is on my stick")), id="stick")

    def choices(self) -> list[tuple[str, str]]:
        return [("done", _("I am done"))]

    def filled(self) -> None:
        self.query_one("#camera").focus()

    def chose(self, id: str) -> None:
        self.post_message(PageAsked(id))
