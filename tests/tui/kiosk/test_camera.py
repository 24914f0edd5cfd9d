"""The camera in the kiosk: by touch, with a real child process, also when it is unplugged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny_camera
import tiny_pack
from dermedge_tui.kiosk import app as kiosk_app
from dermedge_tui.kiosk.station import Station
from dermedge_tui.screens import camera as camera_screen
from kiosk_stage import KioskStage, alive, play

pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_screen, "COUNTED", 1)
    monkeypatch.setattr(camera_screen, "AGAIN_AFTER", 0.2)


@pytest.fixture
def melanoma(board: tiny_camera.Board) -> tiny_camera.Board:
    board.install()
    board.sees(tiny_pack.skin_with_spots(("melanoma", 160, 120, 50), size=(320, 240)).resize((640, 480)))
    return board


async def until(stage: KioskStage, true: Callable[[], bool]) -> None:
    """A camera never settles; it is waited for."""
    for _ in range(600):
        await stage.pilot.pause()
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{stage.page}: {stage.words()}")


async def touched(stage: KioskStage, id: str) -> None:
    """Without waiting for threads to end: the camera's does not."""
    region = stage.app.screen.query_one(id).region
    await stage.tap((region.x + region.width // 2, region.y + region.height // 2))


async def aimed(stage: KioskStage) -> None:
    await stage.tap((40, 20))
    for id in ("#en", "#agree"):
        await until(stage, lambda id=id: bool(stage.app.screen.query(id)))
        await stage.pilot.pause()
        await touched(stage, id)
    await until(stage, lambda: stage.page == "KioskCameraPage" and stage.app.screen.state == "aiming")
    await stage.pilot.pause()


def test_a_photograph_is_taken_and_judged_by_touch(at: Station, melanoma: tiny_camera.Board) -> None:
    before = alive()

    async def script(stage: KioskStage) -> None:
        await aimed(stage)
        await touched(stage, "#button-count")
        await until(stage, lambda: stage.app.screen.state == "taken")
        await stage.pilot.pause()
        await touched(stage, "#button-use")
        await until(stage, lambda: stage.page == "ResultPage")
        assert "URGENT" in stage.text()

        stage.app.screen.query_one("#done").press()
        await until(stage, lambda: stage.page == "AttractPage")
        await stage.settle()
        assert not alive() - before, "neither the photograph nor a frame of the camera"

    play(script, at)
    assert at.counts.of(1)["level urgent"] == 1 and not at.troubles


def test_targets_of_the_camera_are_large_and_no_other_page_is_reached(at: Station, melanoma: tiny_camera.Board) -> None:
    async def script(stage: KioskStage) -> None:
        await aimed(stage)
        shown = [b for b in stage.app.screen.query("Button").results() if b.display]
        assert len(shown) == 2 and all(b.region.height >= 5 for b in shown)
        assert not stage.app.screen.query("KeyBar")
        for key in ("question_mark", "escape", "c", "f1"):
            await stage.pilot.press(key)
        await until(stage, lambda: stage.page == "KioskCameraPage")

    play(script, at)


def test_a_camera_unplugged_mid_session_is_said_looked_for_and_told_to_the_operator(
    at: Station, melanoma: tiny_camera.Board
) -> None:
    async def script(stage: KioskStage) -> None:
        await aimed(stage)
        melanoma.behave("dies")
        await until(stage, lambda: "The camera does not answer" in stage.words())
        assert "camera" in at.troubles and stage.page == "KioskCameraPage"
        melanoma.behave("works")
        await until(stage, lambda: stage.app.screen.state == "aiming")
        assert "camera" not in at.troubles
        await touched(stage, "#button-count")
        await until(stage, lambda: stage.app.screen.state == "taken")

    play(script, at)
    assert at.counts.of(1)["error camera"] == 1, "told once, however often it was looked for"
    said = at.journal.last(2)
    assert "camera: CameraLost" in said[0] and said[1].endswith("camera: works again")


def test_only_the_chosen_camera_is_opened(station_with: Callable[..., Station], melanoma: tiny_camera.Board) -> None:
    async def there(stage: KioskStage) -> None:
        await aimed(stage)

    async def gone(stage: KioskStage) -> None:
        await stage.tap((40, 20))
        for id in ("#en", "#agree"):
            await until(stage, lambda id=id: bool(stage.app.screen.query(id)))
            await stage.pilot.pause()
            await touched(stage, id)
        await until(stage, lambda: "The camera does not answer" in stage.words())

    play(there, station_with(camera="0"))
    other = station_with(camera="/dev/video7")
    play(gone, other)
    assert "/dev/video7 is not there" in other.troubles["camera"]


def test_the_camera_is_let_go_of_when_the_session_ends(at: Station, melanoma: tiny_camera.Board) -> None:
    before = alive()

    def running() -> bool:
        return Path(f"/proc/{melanoma.pid}").exists()

    async def script(stage: KioskStage) -> None:
        await aimed(stage)
        assert running()
        stage.clock.now += 62 + kiosk_app.TICK
        await until(stage, lambda: stage.page == "CountdownPage")
        stage.clock.now += 20
        await until(stage, lambda: stage.page == "AttractPage")
        await until(stage, lambda: not running())
        await stage.settle()
        assert not alive() - before

    play(script, at)
