"""The camera page, with a real program in the camera's place: aim, count down, use it or take it again."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter
from textual.widgets import Button

import tiny_camera
import tiny_pack
from dermedge_tui import aiming, phrases
from dermedge_tui.screens import camera as page
from dermedge_tui.screens.camera import HINTS, CameraPage
from dermedge_tui.session import Shot
from dermedge_tui.widgets.picture import Picture
from tiny_camera import Board
from tui_stage import Stage, play

pytestmark = pytest.mark.alone

TWO = """Available cameras
0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)
1 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@0/imx708@1a)
"""


def mole() -> Image.Image:
    return tiny_pack.skin_with_spots(("melanoma", 200, 150, 60), size=(400, 300))


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    found = tiny_camera.board(tmp_path, monkeypatch)
    found.install()
    found.sees(mole())
    monkeypatch.setattr(page, "COUNTED", 1)
    monkeypatch.setattr(page, "AGAIN_AFTER", 0.2)
    return found


async def until(stage: Stage, happened: Callable[[], object], seconds: float = 30) -> None:
    """The thread behind this page never rests, so that `settle` would wait for nothing."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < seconds, stage.text()
        await stage.pilot.pause(0.02)


async def aim(stage: Stage) -> None:
    await stage.pilot.press("k")
    await until(stage, lambda: in_state(stage, "aiming") and "▀" in stage.text())


async def take(stage: Stage) -> None:
    await stage.pilot.press("space")
    await until(stage, lambda: in_state(stage, "taken"))


def in_state(stage: Stage, *states: str) -> bool:
    screen = stage.app.screen
    return isinstance(screen, CameraPage) and screen.state in states


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


