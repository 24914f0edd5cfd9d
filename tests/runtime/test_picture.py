"""Views of a scan for screens: their size, what is drawn, and that coordinates survive shrinking and enlarging."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

import tiny_pack
from dermedge import Box, Scan, Scanner, place, shrunk, view


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scan]:
    pack = tiny_pack.build(tmp_path_factory.mktemp("pack"))
    photo = tiny_pack.skin_with_spots(("melanoma", 120, 130, 50), ("melanocytic-nevus", 300, 150, 40), size=(400, 250))
    with Scanner.open(pack) as scanner:
        scan = scanner.scan(photo, mask=True)
    assert len(scan.lesions) == 2
    yield scan


@pytest.mark.parametrize("room", [(40, 36), (1, 1), (1000, 20), (20, 1000), (800, 800)])
def test_a_view_fills_its_room_and_keeps_the_aspect(scan: Scan, room: tuple[int, int]) -> None:
    picture = view(scan, room)
    assert picture.width <= room[0] and picture.height <= room[1]
    assert picture.width == room[0] or picture.height == room[1]
    assert picture.width / picture.height == pytest.approx(1.6, abs=0.1) or min(picture.size) < 20


@pytest.mark.parametrize("side", [64, 800])
@pytest.mark.parametrize("what", ["boxes", "heat", "mask"])
def test_each_thing_that_is_asked_for_is_drawn(scan: Scan, side: int, what: str) -> None:
    bare = np.asarray(view(scan, (side, side), boxes=False))
    drawn = np.asarray(view(scan, (side, side), **{"boxes": False, what: True}))
    assert (bare != drawn).any()


def test_tags_can_be_left_to_the_screen(scan: Scan) -> None:
    tagged, bare = (np.asarray(view(scan, (800, 800), tags=tags)) for tags in (True, False))
    assert (tagged != bare).any()


def test_an_enlarged_part_shows_that_part(scan: Scan) -> None:
    box = scan.lesions[0].box
    whole = view(scan, (400, 250), boxes=False)
    part = view(scan, (round(box.width), round(box.height)), part=box, boxes=False)
    expected = whole.crop((round(box.x0), round(box.y0), round(box.x1), round(box.y1))).resize(part.size)
    assert np.abs(np.asarray(part, np.int16) - np.asarray(expected, np.int16)).mean() < 6


@pytest.mark.parametrize(
    "part", [Box(-500, -500, -400, -400), Box(390, 240, 900, 900), Box(10, 10, 10, 10), Box(-9, -9, 9000, 9000)]
)
def test_a_part_beside_the_photograph_is_moved_onto_it(scan: Scan, part: Box) -> None:
    assert isinstance(view(scan, (60, 60), part=part, heat=True, mask=True), Image.Image)


def test_a_shrunk_scan_gives_the_same_view_with_fewer_pixels(scan: Scan) -> None:
    small = shrunk(scan, 100)
    assert small.photo.pixels.shape == (62, 100, 3)
    assert small.lesions == scan.lesions and (small.photo.width, small.photo.height) == (400, 250)
    a, b = (np.asarray(view(s, (50, 50), heat=True, mask=True), np.int16) for s in (scan, small))
    assert np.abs(a - b).mean() < 4
    assert shrunk(scan, 4000) is scan


def test_a_number_is_placed_where_its_box_begins(scan: Scan) -> None:
    lesion = scan.lesions[0]
    whole = place(scan, lesion)
    assert whole == pytest.approx((lesion.box.x0 / 400, lesion.box.y0 / 250))
    assert place(scan, lesion, lesion.box) == pytest.approx((0, 0))
    assert place(scan, lesion, scan.lesions[1].box) is None
