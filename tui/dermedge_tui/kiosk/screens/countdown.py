"""Is anybody there: the seconds until everything is forgotten."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click, Key
from textual.widgets import Static

from ...language import _, n_
from ..page import KioskPage


class CountdownPage(KioskPage):
    """Any touch and any key stop it, and do nothing else."""

    CSS_PATH: ClassVar[str] = "countdown.tcss"

    def __init__(self, left: int) -> None:
        super().__init__()
        self._left = left

    def body(self) -> ComposeResult:
        with Vertical(id="countdown"):
            yield Static(Content(_("Are you still there?")), id="asked")
            yield Static(id="left", markup=False)
            yield Static(Content(_("Touch the screen or press any key to go on.")), id="hint")

    def filled(self) -> None:
        self.tell(self._left)

    def tell(self, left: int) -> None:
        self._left = left
        told = n_("Everything is forgotten in {count} second.", "Everything is forgotten in {count} seconds.", left)
        for line in self.query("#left").results(Static):
            line.update(told.format(count=left))

    def on_key(self, event: Key) -> None:
        event.stop()
        self.dismiss()

    def on_click(self, event: Click) -> None:
        event.stop()
        self.dismiss()
