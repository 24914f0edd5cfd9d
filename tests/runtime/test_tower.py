from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

import tiny_graphs
import tiny_pack
from dermedge.crop import cut
from dermedge.errors import GraphInvalid
from dermedge.graph import Graph, GraphSettings
from dermedge.pack.manifest import TowerSpec
from dermedge.pack.verify import verify
from dermedge.result import Box, Crop
from dermedge.tower import VIEWS, Tower, contract, turned, views_of
from tiny_photo import photo_of

SIZE = tiny_graphs.TOWER_SIZE
SETTINGS = GraphSettings(provider="cpu", threads=1)


def tower(views: int, model: onnx.ModelProto | None = None) -> Tower:
    spec = TowerSpec("tower.onnx", SIZE, "bilinear", 1.5, (0, 0, 0), views)  # type: ignore[arg-type]
    model = model or tiny_graphs.tower()
    return Tower(Graph.open(model.SerializeToString(), SETTINGS, *contract(spec)), spec)


def _prompt(condition: str) -> NDArray[np.float32]:
    """Where a crop full of a condition's colour lies."""
    pixels = np.asarray(tiny_pack.plain(tiny_graphs.SPOT_COLOURS[condition], (SIZE, SIZE)))
    return tower(1).embed(Crop(pixels, Box(0, 0, SIZE, SIZE))).vector


@pytest.fixture(scope="module")
def crop() -> Crop:
    """A melanoma's colour in the upper left, a nevus's in the lower middle: no view looks like another."""
    spots = (("melanoma", 14, 12, 9), ("melanocytic-nevus", 36, 50, 7))
    image = tiny_pack.skin_with_spots(*spots, size=(SIZE, SIZE))
    return cut(photo_of(image), Box(0, 0, SIZE, SIZE), SIZE, "bilinear", (0, 0, 0))


@pytest.mark.parametrize("views", [1, 2, 4, 8])
def test_vector_has_length_one_and_the_patches_sum_up_to_it(crop: Crop, views: int) -> None:
    embedding = tower(views).embed(crop)
    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-6)
    assert embedding.patches.shape == (tiny_graphs.GRID, tiny_graphs.GRID, tiny_graphs.DIMENSIONS)
    assert np.abs(embedding.patches.sum(axis=(0, 1)) - embedding.vector).max() < 1e-5


@pytest.mark.parametrize("views", [2, 4, 8])
def test_patches_of_all_views_are_turned_back_into_the_crops_orientation(crop: Crop, views: int) -> None:
    # This tower judges each patch by itself, so that every view must agree on where each share lies.
    one, many = tower(1).embed(crop), tower(views).embed(crop)
    assert np.abs(one.patches - many.patches).max() < 1e-4
    assert np.abs(one.vector - many.vector).max() < 1e-4


def test_the_eight_views_are_all_different_and_start_with_the_picture_itself(crop: Crop) -> None:
    seen = [turned(crop.pixels, view).tobytes() for view in VIEWS]
    assert len(set(seen)) == 8
    assert seen[0] == crop.pixels.tobytes()
    assert seen[1] == np.ascontiguousarray(crop.pixels[:, ::-1]).tobytes()
    assert {seen[2], seen[3]} == {crop.pixels[::-1].tobytes(), crop.pixels[::-1, ::-1].tobytes()}


CLOSE = Box(6, 4, 34, 32)
"""Around the melanoma's colour in `crop`."""


def test_every_second_view_shows_the_close_part_enlarged(crop: Crop) -> None:
    seen = views_of(crop.pixels, CLOSE, 4, "bilinear")
    part = (CLOSE.x0, CLOSE.y0, CLOSE.x1, CLOSE.y1)
    larger = np.asarray(Image.fromarray(crop.pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=part))
    for i, pixels in enumerate((crop.pixels, larger, crop.pixels, larger)):
        assert seen[i].tobytes() == np.ascontiguousarray(turned(pixels, VIEWS[i])).tobytes()


