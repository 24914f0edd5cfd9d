"""Every page in three sizes, to the cell: what was not meant to change has not. `make snapshots` writes them anew."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import MappingProxyType

import pytest

import dermedge_tui
import kiosk_stage
import tiny_camera
import tiny_pack
from dermedge import scanner
from dermedge.clock import Clock
from dermedge_tui import language
from dermedge_tui.kiosk.screens import takeaway
from dermedge_tui.messages import DateCorrected
from dermedge_tui.session import Session
from snapshots import grid, joined
from tui_stage import Stage, play

KEPT = Path(__file__).parent / "snapshots"
WRITE = bool(os.environ.get("DERMEDGE_WRITE_SNAPSHOTS"))
SIZES = ((80, 24), (120, 40), (200, 60))
SCREENS = Path(dermedge_tui.__file__).parent / "screens"
OTHERWISE_CALLED = {"date": "correct_date", "pin": "pinpad"}
NOON = 1_772_366_400
"""On the first of March 2026, in most of the world."""

ABOUT_THE_FIRST = ("questions", "explain", "debug", "calibration", "numbers", "timeline", "date", "forget")
ALONE = ("help", "languages", "profiles", "camera")
DESK = ("welcome", "home", "result", *ABOUT_THE_FIRST, *ALONE, "compare", "queue")
KIOSK = (
    "attract", "languages", "consent", "camera", "ways", "stick", "again", "result", "questions", "explain", "takeaway",
    "countdown", "pin",
)
"""Not the operator's page of health: it is about the machine."""
NAMES = (*DESK, *(f"kiosk-{name}" for name in KIOSK))
Seen = dict[str, dict[tuple[int, int], str]]


class Measured(Clock):
    """A time of one more digit is one cell wider, and would move what lies beside it."""

    def read(self) -> MappingProxyType[str, float]:
        return MappingProxyType(dict.fromkeys(super().read(), 0.0042))


class Then(date):
    """The code to take away holds the day of the screening."""

    @classmethod
    def today(cls) -> Then:
        return cls(2026, 3, 1)


@pytest.fixture(scope="module")
def spots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An arm with two spots, a mole, and a file that is no photograph, all of one day."""
    folder = tmp_path_factory.mktemp("spots")
    skin = tiny_pack.skin_with_spots
    skin(("melanoma", 120, 130, 50), ("melanocytic-nevus", 300, 150, 40), size=(400, 250)).save(folder / "arm.png")
    skin(("melanocytic-nevus", 128, 128, 50)).save(folder / "mole.png")
    (folder / "broken.jpg").write_bytes(b"no picture at all")
    for age, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (NOON - 60 * age, NOON - 60 * age))
    return folder


@pytest.fixture(scope="module")
def seen(pack: Path, spots: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """All pages, walked through once in every size."""
    found: Seen = {name: {} for name in NAMES}
    language.choose("en")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(takeaway, "date", Then)
        patch.setattr(scanner, "Clock", Measured)
        no_camera = tmp_path_factory.mktemp("board")
        tiny_camera.board(no_camera, patch)
        for size in SIZES:
            folder = tmp_path_factory.mktemp("config")
            patch.setenv("XDG_CONFIG_HOME", str(folder))
            play(lambda stage: walk(stage, found), pack, folder=spots, size=size, agreed=False)
            language.choose("en")
            at = kiosk_stage.station(folder, pack)
            kiosk_stage.play(lambda stage: visit(stage, spots / "arm.png", found), at, size=size)
            language.choose("en")
    yield found


async def visit(stage: kiosk_stage.KioskStage, photo: Path, found: Seen) -> None:
    """As a stranger at the kiosk."""

    async def keep(name: str) -> None:
        await stage.settle()
        width, height = stage.app.size
        found[f"kiosk-{name}"][width, height] = grid(stage.app)

    await keep("attract")
    await stage.press("space")
    await keep("languages")
    await stage.touch("#en")
    await keep("consent")
    await stage.touch("#agree")
    await keep("camera")
    for name in ("ways", "stick"):
        stage.app._push(name)
        await keep(name)
    await stage.photograph(photo.with_name("broken.jpg"))
    await keep("again")
    await stage.photograph(photo)
    await keep("result")
    (entry,) = stage.app.session.entries
    stage.app.session = Session((replace(entry, taken=date(2026, 3, 1)),))
    for name in ("questions", "explain", "takeaway"):
        stage.app._push(name, entry.number)
        await keep(name)
        stage.app.pop_screen()
        await stage.settle()
    stage.clock.now += stage.app.station.settings.idle + 5
    await asyncio.sleep(0.6)
    await keep("countdown")
    await stage.press("space", "ctrl+o")
    await keep("pin")


async def walk(stage: Stage, found: Seen) -> None:
    async def keep(name: str) -> None:
        stage.app.clear_notifications()
        # Where it lies differs from machine to machine.
        for browser in stage.app.screen_stack[1].query("#browser"):
            browser.border_title = "/photographs"
        await stage.settle()
        width, height = stage.app.size
        found[name][width, height] = grid(stage.app)

    await keep("welcome")
    await stage.press("enter")
    await keep("home")
    await stage.press("a")
    for entry, taken in zip(stage.app.session.entries, (date(2026, 3, 1), date(2026, 1, 15)), strict=True):
        stage.app.post_message(DateCorrected(entry.number, taken))
    await stage.settle()
    arm = next(entry.number for entry in stage.app.session.entries if entry.scan.photo.name.endswith("arm.png"))
    mole = next(entry.number for entry in stage.app.session.entries if entry.number != arm)
    stage.app._open("home")
    # On top of each other: going back would draw everything below once more.
    for name in ("result", "help", *ABOUT_THE_FIRST, *ALONE[1:], "compare"):
        stage.app._open(name, arm if name not in ALONE else 0, mole if name == "compare" else 0)
        await keep(name)
    stage.app._open("home")
    await stage.settle()
    await keep("queue")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_looks_as_it_did(name: str, seen: Seen) -> None:
    file = KEPT / f"{name}.txt"
    now = joined(seen[name])
    if WRITE:
        KEPT.mkdir(exist_ok=True)
        file.write_text(now, encoding="utf-8")
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    changes = difflib.unified_diff(before.splitlines(), now.splitlines(), "as kept", "as it is now", lineterm="", n=2)
    assert before == now, "\n".join(["if this was meant: make snapshots", *list(changes)[:80]])


def test_every_page_is_among_them() -> None:
    assert {path.stem for path in KEPT.glob("*.txt")} == set(NAMES)
    pages = {path.stem for path in SCREENS.glob("*.py")} - {"__init__"}
    assert pages - {OTHERWISE_CALLED.get(name, name) for name in DESK} == set()
    pages = {path.stem for path in (SCREENS.parent / "kiosk" / "screens").glob("*.py")} - {"__init__"}
    assert pages - {OTHERWISE_CALLED.get(name, name) for name in KIOSK} == {"operator", "waiting"}
