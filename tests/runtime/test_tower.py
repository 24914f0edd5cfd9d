from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tiny_graphs
import tiny_pack
from dermedge.crop import cut
from dermedge.errors import GraphInvalid
from dermedge.graph import Graph, GraphSettings
from dermedge.pack.manifest import TowerSpec
from dermedge.pack.verify import verify
from dermedge.result import Box, Crop
from dermedge.tower import VIEWS, Tower, contract, turned
from tiny_photo import photo_of

SIZE = tiny_graphs.TOWER_SIZE
SETTINGS = GraphSettings(provider="cpu", threads=1)


def tower(views: int, model: onnx.ModelProto | None = None) -> Tower:
    spec = TowerSpec("tower.onnx", SIZE, "bilinear", 1.5, (0, 0, 0), views)  # type: ignore[arg-type]
    model = model or tiny_graphs.tower()
    return Tower(Graph.open(model.SerializeToString(), SETTINGS, *contract(spec)), spec)


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


@pytest.mark.parametrize("views", [1, 4])
def test_many_crops_at_once_get_the_vectors_that_each_gets_alone(crop: Crop, views: int) -> None:
    rng = np.random.default_rng(0)
    pictures = np.stack([np.roll(crop.pixels, rng.integers(SIZE, size=2), (0, 1)) for _ in range(19)])
    together = tower(views).vectors(pictures)
    alone = [tower(views).embed(Crop(picture, crop.region)).vector for picture in pictures]
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
