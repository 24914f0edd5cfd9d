"""The photographs on the stick, six at a time, by day and name; no folders and no paths."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.widgets import Static

from ...language import _, day
from ...messages import PhotosGiven
from ...phrases import printable
from ..page import KioskPage
from ..stick import OnStick, photographs
from ..widgets.choices import Choices, Target

SHOWN = 6
AGAIN_AFTER = 2.0
"""Seconds: a stick is plugged in while this page is open."""


class StickPage(KioskPage):
    """Looks in a thread: a slow stick must not stop the screen."""

    CSS_PATH: ClassVar[str] = "stick.tcss"

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self._found: list[OnStick] = []
        self._first = 0

    def body(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Grid(id="photographs"):
            for place in range(SHOWN):
                yield Target("", id=f"photograph-{place}")

    def choices(self) -> list[tuple[str, str]]:
        return [("newer", "▲"), ("older", "▼"), ("back", _("Back")), ("done", _("I am done"))]

    def filled(self) -> None:
        self._draw()
        self._look()
        self.set_interval(AGAIN_AFTER, self._look)

    def _look(self) -> None:
        def look() -> None:
            self.app.call_from_thread(self._seen, photographs(self._folder))

        self.run_worker(look, thread=True, exclusive=True, group="stick")

    def _seen(self, found: list[OnStick]) -> None:
        if found != self._found and self.is_mounted:
            self._found, self._first = found, 0
            self._draw()

    def _draw(self) -> None:
        shown = self._found[self._first : self._first + SHOWN]
        told = _("Touch your photograph.") if shown else _("Plug your stick in. Its photographs appear here.")
        self.query_one("#title", Static).update(Content(told))
        for place, target in enumerate(self.query("#photographs Target").results(Target)):
            target.display = place < len(shown)
            if target.display:
                when = day(date.fromtimestamp(shown[place].modified))
                target.label = Content(f"{when}\n{printable(shown[place].name)}")
        choices = self.query_one(Choices)
        choices.show("newer", self._first > 0)
        choices.show("older", self._first + SHOWN < len(self._found))

    def chose(self, id: str) -> None:
        if id in ("newer", "older"):
            self._first += SHOWN if id == "older" else -SHOWN
            self._draw()
        else:
            at = self._first + int(id.rpartition("-")[2])
            if at < len(self._found):
                self.post_message(PhotosGiven([self._found[at].path]))
