"""One attention of the large tower's kind, small."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

PATCHES, HEADS, DEPTH = 50, 4, 8
WIDTH = HEADS * DEPTH


def fused(*outputs: tuple[str, int]) -> onnx.ModelProto:
    """ONNX Runtime's own operator, from queries, keys and values to `y`; `outputs` name what is to be seen besides."""
    node = helper.make_node(
        "MultiHeadAttention", ["q", "k", "v"], ["y"], "a", domain="com.microsoft", num_heads=HEADS, scale=DEPTH**-0.5
    )
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["crops", PATCHES, WIDTH]) for name in "qkv"],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in (("y", TensorProto.FLOAT), *outputs)],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def given(crops: int = 2, loud: float = 1.0) -> dict[str, NDArray[np.float32]]:
    """Queries, keys and values."""
    rng = np.random.default_rng(4)
    return {name: (loud * rng.standard_normal((crops, PATCHES, WIDTH))).astype(np.float32) for name in "qkv"}
