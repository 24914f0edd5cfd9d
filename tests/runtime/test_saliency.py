from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import tiny_graphs
import tiny_pack
from dermedge.crop import cut, square_around
from dermedge.errors import UsageError
from dermedge.graph import GraphSettings
from dermedge.pack.verify import VerifiedPack, verify
from dermedge.result import Box, Crop, Photo, Saliency
from dermedge.saliency import agreement, explain, laid_over, occlusion, on_photo
from dermedge.scorer import Scorer
from dermedge.tower import Tower
from tiny_photo import photo_of

SIZE = tiny_graphs.TOWER_SIZE


@pytest.fixture(scope="module", params=[1, 8], ids=["one view", "eight views"])
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VerifiedPack:
    return verify(tiny_pack.build(tmp_path_factory.mktemp("pack"), views=request.param))


@pytest.fixture(scope="module")
def tower(pack: VerifiedPack) -> Tower:
    return Tower.open(pack, GraphSettings(provider="cpu", threads=1))


@pytest.fixture(scope="module")
def melanoma(pack: VerifiedPack) -> NDArray[np.float64]:
    return Scorer.open(pack).vector("phone", "melanoma")


def crop_of(photo: Photo, region: Box) -> Crop:
    return cut(photo, region, SIZE, "bilinear", (0, 0, 0))


def peak(heat: NDArray[np.float32]) -> tuple[float, float]:
    """Where the heat's mass lies, x and y in pixels."""
    y, x = np.mgrid[0:heat.shape[0], 0:heat.shape[1]] + 0.5
    return float((x * heat).sum() / heat.sum()), float((y * heat).sum() / heat.sum())


def test_heat_sums_up_to_the_cosine_that_was_scored(tower: Tower, melanoma: NDArray[np.float64]) -> None:
    image = tiny_pack.skin_with_spots(("melanoma", 90, 70, 40), size=(200, 160))
    crop = crop_of(photo_of(image), Box(20, 0, 180, 160))
    embedding = tower.embed(crop)
    saliency = explain(embedding, crop, melanoma, "melanoma")
    assert saliency.heat.sum() == pytest.approx(float(embedding.vector @ melanoma), abs=1e-5)
    assert (saliency.condition, saliency.region) == ("melanoma", crop.region)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("at", [(150, 120), (36, 36), (484, 36), (36, 364), (484, 364), (300, 250)])
def test_heat_lands_on_the_lesion_in_the_photograph(
    tower: Tower, melanoma: NDArray[np.float64], at: tuple[int, int], scale: float
) -> None:
    image = tiny_pack.skin_with_spots(("melanoma", *at, 32), size=(520, 400))
    photo = photo_of(image, scale)
    box = Box(at[0] - 32, at[1] - 32, at[0] + 32, at[1] + 32)
    crop = crop_of(photo, square_around(box, 520, 400, 2.0))
    heat = on_photo(explain(tower.embed(crop), crop, melanoma, "melanoma"), photo, (260, 200))
    assert heat.shape == (200, 260)
    x, y = peak(np.where(heat > 0.5, heat, 0))
    assert (2 * x, 2 * y) == pytest.approx(at, abs=6)


def test_heat_is_drawn_for_the_part_of_a_padded_square_that_shows_the_photograph() -> None:
    photo = photo_of(Image.new("RGB", (400, 200)))
    cells = np.zeros((8, 8), np.float32)
    cells[3, 1] = 1
    # The square reaches 100 pixels above and below; row 3 of 8 begins at y = 50.
    heat = on_photo(Saliency("melanoma", cells, Box(0, -100, 400, 300)), photo, (400, 200))
    assert peak(heat) == pytest.approx((75, 75), abs=4)
    assert heat.max() == pytest.approx(1, abs=0.05)


