"""What is written holds the network and nothing else, and is whole or not there at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from dermedge_export.onnx_file import halve_weights, save, scoped, strip, to_onnx


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3)))


def exported() -> onnx.ModelProto:
    return to_onnx(Net(), [torch.zeros(1, 3, 8, 8)], ["x"], ["y"])


def run(graph: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)


def test_the_graph_computes_what_the_module_computes(picture: np.ndarray) -> None:
    with torch.no_grad():
        wanted = Net().eval()(torch.from_numpy(picture)).numpy()
    np.testing.assert_allclose(run(strip(exported()), picture), wanted, atol=1e-5)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        save(strip(exported()), tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_nothing_of_the_machine_is_left_in_a_stripped_graph() -> None:
    text = strip(exported()).SerializeToString()
    for trace in (str(Path(__file__).parent), Path(__file__).name, "pkg.torch", "pytorch"):
        assert trace.encode() not in text


def test_nodes_are_found_by_the_submodule_they_came_from() -> None:
    graph = exported()
    kinds = {node.name: node.op_type for node in graph.graph.node}
    assert {kinds[name] for name in scoped(graph, "head")} & {"Gemm", "MatMul"}
    assert "Conv" in {kinds[name] for name in scoped(graph, "body")}
    assert not set(scoped(graph, "head")) & set(scoped(graph, "body"))
    assert scoped(graph, "hea") == []
    assert scoped(strip(graph), "head") == []


def test_halved_weights_are_stored_as_float16_and_answer_almost_the_same(picture: np.ndarray) -> None:
    graph = strip(exported())
    before, size = run(graph, picture), len(graph.SerializeToString())
    halved = halve_weights(graph)
    kinds = {t.name: t.data_type for t in halved.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds.values()
    assert all(np.prod(t.dims) < 256 for t in halved.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    assert len(halved.SerializeToString()) < size
    np.testing.assert_allclose(run(halved, picture), before, atol=2e-3)


def test_an_invalid_graph_is_not_written_over_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    save(strip(exported()), path)
    good = path.read_bytes()
    broken = strip(exported())
    broken.graph.node[0].input[0] = "nowhere"
    with pytest.raises(onnx.checker.ValidationError):
        save(broken, path)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]
