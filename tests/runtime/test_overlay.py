from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import tiny_pack
from dermedge.errors import UsageError
from dermedge.overlay import STYLES, draw, ramp
from dermedge.result import (
    LEVELS,
    Box,
    Detection,
    Lesion,
    Level,
    Mask,
    PackRef,
    Photo,
    Quality,
    Saliency,
    Scan,
    Scores,
    Verdict,
)
from tiny_photo import photo_of

QUALITY = Quality(1.0, 0.5, 0.5, 0.0, 100)
SCORES = Scores("phone", {"melanoma": 1.0}, 1.0, 1.0, 0.0, False, True)


def lesion(
    number: int, box: Box, level: Level, *, heat: Box | None = None, mask: Box | None = None
) -> Lesion:
    verdict = Verdict(level, "This spot has features that a doctor should look at.", "Go.", ("because",))
    warm = np.zeros((8, 8), np.float32)
    warm[2:4, 2:4] = 1
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    return Lesion(number, box, 0.9, False, QUALITY, SCORES, verdict,
                  Saliency("melanoma", warm, heat) if heat else None, Mask(inside, mask) if mask else None)


def scan(photo: Photo, *lesions: Lesion, rejected: tuple[Detection, ...] = ()) -> Scan:
    nothing = Verdict("no-lesion", "No skin lesion was found in this photograph.", "", ())
    return Scan(photo, PackRef("tiny", "1.0.0", "0" * 64, True), "phone", QUALITY, "CPUExecutionProvider", {},
                lesions, rejected, lesions[0].verdict if lesions else nothing)


def skin(width: int, height: int, scale: float = 1.0) -> Photo:
    return photo_of(Image.new("RGB", (width, height), (230, 185, 155)), scale)


def pixels(picture: Image.Image) -> NDArray[np.int16]:
    return np.asarray(picture).astype(np.int16)


def of_colour(picture: Image.Image, level: Level) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (np.asarray(picture) == STYLES[level].colour).all(axis=2)
    return same


def test_the_photograph_is_scaled_to_the_side_and_the_caption_stands_below() -> None:
    picture = draw(scan(skin(400, 300)), side=640)
    assert picture.width == 640
    assert picture.height > 480
    assert (pixels(picture)[:480] == (230, 185, 155)).all()
    assert pixels(picture)[480:].mean() < 80


@pytest.mark.parametrize("size", [(400, 300), (300, 400), (30, 3000), (3000, 30), (1, 500), (500, 1)])
@pytest.mark.parametrize("level", LEVELS)
def test_the_lesions_tag_is_whole_in_a_photograph_of_any_shape(size: tuple[int, int], level: Level) -> None:
    width, height = size
    corners = [Box(0, 0, width / 2, height / 2), Box(width / 2, height / 2, width, height)]
    for box in corners:
        picture = draw(scan(skin(*size), lesion(1, box, level)), side=400)
        alone = draw(scan(skin(*size)), side=400)
        # The tag alone holds more of the level's colour than its marker in the caption does.
        assert of_colour(picture, level).sum() > of_colour(alone, level).sum() + 60


@pytest.mark.parametrize("level", ["urgent", "refer", "watch"])
def test_the_box_is_drawn_where_the_lesion_is(level: Level) -> None:
    picture = draw(scan(skin(400, 400, 0.5), lesion(1, Box(100, 200, 300, 300), level)), side=800)
    rows, columns = np.nonzero(of_colour(picture, level)[:800])
    frame = (columns.min(), columns.max(), rows.max())
    assert frame == pytest.approx((200, 600, 600), abs=3)
    assert of_colour(picture, level)[599:602, 200:600].any(axis=0).mean() > 0.95


def test_a_doubtful_lesions_line_is_broken_and_a_box_around_everything_stays_visible() -> None:
    photo = skin(400, 400)
    doubtful, sure = (scan(photo, lesion(1, photo.frame, level)) for level in LEVELS[2:4])
    broken = of_colour(draw(doubtful, side=400), "unclear")[:400]
    whole = of_colour(draw(sure, side=400), "refer")[:400]
    assert 0.3 < broken[-6:].any(axis=0).mean() < 0.8
    for edge in (whole[-6:], whole[:, :6].T, whole[:, -6:].T):
        assert edge.any(axis=0).mean() > 0.95


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_heat_is_drawn_on_the_right_place_of_the_photograph(scale: float) -> None:
    warm_one = lesion(1, Box(250, 150, 350, 250), "refer", heat=Box(200, 100, 400, 300))
    one = scan(skin(400, 300, scale), warm_one)
    plain = pixels(draw(one, heat=False, side=400))[:300]
    off = np.abs(pixels(draw(one, side=400))[:300] - plain).sum(axis=2)
    warm = off > 0.5 * off.max()
    rows, columns = np.nonzero(warm)
    # The warm cells are 2 and 3 of 8 in each direction.
    assert (columns.mean(), rows.mean()) == pytest.approx((275, 175), abs=3)
    assert not off[:98].any() and not off[:, :198].any()


