"""The counter against sums done by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dermedge_export.peers.operations import Operations, count


def write(path: Path, nodes: list[onnx.NodeProto], sides: list[int | str], arrays: dict[str, np.ndarray]) -> Path:
    """A graph from `x` of these sides to `y`."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def zeros(*shape: int, kind: type = np.float32) -> np.ndarray:
    return np.zeros(shape, kind)


def test_a_convolution_is_counted_by_its_outputs_and_kernel(tmp_path: Path) -> None:
    conv = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    found = count(write(tmp_path / "g.onnx", [conv], ["n", 3, 8, 8], {"w": zeros(16, 3, 3, 3)}))
    assert found == Operations(floating=16 * 4 * 4 * 27, weights=16 * 27 * 4)


def test_a_depthwise_convolution_costs_one_channel_each(tmp_path: Path) -> None:
    conv = helper.make_node("Conv", ["x", "w"], ["y"], group=8, pads=[1, 1, 1, 1])
    assert count(write(tmp_path / "g.onnx", [conv], [1, 8, 4, 4], {"w": zeros(8, 1, 3, 3)})).floating == 8 * 16 * 9


def test_a_transposed_convolution_is_counted_by_its_inputs(tmp_path: Path) -> None:
    conv = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    assert count(write(tmp_path / "g.onnx", [conv], [1, 4, 5, 5], {"w": zeros(4, 6, 2, 2)})).floating == 100 * 24


@pytest.mark.parametrize(("kind", "kernel"), [("MatMul", (5, 7)), ("Gemm", (5, 7))])
def test_a_product_is_counted_by_its_outputs_and_depth(tmp_path: Path, kind: str, kernel: tuple[int, int]) -> None:
    product = helper.make_node(kind, ["x", "w"], ["y"])
    found = count(write(tmp_path / "g.onnx", [product], [3, 5], {"w": zeros(*kernel)}))
    assert found.floating == 3 * 5 * 7


def test_weights_and_activations_in_int8_count_as_int8_and_weights_alone_do_not(tmp_path: Path) -> None:
    arrays = {"scale": np.float32(1).reshape(()), "zero": np.zeros((), np.uint8), "w": zeros(4, 3, 1, 1, kind=np.int8)}
    unpack = helper.make_node("DequantizeLinear", ["w", "scale"], ["unpacked"])
    rounded = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        unpack,
        helper.make_node("Conv", ["d", "unpacked"], ["y"]),
    ]
    work = 4 * 3 * 6 * 6
    assert count(write(tmp_path / "q.onnx", rounded, [1, 3, 6, 6], arrays)).int8 == work
    exact = [unpack, helper.make_node("Conv", ["x", "unpacked"], ["y"])]
    found = count(write(tmp_path / "f.onnx", exact, [1, 3, 6, 6], arrays))
    assert (found.int8, found.floating) == (0, work)


def test_fused_attention_is_counted_and_what_follows_it_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MultiHeadAttention", ["x", "x", "x"], ["a"], domain="com.microsoft", num_heads=2),
        helper.make_node("MatMul", ["a", "w"], ["y"]),
    ]
    found = count(write(tmp_path / "g.onnx", nodes, ["n", 10, 8], {"w": zeros(8, 3)}))
    assert found.floating == 10 * 10 * 16 + 10 * 8 * 3


def test_a_graph_that_hides_its_shapes_is_an_error_and_no_low_count(tmp_path: Path) -> None:
    mystery = helper.make_node("Mystery", ["x"], ["m"], domain="com.microsoft")
    nodes = [mystery, helper.make_node("MatMul", ["m", "w"], ["y"])]
    with pytest.raises(ValueError, match="the shape of m is not known"):
        count(write(tmp_path / "g.onnx", nodes, [1, 4], {"w": zeros(4, 4)}))


def test_several_runs_share_their_weights() -> None:
    assert Operations(2, 3, 10) * 4 + Operations(1, 1, 5) == Operations(9, 13, 15)


def test_the_embedded_detector_is_as_large_as_its_architecture_says() -> None:
    """YOLOv8n: 4.4 G multiply-adds at 640 pixels with 80 classes; a quarter of that at 320, a little less with one."""
    path = Path(__file__).parents[3] / "artifacts" / "compact" / "detector.onnx"
    side = onnx.load(str(path)).graph.input[0].type.tensor_type.shape.dim[1].dim_value
    assert 0.85 < count(path).floating / (4.4e9 * (side / 640) ** 2) < 1.05
