"""Attention's scores in int8: queries times keys by whole numbers, softmax and values in float, a head at a time.

One head's scores stay in the processor's caches; those of all heads together would be written out to memory and
read again, which costs what the whole numbers gain (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

ATTENTION = "MultiHeadAttention"
STEPS = 64
"""Of a key to either side of zero; queries have 255. More would overflow silently on x86 without VNNI."""
TINY = 1e-12
"""Keys that are zero throughout still need a step."""


def in_int8(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Replace each fused attention, in place."""
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    for node in nodes:
        graph.graph.node.extend(_spelled_out(node) if node.op_type == ATTENTION else [node])
    if len(graph.graph.node) > len(nodes):
        graph.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (
                ("scores/step", np.float32(1 / STEPS)), ("scores/least", np.float32(TINY)), ("scores/zero", np.int8(0)),
                ("scores/flat", np.array([0, 0, -1], np.int64)),
            )
        )  # fmt: skip
    return graph


def _spelled_out(node: NodeProto) -> Iterable[NodeProto]:
    """Of queries, keys and values [crops, patches, width] in float."""
    queries, keys, values = node.input[:3]
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    told = _Names(node.output[0])
    heads = [0, 0, given["num_heads"], -1]
    yield told.node("DynamicQuantizeLinear", [queries], "queries", "query step", "query zero")
    yield told.node("ReduceMax", [keys], "highest key", keepdims=0)
    yield told.node("ReduceMin", [keys], "lowest key", keepdims=0)
    yield told.node("Neg", told("lowest key"), "depth of keys")
    yield told.node("Max", [*told("highest key", "depth of keys"), "scores/least"], "reach of keys")
    yield told.node("Mul", [*told("reach of keys"), "scores/step"], "key step")
    yield told.node("QuantizeLinear", [keys, *told("key step"), "scores/zero"], "keys")
    yield told.constant("factor", np.float32(given["scale"]))
    yield told.node("Mul", told("query step", "factor"), "scaled query step")
    yield told.constant("heads", np.array(heads, np.int64))
    for part, source in (("queries", told("queries")), ("keys", told("keys")), ("values", [values])):
        yield told.node("Reshape", [*source, *told("heads")], f"{part} in heads")
        yield told.node("Transpose", told(f"{part} in heads"), f"{part} by head", perm=[2, 0, 1, 3])
    yield told.node(
        "Scan", told("queries by head", "keys by head", "values by head"), "mixed by head",
        num_scan_inputs=3, body=_one_head(told),
    )  # fmt: skip
    yield told.node("Transpose", told("mixed by head"), "mixed in heads", perm=[1, 2, 0, 3])
    yield helper.make_node("Reshape", [*told("mixed in heads"), "scores/flat"], [node.output[0]], f"{told.place}/mixed")


def _one_head(told: _Names) -> onnx.GraphProto:
    """Steps and the queries' zero are the same for all heads, and come from outside."""
    nodes = [
        told.node("Transpose", told("head's keys"), "head's keys turned", perm=[0, 2, 1]),
        told.node(
            "MatMulInteger", [*told("head's queries", "head's keys turned", "query zero"), "scores/zero"], "products"
        ),
        told.node("Cast", told("products"), "cast", to=TensorProto.FLOAT),
        # In here, although it is the same for all heads: so ONNX Runtime makes one operator of these four.
        told.node("Mul", told("scaled query step", "key step"), "step"),
        told.node("Mul", told("cast", "step"), "scores"),
        told.node("Softmax", told("scores"), "weights", axis=-1),
        told.node("MatMul", told("weights", "head's values"), "head's mixed"),
    ]
    kinds = {"head's queries": TensorProto.UINT8, "head's keys": TensorProto.INT8, "head's values": TensorProto.FLOAT}
    inputs = [helper.make_tensor_value_info(*told(name), kind, None) for name, kind in kinds.items()]
    output = helper.make_tensor_value_info(*told("head's mixed"), TensorProto.FLOAT, None)
    return helper.make_graph(nodes, "one head", inputs, [output])


class _Names:
    """Names of one attention's values, told from those of the others by where they stand."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __call__(self, *names: str) -> list[str]:
        return [f"{self.place}/{name}" for name in names]

    def node(self, kind: str, inputs: list[str], *outputs: str, **attributes: object) -> NodeProto:
        return helper.make_node(kind, inputs, self(*outputs), f"{self.place}/{outputs[0]}", **attributes)

    def constant(self, name: str, value: np.ndarray | np.generic) -> NodeProto:
        return helper.make_node("Constant", [], self(name), value=numpy_helper.from_array(np.asarray(value)))
