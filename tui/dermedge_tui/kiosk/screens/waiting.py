"""The photograph is being judged."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import LoadingIndicator, Static

from ...language import _
from ..page import KioskPage


class WaitingPage(KioskPage):
    """Left by itself as soon as there is an answer."""

    CSS_PATH: ClassVar[str] = "waiting.tcss"

    def body(self) -> ComposeResult:
        with Vertical(id="waiting"):
            yield Static(Content(_("Your photograph is being judged.")))
            yield LoadingIndicator()

    def choices(self) -> list[tuple[str, str]]:
        return [("done", _("Stop and forget"))]
