"""A quantized graph taken back to float answers as the float graph did that it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from dermedge_export.compact.network import NetworkSettings, Tower, imagenet_weights, load_imagenet
from dermedge_export.compact.quantize_tower import quantize
from dermedge_export.compact.tower_graph import build
from dermedge_export.onnx_file import halve_weights
from dermedge_export.peers.float_graph import float_graph
from dermedge_export.peers.torch_network import TorchNetwork

SIZE = 64


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def exact() -> onnx.ModelProto:
    torch.manual_seed(0)
    tower = Tower(NetworkSettings("lite0", dimension=16)).eval()
    load_imagenet(tower.backbone, imagenet_weights("lite0"))
    return build(tower, SIZE)


@pytest.fixture(scope="module")
def rounded(
    exact: onnx.ModelProto, crops: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> onnx.ModelProto:
    folder = tmp_path_factory.mktemp("int8")
    source, target = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(exact, str(source))
    quantize(source, target, crops, float_layers=8)
    return onnx.load(str(target))


def answers(model: onnx.ModelProto, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(("embedding", "patches"), session.run(["embedding", "patches"], {"crop": crops}), strict=True))


def test_no_rounding_is_left_and_every_limit_is_back(exact: onnx.ModelProto, rounded: onnx.ModelProto) -> None:
    kinds = [node.op_type for node in float_graph(rounded).graph.node]
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(kinds)
    assert "DequantizeLinear" in [node.op_type for node in rounded.graph.node]
    assert kinds.count("Clip") == [node.op_type for node in exact.graph.node].count("Clip")


def test_it_answers_like_the_graph_it_was(
    exact: onnx.ModelProto, rounded: onnx.ModelProto, crops: NDArray[np.uint8]
) -> None:
    wanted, found = (answers(model, crops)["embedding"] for model in (exact, float_graph(rounded)))
    assert (wanted * found).sum(axis=1).min() > 0.95  # weights of seven bits, pictures of noise


def test_weights_stored_as_float16_become_float32(exact: onnx.ModelProto, crops: NDArray[np.uint8]) -> None:
    copy = onnx.ModelProto()
    copy.CopyFrom(exact)
    halved = halve_weights(copy)
    back = float_graph(halved)
    assert {tensor.data_type for tensor in back.graph.initializer} <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert np.array_equal(answers(halved, crops)["embedding"], answers(back, crops)["embedding"])


def test_torch_gives_the_same_answers(rounded: onnx.ModelProto, crops: NDArray[np.uint8], tmp_path: Path) -> None:
    graph = float_graph(rounded)
    torch.save(TorchNetwork(graph), tmp_path / "network.pt")
    loaded = torch.load(tmp_path / "network.pt", weights_only=False)
    wanted = answers(graph, crops)
    for network in (loaded, TorchNetwork(graph, channels_last=True)):
        found = network.answer(crops)
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_torch_gives_nearly_the_same_answers_in_bfloat16(rounded: onnx.ModelProto, crops: NDArray[np.uint8]) -> None:
    graph = float_graph(rounded)
    network = TorchNetwork(graph, torch.bfloat16)
    wanted, found = answers(graph, crops)["embedding"], network.answer(crops)["embedding"]
    assert (wanted * found).sum(axis=1).min() > 0.99
    assert not np.array_equal(wanted, found)
