"""The interface stays alive while the tower runs, and is there at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable
from pathlib import Path

import pytest
from PIL import Image
from textual.events import Paste

import tiny_pack
from dermedge_tui.messages import RescanAsked
from dermedge_tui.session import MOST_PHOTOS
from tui_stage import Stage, play

pytestmark = pytest.mark.alone

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
EMBEDDED = ARTIFACTS / "compact"
MELANOMA = ARTIFACTS / "samples" / "melanoma-PAT_902_1718_852.jpg"
LONGEST = 0.1
"""Seconds that a key press may have to wait."""


class Heartbeat:
    """A task beside the application's; the longest gap between two beats is what a key press would have waited.

    On a machine that has no processor to spare, only the computing time of the interface's thread in a gap tells
    anything; elsewhere the clock on the wall does.
    """

    def __init__(self, stalling: bool) -> None:
        self.longest = 0.0
        self._clock = time.thread_time if stalling else time.perf_counter
        self._beating = True

    async def _beat(self) -> None:
        before = self._clock()
        while self._beating:
            await asyncio.sleep(0.005)
            now = self._clock()
            self.longest = max(self.longest, now - before)
            before = now

    async def during(self, work: Awaitable[None]) -> float:
        task = asyncio.create_task(self._beat())
        await work
        self._beating = False
        await task
        return self.longest


class Waits:
    """The longest wait of each try during a scan, beside that of showing its page with no scan under way.

    On a slow machine a page may take longer than a key press should wait; a scan is not to make that worse. One
    interruption by other programs is no fault of the interface either; blocking shows every time.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def add(self, scanning: float, showing: float) -> None:
        self.seen.append((scanning, showing))

    def short(self) -> bool:
        return any(scanning < max(LONGEST, 1.2 * showing) for scanning, showing in self.seen)

    def undecided(self) -> bool:
        return len(self.seen) < 4 and not self.short()


async def shown_again(stage: Stage) -> None:
    """The last result's page, made anew."""
    stage.app._open("home")
    await stage.settle()
    stage.app._open("result", stage.app.session.entries[-1].number)
    await stage.settle()


@pytest.fixture(scope="module")
def stalling() -> bool:
    """Whether a process on this machine waits for the processor instead of computing."""
    wall, own = time.perf_counter(), time.thread_time()
    while time.thread_time() - own < 0.3:
        pass
    return time.perf_counter() - wall > 0.4


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve megapixels, as a phone takes them."""
    photo = tiny_pack.skin_with_spots(("melanoma", 128, 96, 50), size=(256, 192)).resize((4000, 3000))
    path = tmp_path_factory.mktemp("large") / "phone.jpg"
    photo.save(path, quality=90)
    return path


def test_no_key_press_waits_while_a_scan_runs(pack: Path, photos: Path, large: Path, stalling: bool) -> None:
    waits = Waits()

    async def script(stage: Stage) -> None:
        while waits.undecided():
            stage.app._gather([str(large)])
            scanned = await Heartbeat(stalling).during(stage.settle())
            waits.add(scanned, await Heartbeat(stalling).during(shown_again(stage)))

    play(script, pack, folder=photos, given=[photos / "mole.png"], size=(120, 40))
    assert waits.short(), f"the longest waits, and without a scan, were {waits.seen} s"


def test_no_key_press_waits_while_the_embedded_pack_judges_and_outlines(tmp_path: Path, stalling: bool) -> None:
    waits = Waits()
    large = tmp_path / "phone.jpg"
    with Image.open(MELANOMA) as sample:
        sample.resize((3000, 3000)).save(large)

    async def script(stage: Stage) -> None:
        while waits.undecided():
            stage.app._gather([str(large)])
            judged = await Heartbeat(stalling).during(stage.settle())
            stage.app.post_message(RescanAsked(stage.app.session.entries[-1].number, (), mask=True))
            outlined = await Heartbeat(stalling).during(stage.settle())
            waits.add(max(judged, outlined), await Heartbeat(stalling).during(shown_again(stage)))
        assert stage.app.session.entries[-1].scan.lesions[0].mask is not None

    play(script, EMBEDDED, folder=large.parent, given=[large], size=(120, 40))
    assert waits.short(), f"the longest waits, and without a scan, were {waits.seen} s"


def test_the_heartbeat_notices_a_blocked_interface(pack: Path, photos: Path, stalling: bool) -> None:
    def compute() -> None:
        begun = time.thread_time()
        while time.thread_time() - begun < 1.5 * LONGEST:
            pass

    async def script(stage: Stage) -> None:
        asyncio.get_running_loop().call_later(0.1, compute)
        assert await Heartbeat(stalling).during(asyncio.sleep(0.5)) > LONGEST

    play(script, pack, folder=photos)


def test_the_first_page_needs_neither_network_library_nor_runtime_graphs() -> None:
    """What makes a start slow is what is imported for it."""
    code = (
        "import sys; import dermedge_tui.app; "
        "print([name for name in ('onnxruntime', 'numpy', 'PIL', 'textual_image') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert child.returncode == 0, child.stderr
    assert "onnxruntime" not in child.stdout and "textual_image" not in child.stdout


def test_ten_megabytes_pasted_are_refused_at_once(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        begun = time.perf_counter()
        stage.app.screen.post_message(Paste("/tmp/photo.jpg " * 700_000))
        await stage.pilot.pause()
        assert time.perf_counter() - begun < 5
        assert any("too much text" in notice.message for notice in stage.app._notifications)
        await stage.press("slash")
        stage.app.screen.focused.post_message(Paste("x" * 10_000_000))
        await stage.settle()
        assert stage.app.screen.query_one("#path").value == ""
        assert stage.app.session.entries == ()

    play(script, pack, folder=photos, size=(100, 40))


def test_a_folder_of_five_thousand_is_listed_and_its_newest_are_queued(pack: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5000):
        (folder / f"{number:04}.jpg").touch()

    async def script(stage: Stage) -> None:
        browser = stage.app.screen.query_one("#browser")
        assert browser.option_count == 5001, "and the way up"
        stage.app.screen.query_one("#browser").action_all()
        await stage.settle()
        assert len(stage.app.queue.items) == MOST_PHOTOS
        assert any("4800 were left out" in notice.message for notice in stage.app._notifications)
        assert len(stage.app.queue.having("failed")) == MOST_PHOTOS, "they are empty files"

    play(script, pack, folder=folder, size=(120, 40))


def test_cancelling_stops_what_waits(pack: Path, tmp_path: Path) -> None:
    photo = tiny_pack.skin_with_spots(("melanoma", 128, 128, 50), size=(256, 256)).resize((2000, 2000))
    for number in range(12):
        photo.save(tmp_path / f"{number}.jpg", quality=80)

    async def script(stage: Stage) -> None:
        stage.app.screen.query_one("#browser").action_all()
        while not stage.app.queue.having("running"):
            await stage.pilot.pause(0.01)
        await stage.pilot.press("c")
        await stage.settle()
        cancelled = len(stage.app.queue.having("cancelled"))
        assert cancelled > 0
        assert len(stage.app.session.entries) == 12 - cancelled

    play(script, pack, folder=tmp_path)


def test_a_pack_that_cannot_be_used_is_said_once(tmp_path: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("a")
        assert len(stage.app.queue.having("failed")) == 1
        assert len(stage.app.queue.having("cancelled")) == 3
        assert stage.page == "HomePage" and "3 not scanned" in stage.said("#queue-items")

    play(script, tmp_path / "no-pack", folder=photos, size=(120, 40))