def test_nothing_is_drawn_outside_the_crops_square_nor_against_the_condition() -> None:
    photo = photo_of(Image.new("RGB", (100, 100)))
    region = Box(20, 30, 60, 70)
    heat = on_photo(Saliency("melanoma", np.ones((4, 4), np.float32), region), photo, (100, 100))
    assert (heat[30:70, 20:60] == 1).all()
    assert heat.sum() == 1600
    against = on_photo(Saliency("melanoma", -np.ones((4, 4), np.float32), region), photo, (100, 100))
    assert not against.any()


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3)])
def test_heat_fits_a_picture_of_any_shape(size: tuple[int, int]) -> None:
    photo = photo_of(Image.new("RGB", (100, 100)))
    heat = on_photo(Saliency("melanoma", np.ones((4, 4), np.float32), Box(90, 90, 100, 100)), photo, size)
    assert heat.shape == size[::-1]
    assert np.isfinite(heat).all()


def test_laid_over_keeps_the_values_of_its_grid() -> None:
    cells = np.arange(16, dtype=np.float32).reshape(4, 4)
    photo = photo_of(Image.new("RGB", (80, 80)))
    assert np.abs(laid_over(cells, photo.frame, photo, (4, 4)) - cells).max() < 1e-5


@pytest.mark.parametrize("condition", ["melanoma", "vascular-lesion"])
def test_occlusion_agrees_with_the_one_pass_heat_map(
    pack: VerifiedPack, tower: Tower, condition: str
) -> None:
    image = tiny_pack.skin_with_spots((condition, 60, 70, 42), size=(200, 200))
    crop = crop_of(photo_of(image), Box(0, 0, 200, 200))
    vector = Scorer.open(pack).vector("phone", condition)
    exact = explain(tower.embed(crop), crop, vector, condition)
    slow = occlusion(tower, crop, vector, condition)
    assert agreement(exact, slow) > 0.5
    mirrored = Saliency(condition, slow.heat[::-1, ::-1], slow.region)
    assert agreement(exact, mirrored) < 0.2


def test_hiding_the_lesion_costs_the_most(tower: Tower, melanoma: NDArray[np.float64]) -> None:
    image = tiny_pack.skin_with_spots(("melanoma", 50, 150, 30), size=(200, 200))
    heat = occlusion(tower, crop_of(photo_of(image), Box(0, 0, 200, 200)), melanoma, "melanoma", cells=4).heat
    assert int(heat.argmax()) in (8, 9, 12, 13)
    assert heat.max() > 0


@pytest.mark.parametrize("cells", [1, SIZE + 1])
def test_occlusion_with_impossible_cells_is_a_wrong_usage(
    tower: Tower, melanoma: NDArray[np.float64], cells: int
) -> None:
    crop = crop_of(photo_of(tiny_pack.plain((9, 9, 9))), Box(0, 0, 200, 200))
    with pytest.raises(UsageError, match="cells"):
        occlusion(tower, crop, melanoma, "melanoma", cells=cells)


GRID = np.arange(16, dtype=np.float32).reshape(4, 4)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (GRID, GRID, 1.0),
        (GRID, GRID + 0.01 * GRID**2, 1.0),
        (GRID, -GRID, -1.0),
        (GRID, np.ones((4, 4)), 0.0),
        (GRID, GRID // 8, 0.8677),
        (np.repeat(np.repeat(GRID, 4, 0), 4, 1), GRID, 1.0),
    ],
)
def test_agreement_is_a_rank_correlation(
    a: NDArray[np.floating], b: NDArray[np.floating], expected: float
) -> None:
    first, second = (Saliency("melanoma", heat.astype(np.float32), Box(0, 0, 9, 9)) for heat in (a, b))
    assert agreement(first, second) == pytest.approx(expected, abs=1e-3)
    assert agreement(second, first) == pytest.approx(expected, abs=1e-3)


def test_heat_maps_of_different_crops_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="two different crops"):
        agreement(Saliency("melanoma", GRID, Box(0, 0, 9, 9)), Saliency("melanoma", GRID, Box(0, 0, 8, 8)))
