from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dermedge.crop import RESAMPLING, cut, square_around
from dermedge.errors import BoxOutside, UsageError
from dermedge.result import Box
from tiny_photo import photo_of

PADDING = (255, 0, 255)


@pytest.mark.parametrize(
    ("box", "size", "context", "expected"),
    [
        (Box(40, 40, 60, 60), (100, 100), 1.5, Box(35, 35, 65, 65)),
        (Box(45, 30, 55, 70), (100, 100), 1.5, Box(20, 20, 80, 80)),
        (Box(0, 0, 20, 20), (100, 80), 2.0, Box(0, 0, 40, 40)),
        (Box(80, 0, 100, 20), (100, 80), 2.0, Box(60, 0, 100, 40)),
        (Box(0, 60, 20, 80), (100, 80), 2.0, Box(0, 40, 40, 80)),
        (Box(80, 60, 100, 80), (100, 80), 2.0, Box(60, 40, 100, 80)),
        # Context stops at the photograph's shorter side ...
        (Box(20, 10, 80, 70), (100, 80), 1.5, Box(10, 0, 90, 80)),
        # ... but the lesion itself is never cut off: what it lacks there is padded.
        (Box(0, 0, 100, 80), (100, 80), 1.5, Box(0, -10, 100, 90)),
        (Box(0, 30, 90, 50), (100, 80), 1.5, Box(0, -5, 90, 85)),
        (Box(40, 0, 60, 1000), (100, 1000), 1.5, Box(-450, 0, 550, 1000)),
    ],
)
def test_square_shows_the_box_in_its_surroundings(
    box: Box, size: tuple[int, int], context: float, expected: Box
) -> None:
    assert square_around(box, *size, context) == expected


@given(data=st.data(), width=st.integers(16, 4000), height=st.integers(16, 4000), context=st.floats(1, 4))
def test_square_covers_every_box_and_leaves_the_photograph_only_where_it_must(
    data: st.DataObject, width: int, height: int, context: float
) -> None:
    x0 = data.draw(st.floats(0, width - 2))
    y0 = data.draw(st.floats(0, height - 2))
    box = Box(x0, y0, data.draw(st.floats(x0 + 1, width)), data.draw(st.floats(y0 + 1, height)))
    square = square_around(box, width, height, context)
    slack = 1e-6 * max(width, height)
    assert square.width == pytest.approx(square.height, abs=slack)
    assert square.x0 <= box.x0 + slack and square.y0 <= box.y0 + slack
    assert square.x1 >= box.x1 - slack and square.y1 >= box.y1 - slack
    for start, stop, extent in ((square.x0, square.x1, width), (square.y0, square.y1, height)):
        if square.width <= extent:
            assert -slack <= start and stop <= extent + slack


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))


def test_where_the_square_does_not_fit_the_whole_short_side_is_shown_between_equal_bars() -> None:
    # A long lesion at the upper edge: centring on it would cut rows off below and show bars above instead.
    assert square_around(Box(0, 0, 200, 50), 200, 150, 1.4) == Box(0, -25, 200, 175)


@pytest.mark.parametrize("resample", RESAMPLING)
@pytest.mark.parametrize(
    "region", [Box(10.3, 7.8, 110.3, 107.8), Box(0, 0, 180, 180), Box(140.5, 120.25, 180.5, 160.25)]
)
def test_cut_is_what_resizing_that_box_of_the_whole_photograph_gives(resample: str, region: Box) -> None:
    image = noise(200, 180)
    crop = cut(photo_of(image), region, 40, resample, PADDING)
    box = (region.x0, region.y0, region.x1, region.y1)
    whole = np.asarray(image.resize((40, 40), RESAMPLING[resample], box=box, reducing_gap=None))
    off = np.abs(crop.pixels.astype(int) - whole.astype(int))
    # Shrinking by whole factors first differs from one long filter by a little.
    assert off.mean() < (1 if region.width < 120 else 6)
    assert crop.region == region


def test_crop_cannot_be_written_to() -> None:
    crop = cut(photo_of(noise(60, 60)), Box(0, 0, 60, 60), 32, "bilinear", PADDING)
    with pytest.raises(ValueError, match="read-only"):
        crop.pixels[0, 0] = 0


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
def test_padding_has_the_packs_colour_and_the_picture_keeps_its_place(scale: float) -> None:
    image = Image.new("RGB", (400, 200), (10, 200, 30))
    crop = cut(photo_of(image, scale), Box(0, -100, 400, 300), 64, "bilinear", PADDING)
    assert (crop.pixels[:16] == PADDING).all()
    assert (crop.pixels[48:] == PADDING).all()
    assert (crop.pixels[16:48] == (10, 200, 30)).all()


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_spot_in_a_corner_stays_in_that_corner_of_the_crop(corner: tuple[int, int], scale: float) -> None:
    image = Image.new("RGB", (300, 240), (220, 180, 160))
    x, y = (300 - 40) * corner[0], (240 - 40) * corner[1]
    image.paste((40, 20, 20), (x, y, x + 40, y + 40))
    region = square_around(Box(x, y, x + 40, y + 40), 300, 240, 2.0)
    dark = cut(photo_of(image, scale), region, 64, "bilinear", PADDING).pixels.max(axis=2) < 100
    quadrant = dark[32 * corner[1]:32 * corner[1] + 32, 32 * corner[0]:32 * corner[0] + 32]
    assert quadrant.mean() > 0.9
    assert dark.sum() - quadrant.sum() < 100


@pytest.mark.parametrize(("size", "region"), [((1, 3000), Box(-1500, 0, 1500, 3000)),
                                              ((3000, 1), Box(0, -1500, 3000, 1500))])
def test_a_photograph_thinner_than_a_pixel_of_the_crop_is_still_seen(
    size: tuple[int, int], region: Box
) -> None:
    pixels = cut(photo_of(Image.new("RGB", size, (9, 9, 9))), region, 64, "bilinear", PADDING).pixels
    assert ((pixels == 9).all(axis=2).sum()) == 64


def test_a_square_at_the_rounded_edge_of_a_draft_decoded_photograph_is_cut() -> None:
    photo = photo_of(noise(1001, 999), 0.125)
    region = Box(1001 - 20, 999 - 20, 1001, 999)
    assert cut(photo, region, 32, "bicubic", PADDING).pixels.shape == (32, 32, 3)


def test_a_square_beside_the_photograph_is_an_error() -> None:
    with pytest.raises(BoxOutside, match="does not lie on the photograph"):
        cut(photo_of(noise(60, 60)), Box(60, 0, 90, 30), 32, "bilinear", PADDING)


def test_unknown_resampling_is_an_error() -> None:
    with pytest.raises(UsageError, match="nearest"):
        cut(photo_of(noise(60, 60)), Box(0, 0, 60, 60), 32, "nearest", PADDING)