@pytest.mark.parametrize("views", [2, 8])
def test_what_close_views_say_is_laid_where_they_saw_it(crop: Crop, views: int) -> None:
    melanoma = _prompt("melanoma")
    wide, near = tower(views).embed(crop), tower(views).embed(replace(crop, close=CLOSE))
    assert near.patches.shape == (2 * tiny_graphs.GRID, 2 * tiny_graphs.GRID, tiny_graphs.DIMENSIONS)
    assert np.abs(near.patches.sum(axis=(0, 1)) - near.vector).max() < 1e-5
    assert near.vector @ melanoma > wide.vector @ melanoma + 0.05  # it fills the part, and not the crop
    row, column = np.unravel_index((near.patches @ melanoma).argmax(), near.patches.shape[:2])
    patch = SIZE / len(near.patches)
    assert CLOSE.x0 < (column + 0.5) * patch < CLOSE.x1
    assert CLOSE.y0 < (row + 0.5) * patch < CLOSE.y1


def test_a_close_part_that_is_the_whole_crop_changes_nothing(crop: Crop) -> None:
    plain, whole = tower(4).embed(crop), tower(4).embed(replace(crop, close=Box(0, 0, SIZE, SIZE)))
    assert np.abs(plain.vector - whole.vector).max() < 1e-6
    fours = whole.patches.reshape(tiny_graphs.GRID, 2, tiny_graphs.GRID, 2, -1).sum(axis=(1, 3))
    assert np.abs(fours - plain.patches).max() < 1e-5


@pytest.mark.parametrize(("views", "close"), [(1, None), (4, None), (4, CLOSE)])
def test_many_crops_at_once_get_the_vectors_that_each_gets_alone(crop: Crop, views: int, close: Box | None) -> None:
    rng = np.random.default_rng(0)
    pictures = np.stack([np.roll(crop.pixels, rng.integers(SIZE, size=2), (0, 1)) for _ in range(19)])
    together = tower(views).vectors(pictures, close)
    alone = [tower(views).embed(Crop(picture, crop.region, close)).vector for picture in pictures]
    assert np.abs(together - np.stack(alone)).max() < 1e-5


def test_embedding_cannot_be_written_to_and_is_the_same_every_time(crop: Crop) -> None:
    opened = tower(8)
    first, second = opened.embed(crop), opened.embed(crop)
    assert first.vector.tobytes() == second.vector.tobytes()
    assert first.patches.tobytes() == second.patches.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        first.vector[0] = 0


def test_the_tower_of_a_pack_opens(tmp_path_factory: pytest.TempPathFactory, crop: Crop) -> None:
    pack = verify(tiny_pack.build(tmp_path_factory.mktemp("pack"), external_data=True, views=2))
    opened = Tower.open(pack, SETTINGS)
    assert opened.provider == "CPUExecutionProvider"
    assert np.abs(opened.embed(crop).vector - tower(2).embed(crop).vector).max() < 1e-6


def broken(embedding: list[list[float]], patches: list[list[list[float]]]) -> onnx.ModelProto:
    """A tower that gives the same answer whatever it sees."""
    answers = {"embedding": np.array(embedding, np.float32), "patches": np.array(patches, np.float32)}
    graph = helper.make_graph(
        [helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value))
         for name, value in answers.items()],
        "g",
        [helper.make_tensor_value_info("crop", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
         for name, value in answers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


@pytest.mark.parametrize(
    ("embedding", "patches", "message"),
    [
        ([1.0, 0.0], [[0.5, 0.0]] * 4, "do not sum up"),
        ([0.5, 0.0], [[0.125, 0.0]] * 4, "not of length 1"),
        ([1.0, 0.0], [[0.5, 0.0]] * 2, "no square grid"),
        ([1.0, 0.0], [[0.25, 0.0, 0.0]] * 4, "no square grid"),
        ([float("nan"), 0.0], [[0.25, 0.0]] * 4, "NaN"),
    ],
)
def test_a_tower_that_breaks_its_promises_is_an_error(
    crop: Crop, embedding: list[float], patches: list[list[float]], message: str
) -> None:
    with pytest.raises(GraphInvalid, match=message):
        tower(1, broken([embedding], [patches])).embed(crop)


def test_views_that_cancel_each_other_out_are_an_error(crop: Crop) -> None:
    opposed = broken([[1.0, 0.0], [-1.0, 0.0]], [[[1.0, 0.0]], [[-1.0, 0.0]]])
    with pytest.raises(GraphInvalid, match="cancel each other out"):
        tower(2, opposed).embed(crop)


def test_rounding_of_a_quantized_tower_is_spread_over_its_patches(crop: Crop) -> None:
    embedding = tower(1, broken([[1.0, 0.0]], [[[0.251, 0.001]] * 4])).embed(crop)
    assert np.abs(embedding.patches.sum(axis=(0, 1)) - embedding.vector).max() < 1e-6
