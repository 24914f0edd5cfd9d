"""The pictures of the steps show the very pixels that went through the networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import tiny_pack
from dermedge.scanner import Scanner
from dermedge.stage import FAINT, SURE, Stage, stages

PHOTO = tiny_pack.skin_with_spots(("melanoma", 90, 100, 50), ((216, 172, 142), 270, 130, 25), size=(360, 200))
"""The second spot is too pale to be looked at."""


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanner]:
    with Scanner.open(tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny")) as opened:
        yield opened


def made(scanner: Scanner, picture: object = PHOTO, **options: object) -> tuple[Stage, ...]:
    trace = scanner.look(picture, **options)  # type: ignore[arg-type]
    return stages(trace, scanner.judge(trace, mask=True), scanner.pack.manifest)


def of(found: tuple[Stage, ...], kind: str) -> Stage:
    return next(stage for stage in found if stage.kind == kind)


def pixels(stage: Stage, side: int) -> NDArray[np.uint8]:
    return np.asarray(stage.picture((side, side)))


def test_every_step_has_its_picture_in_the_order_they_ran(scanner: Scanner) -> None:
    assert [stage.kind for stage in made(scanner)] == ["frame", "detector", "crop", "heat", "mask"]


def test_what_went_in_is_shown_pixel_by_pixel(scanner: Scanner) -> None:
    found = made(scanner)
    crop, detector = of(found, "crop"), of(found, "detector")
    assert crop.pixels is not None and detector.pixels is not None
    size = len(crop.pixels)
    assert np.array_equal(pixels(crop, size), crop.pixels)
    enlarged = pixels(crop, 3 * size)
    assert np.array_equal(enlarged[::3, ::3], crop.pixels) and np.array_equal(enlarged[2::3, 2::3], crop.pixels)
    bare = replace(detector, proposals=())
    assert np.array_equal(pixels(bare, len(detector.pixels)), detector.pixels), "its boxes are all that is added"


def test_sure_boxes_are_bright_faint_ones_dimmed_and_both_are_placed(scanner: Scanner) -> None:
    detector = of(made(scanner), "detector")
    assert detector.above == 1 < len(detector.proposals)
    shown = pixels(detector, 512)
    for colour in (SURE, FAINT):
        assert (shown == colour).all(axis=2).any()
    assert all(0 <= share <= 1 for place in detector.places() for share in place)
    # Letterboxed: the wide photograph lies in the middle of its square.
    (x, y), box = detector.places()[0], detector.proposals[0].box
    assert (x, y) == pytest.approx((box.x0 / 360, (box.y0 + 80) / 360), abs=1e-6)


def test_heat_and_mask_are_painted_on_what_they_are_of(scanner: Scanner) -> None:
    found = made(scanner)
    assert of(found, "heat").pixels is of(found, "crop").pixels
    assert not np.array_equal(pixels(of(found, "heat"), 64), pixels(of(found, "crop"), 64))
    assert (pixels(of(found, "mask"), 256) == 255).all(axis=2).any(), "a white line"


def test_what_was_refused_has_a_crop_and_nothing_more(scanner: Scanner) -> None:
    found = made(scanner, tiny_pack.skin_with_spots(((40, 90, 200), 128, 128, 50)))
    assert [stage.kind for stage in found] == ["frame", "detector", "crop"]
    assert of(found, "crop").lesion is None


def test_marked_by_hand_the_detector_has_no_picture(scanner: Scanner) -> None:
    assert [stage.kind for stage in made(scanner, whole=True)] == ["frame", "crop", "heat", "mask"]


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (2000, 2000)])
def test_each_fits_into_any_room(scanner: Scanner, size: tuple[int, int]) -> None:
    for stage in made(scanner):
        width, height = stage.picture(size).size
        assert 1 <= width <= size[0] and 1 <= height <= size[1]
