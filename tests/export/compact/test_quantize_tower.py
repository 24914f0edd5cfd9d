"""int8 keeps the runtime's contract and most of the answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import tiny_collections
import tiny_tower
from dermedge.graph import Graph, GraphSettings
from dermedge.pack.manifest import TowerSpec
from dermedge.result import Box, Crop
from dermedge.tower import Tower, contract
from dermedge_export.compact.data import PADDING, Photo, Pixels, read_photos
from dermedge_export.compact.quantize_tower import (
    CropReader,
    calibration_crops,
    correct_shift,
    kept_in_float,
    projected,
    quantize,
)
from dermedge_export.compact.tower_graph import build

SIZE = tiny_tower.SIZE
FLOAT_LAYERS = 8


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    folder = tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=1, train=2)
    return read_photos(folder, ("ham", "pad", "isic", "negative"), ("train",))


@pytest.fixture(scope="module")
def crops(photos: list[Photo]) -> Pixels:
    return calibration_crops(photos, SIZE, 64)


@pytest.fixture(scope="module")
def graphs(photos: list[Photo], crops: Pixels, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    exact, rounded = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(build(tiny_tower.taught(photos), SIZE), exact)
    quantize(exact, rounded, crops, FLOAT_LAYERS)
    return exact, rounded


def opened(path: Path) -> Tower:
    spec = TowerSpec("tower.onnx", SIZE, "bicubic", 1.4, PADDING, 4)
    return Tower(Graph.open(path, GraphSettings("cpu", 1), *contract(spec), name="tower.onnx"), spec)


def test_the_runtime_opens_the_int8_tower_and_its_patches_add_up(graphs: tuple[Path, Path], crops: Pixels) -> None:
    exact, rounded = map(opened, graphs)
    away = []
    for crop in crops[::6]:
        seen = Crop(crop, Box(0, 0, SIZE, SIZE))
        wanted, found = exact.embed(seen), rounded.embed(seen)
        np.testing.assert_allclose(found.patches.sum((0, 1)), found.vector, atol=1e-5)
        away.append(float(wanted.vector @ found.vector))
    assert np.mean(away) > 0.95


def test_the_int8_graph_is_smaller_and_the_same_bytes_each_time(
    graphs: tuple[Path, Path], crops: Pixels, tmp_path: Path
) -> None:
    exact, rounded = graphs
    assert rounded.stat().st_size < 0.45 * exact.stat().st_size
    quantize(exact, tmp_path / "again.onnx", crops, FLOAT_LAYERS)
    assert (tmp_path / "again.onnx").read_bytes() == rounded.read_bytes()


def test_weights_have_seven_bits_and_the_first_layers_and_the_tail_stay_in_float(graphs: tuple[Path, Path]) -> None:
    graph = onnx.load(graphs[1]).graph
    weights = {t.name: t for t in graph.initializer}
    sources = {output: node for node in graph.node for output in node.output}
    seen = {True: 0, False: 0}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        in_float = int(node.name.removeprefix("backbone.").split(".")[0]) < FLOAT_LAYERS
        seen[in_float] += 1
        if in_float:
            assert weights[node.input[1]].data_type == onnx.TensorProto.FLOAT, node.name
        else:
            stored = onnx.numpy_helper.to_array(weights[sources[node.input[1]].input[0]])
            assert stored.dtype == np.int8, node.name
            assert np.abs(stored.astype(int)).max() <= 64, node.name
    assert min(seen.values()) > 5
    assert weights["projection.weight"].data_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize(
    ("name", "layers", "kept"),
    [
        ("backbone.0", 8, True),
        ("backbone.7.3/relu6", 8, True),
        ("backbone.8.0", 8, False),
        ("backbone.10/add", 8, False),
        ("backbone.10/add", 11, True),
        ("tail/project", 0, True),
        ("head/centre", 8, False),
    ],
)
def test_a_layer_is_kept_in_float_by_its_own_number(name: str, layers: int, kept: bool) -> None:
    assert kept_in_float(name, layers) is kept


def test_the_mean_error_of_rounding_is_taken_out_of_the_projection(
    graphs: tuple[Path, Path], crops: Pixels, tmp_path: Path
) -> None:
    exact = onnx.load(graphs[0])
    wanted = projected(exact, crops).mean(0)
    pushed = onnx.load(graphs[1])
    np.testing.assert_allclose(projected(pushed, crops).mean(0), wanted, atol=1e-4)
    for weight in pushed.graph.initializer:
        if weight.name == "projection.bias":
            weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) + 0.5, weight.name))
    onnx.save(pushed, tmp_path / "pushed.onnx")
    assert np.abs(projected(pushed, crops).mean(0) - wanted).min() > 0.1
    correct_shift(graphs[0], tmp_path / "pushed.onnx", crops)
    np.testing.assert_allclose(projected(onnx.load(tmp_path / "pushed.onnx"), crops).mean(0), wanted, atol=1e-4)


def test_every_source_and_label_is_among_the_calibration_crops(photos: list[Photo]) -> None:
    kinds = {(p.source, p.label) for p in photos}
    common = replace(photos[0], image_id="again")
    crops = calibration_crops([*photos, *[common] * 200], SIZE, len(kinds))
    assert crops.shape == (len(kinds), SIZE, SIZE, 3)
    assert len({crop.tobytes() for crop in crops}) >= len(kinds) - 1
    np.testing.assert_array_equal(calibration_crops(photos, SIZE, 40), calibration_crops(photos, SIZE, 40))


def test_the_calibration_reader_gives_every_crop_once(crops: Pixels) -> None:
    reader, seen = CropReader(crops, 8), []
    while (batch := reader.get_next()) is not None:
        seen.append(batch["crop"])
    assert max(map(len, seen)) <= 8
    np.testing.assert_array_equal(np.concatenate(seen), crops)
