"""Raw pictures of cameras, against the colours that the standard gives for them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dermedge.camera.yuyv import rgb


def packed(luma: int, blue: int, red: int, width: int = 4, height: int = 2, padding: int = 0) -> bytes:
    return (bytes((luma, blue, luma, red)) * (width // 2) + bytes(padding)) * height


@pytest.mark.parametrize(
    ("values", "colour"),
    [
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((81, 90, 240), (254, 0, 0)),
        ((145, 54, 34), (0, 255, 1)),
        ((41, 240, 110), (0, 0, 255)),
        ((255, 128, 128), (255, 255, 255)),
        ((0, 128, 128), (0, 0, 0)),
    ],
)
def test_colours_are_those_of_the_standard(values: tuple[int, int, int], colour: tuple[int, int, int]) -> None:
    pixels = rgb(packed(*values), 4, 2, 8, full=False)
    assert pixels.shape == (2, 4, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - colour).max() <= 1


def test_the_full_range_is_the_one_of_jpeg() -> None:
    rng = np.random.default_rng(0)
    for luma, blue, red in rng.integers(0, 256, (50, 3)).tolist():
        theirs = Image.frombytes("YCbCr", (1, 1), bytes((luma, blue, red))).convert("RGB").getpixel((0, 0))
        assert np.abs(rgb(packed(luma, blue, red), 4, 2, 8, full=True).astype(int) - theirs).max() <= 1


def test_each_pixel_has_its_own_light_and_every_two_share_a_colour() -> None:
    pixels = rgb(bytes((16, 128, 235, 128)), 2, 1, 4, full=False)
    assert pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_lines_may_be_longer_than_what_is_in_them() -> None:
    longer = rgb(packed(81, 90, 240, padding=12), 4, 2, 20, full=False)
    assert longer.tolist() == rgb(packed(81, 90, 240), 4, 2, 0, full=False).tolist()
