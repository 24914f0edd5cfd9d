"""A board's camera, read through a real program that writes to a pipe, hangs, dies or talks nonsense."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

import dermedge
import tiny_pack
from dermedge import CameraError, cameras, open_camera
from dermedge.camera import feed as feeding
from dermedge.camera import rpicam
from dermedge.errors import CameraAbsent, CameraBusy, CameraLost, CameraSilent
from tiny_camera import Board

RED, BLUE = (Image.new("RGB", (640, 480), colour) for colour in ("red", "blue"))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_boards_camera_is_listed_and_a_usb_camera_left_to_the_kernel(board: Board) -> None:
    board.install()
    (found,) = cameras()
    assert (found.id, found.name, found.kind) == ("0", "imx708", "rpicam")


def test_frames_are_the_pictures_that_the_program_wrote(board: Board) -> None:
    board.install()
    written = board.sees(RED, BLUE)
    with open_camera(cameras()[0]) as feed:
        frames = [frame for _, frame in zip(range(4), feed, strict=False)]
        pid = board.pid
        assert alive(pid)
    assert {frame.source for frame in frames} <= set(written)
    assert all(frame.photo.width == 640 and frame.photo.name == "imx708" for frame in frames)
    assert datetime.now() - frames[-1].taken < timedelta(seconds=30)
    assert not alive(pid), "ended and reaped"
    call = board.calls[-1]
    assert "--camera 0" in call and "--codec mjpeg" in call and call.endswith("--output -"), "no file is written"
    assert sorted(path.suffix for path in board.folder.iterdir()).count(".jpg") == 2


def test_a_board_with_the_still_program_only_is_read_picture_by_picture(board: Board) -> None:
    board.install("libcamera-still")
    board.sees(RED)
    with open_camera(cameras()[0]) as feed:
        frames = [frame for _, frame in zip(range(3), feed, strict=False)]
    assert len(frames) == 3
    assert sum("--list-cameras" not in call for call in board.calls) >= 3
    assert not any("--codec" in call for call in board.calls)


def test_of_pictures_that_wait_the_newest_counts(board: Board) -> None:
    board.install()
    written = board.sees(*(Image.new("RGB", (64, 64), (2 * number, 0, 0)) for number in range(120)))
    with open_camera(cameras()[0]) as feed:
        first = next(iter(feed))
        time.sleep(1.0)  # some twenty pictures, and the pipe holds more
        later = next(iter(feed))
    places = [written.index(frame.source) for frame in (first, later)]
    assert places[1] - places[0] >= 3, places


@pytest.mark.parametrize(
    ("how", "cause", "told"),
    [
        ("dies", CameraLost, "the sensor does not answer"),
        ("busy", CameraBusy, "used by another program"),
        ("gone", CameraAbsent, "check its cable"),
        ("hangs", CameraSilent, "gives no picture"),
        ("rubbish", CameraSilent, "gives no picture"),
        ("cut", CameraSilent, "gives no picture"),
    ],
)
def test_each_trouble_ends_with_its_name_and_the_program_with_it(
    board: Board, monkeypatch: pytest.MonkeyPatch, how: str, cause: type[CameraError], told: str
) -> None:
    monkeypatch.setattr(feeding, "PATIENCE", 1.0)
    board.install()
    board.sees(RED)
    with pytest.raises(cause, match=told) as caught, open_camera(cameras()[0]) as feed:
        next(iter(feed))
        board.behave(how)
        begun = time.monotonic()
        while time.monotonic() - begun < 20:
            feed.read()
    assert "\n" not in str(caught.value)
    assert not alive(board.pid)


def test_a_program_that_does_not_answer_is_not_waited_for(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpicam, "ANSWERS_WITHIN", 0.5)
    board.install()
    board.behave("deaf")
    begun = time.monotonic()
    with pytest.raises(CameraSilent, match="does not answer"):
        cameras()
    assert time.monotonic() - begun < 10


def test_a_program_that_cannot_be_started_is_an_error_of_its_own(board: Board) -> None:
    board.install()
    (found,) = cameras()
    program = board.folder / "rpicam-vid"
    program.write_text("#!/nowhere/python\n")
    with pytest.raises(CameraLost, match="cannot be started"):
        cameras()
    with pytest.raises(CameraLost, match="cannot be started"), open_camera(found):
        pass
    program.unlink()
    with pytest.raises(CameraError, match="apt install rpicam-apps-lite"), open_camera(found):
        pass


def test_a_program_that_ignores_the_end_is_killed(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpicam, "ENDS_WITHIN", 0.3)
    board.install()
    board.sees(RED)
    program = board.folder / "rpicam-vid"
    deaf = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGPIPE)]\n"
    program.write_text(program.read_text().replace("import os", deaf + "import os", 1))
    with open_camera(cameras()[0]) as feed:
        next(iter(feed))
        board.behave("hangs")
        time.sleep(0.2)
        pid = board.pid
    assert not alive(pid)


def test_the_program_does_not_outlive_whoever_reads_it(board: Board) -> None:
    board.install()
    board.sees(RED)
    code = "from dermedge import *\nwith open_camera(cameras()[0]) as feed:\n    for frame in feed:\n        print(1)"
    reader = subprocess.Popen([sys.executable, "-uc", code], stdout=subprocess.PIPE)
    assert reader.stdout and reader.stdout.readline() == b"1\n"
    pid = board.pid
    assert alive(pid)
    reader.kill()
    reader.wait()
    reader.stdout.close()
    begun = time.monotonic()
    while alive(pid):
        assert time.monotonic() - begun < 20
        time.sleep(0.05)


def test_a_frame_is_something_to_scan(board: Board, tmp_path: Path) -> None:
    board.install()
    board.sees(tiny_pack.skin_with_spots(("melanoma", 128, 128, 56)))
    with open_camera(cameras()[0]) as feed, dermedge.Scanner.open(tiny_pack.build(tmp_path / "pack")) as scanner:
        scan = scanner.scan(next(iter(feed)).source, name="camera")
    assert scan.verdict.level == "urgent" and scan.photo.name == "camera"