def test_a_photograph_without_positive_relevance_is_not_tinted() -> None:
    cold = lesion(1, Box(100, 100, 200, 200), "refer", heat=Box(50, 50, 250, 250))
    assert cold.saliency
    cold = replace(cold, saliency=replace(cold.saliency, heat=-np.ones((8, 8), np.float32)))
    one = scan(skin(400, 300), cold)
    assert np.array_equal(pixels(draw(one, side=400))[:300], pixels(draw(one, heat=False, side=400))[:300])


def test_the_outline_follows_the_mask() -> None:
    photo = skin(400, 400)
    one = scan(photo, lesion(1, Box(100, 100, 300, 300), "refer", mask=photo.frame))
    off = (pixels(draw(one, side=640)) != pixels(draw(one, mask=False, side=640)))[:640].any(axis=2)
    rows, columns = np.nonzero(off)
    extent = (rows.min(), rows.max(), columns.min(), columns.max())
    assert extent == pytest.approx((160, 480, 160, 480), abs=8)
    assert not off[200:440, 200:440].any()


def test_every_lesion_gets_a_line_of_the_caption() -> None:
    photo = skin(400, 300)
    heights = []
    for count in (1, 2, 5):
        boxes = [Box(60 * i, 100, 60 * i + 40, 140) for i in range(count)]
        lesions = [lesion(i + 1, box, "watch") for i, box in enumerate(boxes)]
        heights.append(draw(scan(photo, *lesions), side=640).height)
    assert heights[1] - heights[0] == (heights[2] - heights[1]) / 3 > 10


def test_neighbours_tags_do_not_cover_each_other() -> None:
    levels: list[Level] = ["urgent", "refer", "watch"]
    near = [lesion(i + 1, Box(150 + 14 * i, 150, 160 + 14 * i, 190), level) for i, level in enumerate(levels)]
    together = draw(scan(skin(400, 400), *near), side=400)
    for one in near:
        alone = draw(scan(skin(400, 400), one), side=400)
        level = one.verdict.level
        amounts = [of_colour(picture, level)[:400].sum() for picture in (alone, together)]
        assert amounts[1] == pytest.approx(amounts[0], rel=0.05)


def test_what_was_refused_is_shown_and_explained() -> None:
    refused = Detection(Box(100, 100, 200, 200), 0.6)
    with_it, without = (draw(scan(skin(400, 300), rejected=r), side=640) for r in ((refused,), ()))
    assert with_it.height > without.height
    changed = np.nonzero(np.abs(pixels(with_it)[:480] - pixels(without)[:480]).any(axis=2))
    assert (changed[0].min(), changed[1].max()) == pytest.approx((160, 320), abs=4)


def test_an_uncalibrated_pack_is_named_so() -> None:
    one = scan(skin(400, 300))
    other = replace(one, pack=replace(one.pack, calibrated=False))
    assert draw(one).tobytes() != draw(other).tobytes()


def test_drawing_leaves_the_scan_as_it_is_and_gives_the_same_picture_again() -> None:
    photo = photo_of(tiny_pack.skin_with_spots(("melanoma", 128, 128, 40)))
    before = photo.pixels.tobytes()
    region = Box(50, 50, 200, 200)
    one = scan(photo, lesion(1, Box(88, 88, 168, 168), "urgent", heat=region, mask=region))
    assert draw(one).tobytes() == draw(one).tobytes()
    assert photo.pixels.tobytes() == before


def test_a_picture_too_small_for_its_caption_is_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match="at least 160"):
        draw(scan(skin(400, 300)), side=100)


def lightness(colours: NDArray[np.floating]) -> NDArray[np.floating]:
    """CIE L* of sRGB colours."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    shades: NDArray[np.floating] = np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)
    return shades


def deuteranope(colours: NDArray[np.floating]) -> NDArray[np.floating]:
    """What is left of colours where red and green look alike (Machado, Oliveira and Fernandes, 2009)."""
    seen: NDArray[np.floating] = colours @ np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]).T
    return seen.clip(0, 255)


def test_the_heat_ramp_rises_evenly_in_lightness_for_every_eye() -> None:
    for seen in (ramp(), deuteranope(ramp())):
        steps = np.diff(lightness(seen)[::16])
        assert (steps > 0.4 * steps.mean()).all()
        assert (steps < 2 * steps.mean()).all()


def test_levels_differ_by_shape_and_line_and_word_and_for_every_eye_by_colour() -> None:
    for a, b in combinations(LEVELS, 2):
        first, second = STYLES[a], STYLES[b]
        assert (first.corners, first.turn, first.hollow) != (second.corners, second.turn, second.hollow)
        assert (first.dash, first.weight) != (second.dash, second.weight)
        colours = deuteranope(np.array([first.colour, second.colour], np.float64))
        assert np.abs(colours[0] - colours[1]).sum() > 40
