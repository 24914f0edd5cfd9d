"""Patience: what it counts, and what it does not."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from dermedge.camera import feed as feeding
from dermedge.camera.feed import Camera, Feed, Pixels
from dermedge.errors import CameraSilent
from dermedge.photo import read_photo
from tiny_camera import jpeg

CAMERA = Camera("0", "Camera", "v4l2")


class Script:
    """Gives what it is told to, one after the other; None for ever at the end."""

    def __init__(self, *pictures: Pixels | None) -> None:
        self._pictures = list(pictures)

    def grab(self, wait: float) -> Pixels | None:
        if self._pictures:
            return self._pictures.pop(0)
        time.sleep(wait)
        return None

    def close(self) -> None:
        pass


def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "PATIENCE", 0.3)
    feed = Feed(CAMERA, Script(np.zeros((64, 64, 3), np.uint8)))
    frame = feed.read()
    assert frame is not None and frame.photo.width == 64
    begun = time.monotonic()
    with pytest.raises(CameraSilent, match="Camera gives no picture; take it out and plug it in again"):
        next(iter(feed))
    assert 0.3 <= time.monotonic() - begun < 5


def test_what_cannot_be_decoded_is_no_picture_and_no_crash() -> None:
    feed = Feed(CAMERA, Script(b"", b"\xff\xd8\xff\xd9", b"nothing", np.zeros((4, 4, 3), np.uint8), None))
    assert [feed.read(0.0) for _ in range(5)] == [None] * 5


def test_what_is_kept_has_every_pixel() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 80, 3), np.uint8)
    encoded = jpeg(Image.fromarray(pixels))
    raw, compressed = (Feed(CAMERA, Script(source)).read() for source in (pixels, encoded))
    assert raw and (read_photo(raw.packed()).pixels == pixels).all()
    assert compressed and compressed.packed() == encoded


def test_time_spent_elsewhere_is_nobodys_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "PATIENCE", 0.2)
    feed = Feed(CAMERA, Script())
    for _ in range(3):
        time.sleep(0.1)
        assert feed.read(0.01) is None