_written: list[Any] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _written is not None and event == "open":
        path, _mode, flags = arguments
        if isinstance(path, str) and (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _written.append(path)


@pytest.fixture
def written() -> Iterator[list[str]]:
    """The files that this process opens to write to."""
    global _written
    if not getattr(sys, "_dermedge_watched", False):
        sys.addaudithook(_watch)
    _written = []
    yield _written
    _written = None


def test_from_the_camera_to_a_finding(
    pack: Path, photos: Path, board: Board, monkeypatch: pytest.MonkeyPatch, written: list[str]
) -> None:
    monkeypatch.setattr(page, "COUNTED", 3)

    async def script(stage: Stage) -> None:
        await aim(stage)
        await until(stage, lambda: "imx708" in stage.text() and "Sharp and well lit" in stage.text())
        await stage.pilot.press("space")
        seen: list[str] = []

        def taken() -> bool:
            shown = re.search(r"Hold still: (\d)", stage.text())
            if shown and shown[1] not in seen:
                seen.append(shown[1])
                assert stage.app.screen.query_one("#count").display
            return in_state(stage, "taken")

        await until(stage, taken)
        # A busy machine may pass over one of them.
        assert seen[0] == "3" and len(seen) > 1 and seen == sorted(seen, reverse=True)
        await until(stage, lambda: "Use it" in stage.text() and "Take it again" in stage.text())
        await stage.pilot.press("enter")
        await until(stage, lambda: stage.page == "ResultPage")
        await stage.settle()
        assert "■ URGENT" in stage.text() and "imx708" in stage.text()
        (entry,) = stage.app.session.entries
        assert isinstance(entry.source, Shot)
        assert (entry.taken, entry.dated) == (date.today(), "camera")
        await until(stage, lambda: not alive(board.pid))
        await stage.press("escape")
        assert stage.page == "HomePage", "the camera's page is not left underneath"

    play(script, pack, folder=photos)
    allowed = re.compile(r"/dev/null|.*/config/dermedge/tui\..*|.*/__pycache__/.*")
    others = [path for path in written if not allowed.fullmatch(path)]
    assert written and others == [], "in memory only"


def test_what_was_taken_is_asked_about_outlined_compared_and_forgotten(pack: Path, photos: Path, board: Board) -> None:
    async def script(stage: Stage) -> None:
        for _ in range(2):
            await aim(stage)
            await take(stage)
            await stage.pilot.press("enter")
            await until(stage, lambda: stage.page == "ResultPage")
            await stage.press("escape")
        await stage.press("t", "enter", "m", "f", "space", "s")
        entry = stage.app.session.entries[1]
        assert all(lesion.mask is not None for lesion in entry.scan.lesions) and entry.flags == ("bleeding",)
        assert entry.scan.photo.name.startswith("imx708 ")
        await stage.press("t", "c", "left", "c")
        assert stage.page == "ComparePage" and "0 days between them" in stage.text()
        await stage.press("escape", "F", "y")
        assert stage.app.session.entries == ()

    play(script, pack, folder=photos)


def test_retake_leads_back_to_the_camera(pack: Path, photos: Path, board: Board) -> None:
    async def script(stage: Stage) -> None:
        await aim(stage)
        for count in (1, 2):
            await take(stage)
            await stage.pilot.press("enter")
            await until(stage, lambda count=count: stage.page == "ResultPage" and stage.app.screen.number == count)
            await stage.settle()
            assert len(stage.app.session.entries) == count
            await stage.pilot.press("r")
            await until(stage, lambda: in_state(stage, "aiming"))
        await stage.pilot.press("escape")
        await until(stage, lambda: stage.page == "ResultPage")
        await stage.press("escape")
        assert stage.page == "HomePage"

    play(script, pack, folder=photos)


def test_it_is_taken_again_until_it_is_good(pack: Path, photos: Path, board: Board) -> None:
    async def script(stage: Stage) -> None:
        await aim(stage)
        await take(stage)
        await stage.pilot.press("space")
        assert in_state(stage, "aiming")
        await stage.pilot.press("enter", "escape")
        assert in_state(stage, "aiming"), "escape stops the countdown first"
        await stage.pilot.pause(1.5)
        assert in_state(stage, "aiming"), "and nothing is taken behind one's back"
        await take(stage)
        await stage.pilot.press("escape")
        assert in_state(stage, "aiming")
        await stage.pilot.press("escape")
        await stage.settle()
        assert stage.page == "HomePage" and stage.app.session.entries == ()
        await until(stage, lambda: not alive(board.pid))

    play(script, pack, folder=photos)


@pytest.mark.parametrize(
    ("spoilt", "hint"),
    [
        (lambda image: image.point(lambda value: value // 12), "too-dark"),
        (lambda image: image.point(lambda value: min(255, value * 4)), "too-bright"),
        (lambda image: image.filter(ImageFilter.GaussianBlur(14)), "blurred"),
        (lambda image: Image.new("RGB", image.size, (150, 120, 100)), "low-contrast"),
    ],
)
def test_aiming_says_what_to_do_better(
    spoilt: Callable[[Image.Image], Image.Image], hint: str, pack: Path, photos: Path, board: Board
) -> None:
    async def script(stage: Stage) -> None:
        await aim(stage)
        await until(stage, lambda: "Sharp and well lit" in stage.text())
        board.sees(spoilt(mole()))
        await until(stage, lambda: HINTS[hint] in stage.text())
        await take(stage)
        # The photograph that was taken is judged too.
        await until(stage, lambda: HINTS[hint] in stage.text())

    play(script, pack, folder=photos)


def test_every_problem_has_its_hint() -> None:
    assert set(HINTS) == set(phrases.PROBLEMS)


def test_an_absent_camera_is_explained_and_one_that_is_plugged_in_is_used(
    pack: Path, photos: Path, board: Board
) -> None:
    program = board.folder / "rpicam-vid"
    program.rename(board.folder / "put-away")

    async def script(stage: Stage) -> None:
        await stage.pilot.press("k")
        await until(stage, lambda: in_state(stage, "failed"))
        await until(stage, lambda: "No camera was found. Plug one in" in stage.words())
        assert "Take the photograph" not in stage.text()
        (board.folder / "put-away").rename(program)
        await until(stage, lambda: in_state(stage, "aiming"))
        await stage.pilot.press("escape")
        await stage.settle()
        assert stage.page == "HomePage"

    play(script, pack, folder=photos)


@pytest.mark.parametrize("when", ["aiming", "counting", "taken"])
def test_unplugging_is_survived(when: str, pack: Path, photos: Path, board: Board) -> None:
    async def script(stage: Stage) -> None:
        await aim(stage)
        if when == "counting":
            await stage.pilot.press("space")
        elif when == "taken":
            await take(stage)
        board.behave("dies")
        if when == "taken":
            await stage.pilot.pause(1.0)
            assert in_state(stage, "taken"), "the photograph is there"
            await stage.pilot.press("space")
        await until(stage, lambda: in_state(stage, "failed"))
        await until(stage, lambda: "The camera is gone. Plug it in again." in stage.words())
        board.behave("works")
        await until(stage, lambda: in_state(stage, "aiming"))
        await take(stage)

    play(script, pack, folder=photos)


def test_quitting_ends_the_camera(pack: Path, photos: Path, board: Board) -> None:
    async def script(stage: Stage) -> None:
        await aim(stage)
        await stage.pilot.press("ctrl+q")

    play(script, pack, folder=photos)
    assert not alive(board.pid)


def test_several_cameras_are_gone_through(pack: Path, photos: Path, board: Board) -> None:
    (board.folder / "list").write_text(TWO)

    async def script(stage: Stage) -> None:
        await aim(stage)
        await until(stage, lambda: "imx708 (0), 1 of 2" in stage.text() and "Another camera" in stage.text())
        for expected in ("imx708 (1), 2 of 2", "imx708 (0), 1 of 2"):
            await stage.pilot.press("c")
            await until(stage, lambda expected=expected: expected in stage.text() and in_state(stage, "aiming"))

        def used() -> list[str]:
            return [call.split()[1] for call in board.calls if call.startswith("--camera")]

        await until(stage, lambda: len(used()) == 3)
        assert used() == ["0", "1", "0"]

    play(script, pack, folder=photos)


def test_touch_has_buttons_of_five_lines_that_do_all_of_it(
    pack: Path, photos: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    (board.folder / "list").write_text(TWO)

    async def script(stage: Stage) -> None:
        async def touch(name: str) -> None:
            assert await stage.pilot.click(f"#button-{name}")

        def shown() -> dict[str, int]:
            buttons = stage.app.screen.query("#buttons Button").results(Button)
            return {button.id.removeprefix("button-"): button.region.height for button in buttons if button.display}

        stage.app.push_screen(CameraPage(stage.app.session, stage.app.queue, touch=True))
        await until(stage, lambda: in_state(stage, "aiming") and "▀" in stage.text())
        await until(stage, lambda: shown().keys() == {"count", "next_camera", "back"} and min(shown().values()) >= 5)
        await touch("count")
        await until(stage, lambda: in_state(stage, "taken"))
        await until(stage, lambda: shown().keys() == {"use", "again", "back"} and min(shown().values()) >= 5)
        await touch("again")
        await until(stage, lambda: in_state(stage, "aiming") and "count" in shown())
        await touch("count")
        await until(stage, lambda: in_state(stage, "taken") and "use" in shown())
        await stage.pilot.pause(0.1)
        await touch("use")
        await until(stage, lambda: stage.page == "ResultPage")
        await stage.settle()

    play(script, pack, folder=photos)


def test_any_size_shows_what_there_is_room_for(pack: Path, photos: Path, board: Board) -> None:
    async def script(stage: Stage) -> None:
        await aim(stage)
        for state in ("aiming", "taken"):
            for size in ((200, 60), (20, 5), (1, 1), (40, 12), (80, 24)):
                await stage.pilot.resize_terminal(*size)
                await stage.pilot.pause(0.3)
                assert in_state(stage, state)
            await until(stage, lambda: "▀" in stage.text())
            if state == "aiming":
                await take(stage)
        await stage.pilot.press("f2", "down", "enter")
        await until(stage, lambda: in_state(stage, "taken") and "▀" in stage.text())
        await stage.pilot.press("enter")
        await until(stage, lambda: stage.page == "ResultPage")
        await stage.settle()

    play(script, pack, folder=photos)


def test_a_terminal_without_colours_shows_shades(
    pack: Path, photos: Path, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Picture, "renderer", "letters")

    async def script(stage: Stage) -> None:
        await stage.pilot.press("k")
        await until(stage, lambda: "▓" in stage.text() and in_state(stage, "aiming"))
        assert "▀" not in stage.text()

    play(script, pack, folder=photos)


def test_a_full_session_takes_no_more(pack: Path, photos: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dermedge_tui.app.MOST_PHOTOS", 1)

    async def script(stage: Stage) -> None:
        await stage.press("escape")
        await aim(stage)
        await take(stage)
        await stage.pilot.press("enter")
        await stage.settle()
        assert stage.page == "HomePage" and len(stage.app.session.entries) == 1
        assert any("1 were left out" in notice.message for notice in stage.app._notifications)

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_the_sharpest_of_the_burst_is_taken(pack: Path, photos: Path, board: Board) -> None:
    blurred = mole().filter(ImageFilter.GaussianBlur(12))
    encoded = board.sees(blurred, mole(), blurred, blurred)

    async def script(stage: Stage) -> None:
        await aim(stage)
        await take(stage)
        assert stage.app.screen._taken.shot.data == encoded[1]

    assert aiming.BURST >= 4
    play(script, pack, folder=photos)


def test_no_key_press_waits_while_the_camera_runs(pack: Path, photos: Path, board: Board) -> None:
    board.sees(*(mole().resize((1600, 1200)).rotate(angle) for angle in range(0, 40, 10)))
    longest = []

    async def script(stage: Stage) -> None:
        await aim(stage)
        before, begun = time.thread_time(), time.monotonic()
        while time.monotonic() - begun < 3:
            await asyncio.sleep(0.005)
            now = time.thread_time()
            longest.append(now - before)
            before = now

    play(script, pack, folder=photos, size=(200, 60))
    # Computing time of the interface's own thread: what others on this machine do is no fault of it.
    assert max(longest) < 0.1
