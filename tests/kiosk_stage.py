"""Plays the kiosk as strangers and operators do: touches and keys in, text on the screen out."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual import events
from textual.pilot import Pilot
from textual.widget import Widget

import tui_stage
from dermedge import Frame, Photo, Scan, Scanner
from dermedge_tui.kiosk import pin
from dermedge_tui.kiosk.app import KioskApp
from dermedge_tui.kiosk.settings import Files, Settings
from dermedge_tui.kiosk.station import Model, Station
from dermedge_tui.session import Entry, Job, Shot

PIN = "271828"
KEPT_PIN = pin.hashed(PIN)

LONGEST = 300
"""Seconds for a whole play, on a busy machine."""


class Clock:
    """The kiosk's own, turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class KioskStage(tui_stage.Stage):
    """A running kiosk."""

    app: KioskApp
    pilot: Pilot[int]

    def __init__(self, app: KioskApp, pilot: Pilot[int], clock: Clock) -> None:
        self.app, self.pilot, self.clock = app, pilot, clock

    async def touch(self, what: str | tuple[int, int]) -> None:
        """Through the driver, as a finger on the screen comes: in the middle of a widget, or at a place."""
        if isinstance(what, str):
            region = self.app.screen.query_one(what, Widget).region
            what = (region.x + region.width // 2, region.y + region.height // 2)
        await self.tap(what)
        await self.settle()

    async def tap(self, place: tuple[int, int]) -> None:
        """The same without waiting for what comes of it."""
        driver = self.app._driver
        assert driver is not None
        for kind in (events.MouseDown, events.MouseUp):
            driver.send_message(kind(None, *place, 0, 0, 1, False, False, False, *place))
            await self.pilot.pause()

    async def knock(self) -> None:
        """The hidden corner."""
        for _ in range(5):
            await self.touch((1, 1))

    async def enter(self, digits: str = PIN) -> None:
        for digit in digits:
            await self.touch(f"#digit-{digit}")
        await self.touch("#enter")

    async def to_the_camera(self) -> None:
        await self.touch((40, 20))
        await self.touch("#en")
        await self.touch("#agree")

    async def photograph(self, file: Path) -> None:
        """As the camera's page hands it on."""
        from dermedge_tui.messages import PhotoTaken

        self.app.post_message(PhotoTaken(Shot("camera", file.read_bytes())))
        await self.settle()

    async def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        await asyncio.sleep(0.3)
        await self.settle()


PERSONAL = (Photo, Scan, Frame, Entry, Job, Shot)


def alive() -> Counter[str]:
    """How much there is in memory of anybody's photographs and answers; other tests may have left some."""
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, PERSONAL))


Play = Callable[[KioskStage], Awaitable[None]]


def station(folder: Path, pack: Path, **settings: Any) -> Station:
    files = Files(folder / "kiosk.json")
    return Station(Settings(pin=KEPT_PIN, **settings), files, Model(lambda: Scanner.open(pack)), str(pack))


def play(script: Play, at: Station, *, size: tuple[int, int] = (80, 24)) -> KioskApp:
    clock = Clock()
    app = KioskApp(at, clock)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            stage = KioskStage(app, pilot, clock)
            await stage.settle()
            await script(stage)

    asyncio.run(asyncio.wait_for(run(), LONGEST))
    return app
