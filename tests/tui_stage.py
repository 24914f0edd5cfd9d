"""Plays the application as a person does: keys in, text on the screen out."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Static

from dermedge import Scanner
from dermedge.result import Crop
from dermedge_tui import preferences
from dermedge_tui.app import DermedgeApp
from dermedge_tui.preferences import NOTICE, Preferences

Play = Callable[["Stage"], Awaitable[None]]

LONGEST = 60
"""Seconds: what hangs is to fail a test, not to hang it."""


class HeldUp(Scanner):
    """Stops within a scan until it may go on, for what happens meanwhile."""

    begun: threading.Event
    go_on: threading.Event

    def crop(self, *given: Any, **options: Any) -> Crop:
        self.begun.set()
        assert self.go_on.wait(60)
        return super().crop(*given, **options)

    @classmethod
    def opener(cls, pack: Path) -> tuple[Callable[[], Scanner], threading.Event, threading.Event]:
        """Opens one, with the events that say that its scan has begun and that it may go on."""
        begun, go_on = threading.Event(), threading.Event()

        def open_scanner() -> Scanner:
            scanner = cls.open(pack)
            assert isinstance(scanner, HeldUp)
            scanner.begun, scanner.go_on = begun, go_on
            return scanner

        return open_scanner, begun, go_on


class Stage:
    """A running application."""

    def __init__(self, app: DermedgeApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def settle(self) -> None:
        """Until no thread works and no message waits, twice running: on a busy machine one may only be late."""
        calm, until = 0, time.monotonic() + LONGEST
        while calm < 2:
            await self.pilot.pause()
            working = [worker for worker in self.app.workers if not worker.is_finished]
            calm = 0 if working or self.app.queue.busy else calm + 1
            if not calm:
                assert time.monotonic() < until, f"still at work: {working}"
                await asyncio.sleep(0.02)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.settle()

    @property
    def page(self) -> str:
        return type(self.app.screen).__name__

    def text(self) -> str:
        """What stands on the screen, line by line."""
        height = self.app.size.height
        lines = self.app.screen._compositor.render_strips()
        return "\n".join(line.text for line in lines[:height])

    def said(self, selector: str) -> str:
        """What a part of the page says, whether it is scrolled into sight or not."""
        return " ".join(str(part.content) for part in self.app.screen.query(selector).results(Static))

    def words(self) -> str:
        """The same without pictures, frames and line breaks, so that wrapping does not matter."""
        return " ".join(re.sub(r"▸?[ ]\d (?=▀)|▀▸?\d |[▀▄▁▔▊▎│─╭╮╰╯┃━]", " ", self.text()).split())


def play(
    script: Play,
    pack: Path,
    *,
    folder: Path,
    given: Iterable[Path | str] = (),
    size: tuple[int, int] = (80, 24),
    agreed: bool = True,
    **options: Any,
) -> DermedgeApp:
    """Run the application on a tiny pack until the script has ended."""
    if agreed:
        preferences.save(Preferences(agreed=NOTICE), preferences.location())
    app = DermedgeApp(lambda: Scanner.open(pack), given=[str(path) for path in given], folder=str(folder), **options)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            stage = Stage(app, pilot)
            await stage.settle()
            await script(stage)

    asyncio.run(run())
    return app
