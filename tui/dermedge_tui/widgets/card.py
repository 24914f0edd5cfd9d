"""A photograph of the session as a card: thumbnail, day, level."""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ..language import day
from ..levels import short
from ..session import Entry
from .picture import Picture, View

WIDTH = 20
"""Columns."""


class Card(Vertical):
    """To be clicked; the timeline says which one is current."""

    DEFAULT_CSS = """
    Card { width: 1fr; height: 1fr; border: round $panel; }
    Card.-current { border: heavy $accent; }
    Card Static { height: auto; max-height: 2; text-align: center; width: 1fr; }
    Card .day { text-style: bold; }
    """

    @dataclass
    class Picked(Message):
        number: int

    def __init__(self, entry: Entry, *, current: bool, note: str = "", plain: bool = False) -> None:
        super().__init__(classes="-current" if current else "")
        self.entry = entry
        self._note = note
        self._plain = plain

    def compose(self) -> ComposeResult:
        unsure = "?" if self.entry.dated == "unknown" else ""
        yield Static(Content(f"{day(self.entry.taken)}{unsure}{self._note}"), classes="day")
        yield Picture()
        yield Static(Content(short(self.entry.scan.verdict.level, self._plain)))

    def on_mount(self) -> None:
        self.query_one(Picture).show(View(self.entry.scan))

    def on_click(self) -> None:
        self.post_message(self.Picked(self.entry.number))
