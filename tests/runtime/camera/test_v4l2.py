"""USB cameras, down to the last ioctl: a library answers them in a child process as the kernel would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_camera
from dermedge import CameraError, cameras
from dermedge.camera import v4l2
from dermedge.camera.v4l2 import JPEG, YUYV, Mode, best
from tiny_camera import Usb

TAKE = """
with open_camera(cameras()[0]) as looking:
    frames = [frame for _, frame in zip(range(6), looking)]
"""
REFUSED = """
try:
    found = cameras()
    with open_camera(found[0]) as looking:
        frame = next(iter(looking))
        {then}
        for frame in looking:
            pass
except CameraError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def skin(width: int, height: int) -> Image.Image:
    ramp = np.linspace(120, 220, width * height, dtype=np.uint8).reshape(height, width)
    return Image.fromarray(np.stack((ramp, ramp // 2 + 40, ramp // 3 + 30), axis=-1))


def test_a_camera_is_found_by_its_name_and_its_pictures_come_as_it_sent_them(usb: Usb) -> None:
    picture = tiny_camera.jpeg(skin(1920, 1080))
    usb.see(picture + bytes(4096))
    told = usb.run(
        TAKE + "print(json.dumps([[c.id, c.name] for c in cameras()] + [[f.source.hex() for f in frames],"
        "[frames[0].photo.width, frames[0].photo.height, frames[0].photo.pixels.shape[1]]]))"
    )
    found, sources, size = told
    assert found == [str(usb.folder / "video0"), "HD Webcam"]
    assert sources == [picture.hex()] * 6, "without the padding behind it"
    assert size == [1920, 1080, 480], "decoded at a quarter, which is what a preview needs"


def test_the_device_is_asked_in_order_and_given_back(usb: Usb) -> None:
    usb.see(tiny_camera.jpeg(skin(64, 48)))
    usb.run(TAKE + "print(1)")
    opened = usb.log.index("open", 1)
    assert usb.log[:opened] == ["open", "close"], "to see what it is"
    assert usb.log[opened:] == ["open", "S_FMT MJPG 1920x1080", "REQBUFS", "STREAMON", "STREAMOFF", "close"]


def test_no_connection_is_opened(usb: Usb) -> None:
    usb.see(tiny_camera.jpeg(skin(64, 48)))
    watched = "import sys\nseen = []\nsys.addaudithook(lambda event, _: seen.append(event))\n"
    events = usb.run(watched + TAKE + "print(json.dumps(sorted(set(seen))))")
    assert "fcntl.ioctl" in events
    assert [event for event in events if event.startswith(("socket.", "subprocess.", "os.exec"))] == []


def test_it_is_given_back_after_an_error_too(usb: Usb) -> None:
    usb.see(tiny_camera.jpeg(skin(64, 48)))
    usb.run(
        "try:\n    with open_camera(cameras()[0]) as looking:\n        raise KeyError\nexcept KeyError:\n    print(1)\n"
    )
    assert usb.log[-2:] == ["STREAMOFF", "close"]


def test_raw_pictures_are_turned_into_colours_whatever_the_length_of_a_line(usb: Usb) -> None:
    usb.be("yuyv")
    lines = np.full((48, 2 * 64 + 16), 77, np.uint8)
    lines[:, 0:128:2], lines[:, 1:128:4], lines[:, 3:128:4] = 81, 90, 240  # red, by BT.601
    usb.see(lines.tobytes())
    shape, colour = usb.run(
        TAKE + "s = frames[0].source; print(json.dumps([s.shape, s.reshape(-1, 3).mean(axis=0).tolist()]))"
    )
    assert shape == [48, 64, 3]
    assert np.allclose(colour, (254, 0, 0), atol=1.5)


def test_damaged_and_short_pictures_are_passed_over(usb: Usb) -> None:
    usb.see(tiny_camera.jpeg(skin(640, 480)))
    for how in ("damaged", "short"):
        usb.behave(how)
        nothing, something = usb.run(
            "with open_camera(cameras()[0]) as looking:\n"
            "    nothing = [looking.read() is None for _ in range(5)]\n"
            "    behave('works')\n"
            "    print(json.dumps([all(nothing), next(iter(looking)).photo.width]))"
        )
        assert nothing and something == 640, how


@pytest.mark.parametrize(
    ("before", "then", "cause", "told"),
    [
        ("forbidden", "", "CameraForbidden", "group video"),
        ("busy", "", "CameraBusy", "HD Webcam is used by another program"),
        ("works", "behave('unplugged')", "CameraLost", "HD Webcam is gone; plug it in again"),
        ("works", "feed.PATIENCE = 0.5; behave('silent')", "CameraSilent", "HD Webcam gives no picture"),
    ],
)
def test_each_trouble_is_named(usb: Usb, before: str, then: str, cause: str, told: str) -> None:
    usb.see(tiny_camera.jpeg(skin(64, 48)))
    usb.behave(before)
    kind, text = usb.run(REFUSED.format(then=then or "pass"))
    assert kind == cause and told in text and "\n" not in text


@pytest.mark.parametrize("kind", ["codec", "isp"])
def test_what_is_no_camera_is_not_offered(kind: str, usb: Usb) -> None:
    usb.be(kind)
    assert usb.run(REFUSED.format(then="pass"))[0] == "CameraAbsent"


def test_a_bare_sensor_needs_the_boards_program(usb: Usb) -> None:
    usb.be("sensor")
    kind, text = usb.run(REFUSED.format(then="pass"))
    assert kind == "CameraToolMissing" and "apt install rpicam-apps-lite" in text


def test_no_camera_is_said_and_no_picture_invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "DEVICES", tmp_path)
    monkeypatch.setenv("PATH", "")
    for name in ("video0", "video1"):
        (tmp_path / name).write_bytes(b"no device")
    with pytest.raises(CameraError, match="no camera was found; plug one in"):
        cameras()


@pytest.mark.parametrize(
    ("modes", "chosen"),
    [
        ([Mode(YUYV, 640, 480, 30), Mode(JPEG[0], 640, 480, 30)], Mode(JPEG[0], 640, 480, 30)),
        ([Mode(JPEG[0], 640, 480, 30), Mode(JPEG[0], 1280, 720, 30)], Mode(JPEG[0], 1280, 720, 30)),
        ([Mode(JPEG[0], 4000, 3000, 30), Mode(JPEG[0], 1920, 1080, 30)], Mode(JPEG[0], 1920, 1080, 30)),
        ([Mode(JPEG[0], 1920, 1080, 1), Mode(YUYV, 640, 480, 30)], Mode(YUYV, 640, 480, 30)),
        ([Mode(YUYV, 1920, 1080, 1)], Mode(YUYV, 1920, 1080, 1)),
        ([], None),
    ],
)
def test_the_mode_is_fast_enough_to_aim_and_large_enough_to_scan(modes: list[Mode], chosen: Mode | None) -> None:
    assert best(modes) == chosen
