from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_pack
from dermedge.errors import PackError
from dermedge.graph import GraphSettings
from dermedge.pack.verify import verify
from dermedge.result import Box
from dermedge.saliency import laid_over
from dermedge.segmenter import Segmenter, edge, prompt
from tiny_photo import photo_of

SETTINGS = GraphSettings(provider="cpu", threads=1)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter.open(verify(tiny_pack.build(tmp_path_factory.mktemp("pack"))), SETTINGS)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(
    ("size", "spot"),
    [
        ((400, 300), (200, 150, 50)),
        ((400, 300), (52, 52, 50)),
        ((400, 300), (348, 52, 50)),
        ((400, 300), (52, 248, 50)),
        ((400, 300), (348, 248, 50)),
        # Its square leaves the photograph above and below.
        ((400, 120), (200, 60, 55)),
    ],
)
def test_the_mask_covers_the_spot_and_nothing_else(
    segmenter: Segmenter, size: tuple[int, int], spot: tuple[int, int, int], scale: float
) -> None:
    x, y, r = spot
    image = tiny_pack.skin_with_spots(("melanoma", *spot), size=size)
    photo = photo_of(image, scale)
    mask = segmenter.outline(photo, Box(x - r - 4, y - r - 4, x + r + 4, y + r + 4))
    seen = laid_over(mask.pixels, mask.region, photo, size) > 0.5
    rows, columns = np.mgrid[0:size[1], 0:size[0]] + 0.5
    truth = np.hypot(columns - x, rows - y) < r
    assert (seen & truth).sum() / (seen | truth).sum() > 0.9


def test_a_mask_cannot_be_written_to(segmenter: Segmenter) -> None:
    photo = photo_of(tiny_pack.skin_with_spots(("melanoma", 100, 100, 40), size=(200, 200)))
    mask = segmenter.outline(photo, Box(50, 50, 150, 150))
    assert mask.pixels.dtype == np.bool_
    with pytest.raises(ValueError, match="read-only"):
        mask.pixels[0, 0] = True


def test_one_plain_colour_has_no_lesion_to_outline(segmenter: Segmenter) -> None:
    photo = photo_of(Image.new("RGB", (200, 200), (0, 0, 0)))
    assert segmenter.outline(photo, Box(0, 0, 200, 200)).pixels.mean() < 0.5


def test_the_box_is_given_in_the_crops_pixels() -> None:
    assert prompt(Box(30, 40, 50, 80), Box(20, 20, 100, 100), 40).tolist() == [[5, 10, 15, 30]]


def test_a_pack_without_a_segmenter_says_so(tmp_path: Path) -> None:
    pack = verify(tiny_pack.build(tmp_path / "pack", segmenter=False))
    with pytest.raises(PackError, match="no segmenter"):
        Segmenter.open(pack, SETTINGS)


@pytest.mark.parametrize(
    ("thickness", "expected"),
    [(1, ["#####", "#...#", "#...#", "#...#", "#####"]), (2, ["#####", "#####", "##.##", "#####", "#####"]),
     (9, ["#####"] * 5)],
)
def test_edge_is_the_rim_of_a_mask(thickness: int, expected: list[str]) -> None:
    inside = np.zeros((9, 9), bool)
    inside[2:7, 2:7] = True
    drawn = ["".join("#" if on else "." for on in row[2:7]) for row in edge(inside, thickness)[2:7]]
    assert drawn == expected
    assert not edge(inside, thickness)[~inside].any()


def test_a_mask_that_reaches_the_border_is_closed_there() -> None:
    assert edge(np.ones((4, 4), bool)).sum() == 12
