"""How many multiply-adds a graph takes, apart for those in int8 and those in float: what another machine will need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper, shape_inference

from ..siglip.scores import ATTENTION

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operations:
    """Multiply-adds of one run with one image."""

    int8: int = 0
    floating: int = 0
    weights: int = 0
    """Bytes of weights, as stored."""

    def __add__(self, other: Operations) -> Operations:
        return Operations(self.int8 + other.int8, self.floating + other.floating, self.weights + other.weights)

    def __mul__(self, times: int) -> Operations:
        """So many runs of it; the weights stay one."""
        return Operations(self.int8 * times, self.floating * times, self.weights)


def count(path: Path) -> Operations:
    """Convolutions and matrix products; all else together is a few percent of them."""
    model = onnx.load(str(path), load_external_data=False)
    weights = sum(_bytes(tensor) for tensor in model.graph.initializer)
    _fix_batch(model)
    plain, heads = _without_fused_attention(model)
    graph = shape_inference.infer_shapes(plain, data_prop=True).graph
    return _counted(graph, heads, {}, {}) + Operations(weights=weights)


Shapes = Mapping[str, Shape | None]
Makers = Mapping[str, onnx.NodeProto]


def _counted(graph: onnx.GraphProto, heads: set[str], around: Shapes, made_around: Makers) -> Operations:
    """With the shapes and the nodes of the graph that this one is a body in."""
    known = (*graph.input, *graph.output, *graph.value_info)
    shapes = {**around, **{info.name: _shape(info) for info in known}}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    narrow = {tensor.name for tensor in graph.initializer if tensor.data_type in _NARROW}
    makers = {**made_around, **{name: node for node in graph.node for name in node.output}}
    total = Operations()
    for node in graph.node:
        if node.name in heads:
            total += Operations(floating=_attention([_known(shapes, name, node) for name in node.input]))
        elif node.op_type == "Scan":
            total += _scanned(node, heads, shapes, makers)
        elif node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm", "MatMulInteger", "ConvInteger", "QLinearConv"):
            macs = _multiply_adds(node, shapes)
            rounded = node.op_type.endswith("Integer") or node.op_type.startswith("QLinear")
            rounded = rounded or (_comes_from(node.input[1], makers, narrow) and _is_rounded(node.input[0], makers))
            total += Operations(int8=macs) if rounded else Operations(floating=macs)
    return total


def _scanned(node: onnx.NodeProto, heads: set[str], shapes: Shapes, makers: Makers) -> Operations:
    """As often as its inputs are long, along the first side."""
    body = next(a.g for a in node.attribute if a.name == "body")
    return _counted(body, heads, shapes, makers) * _known(shapes, node.input[-1], node)[0]


_NARROW = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)


def _bytes(tensor: onnx.TensorProto) -> int:
    return int(math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _fix_batch(model: onnx.ModelProto) -> None:
    for value in model.graph.input:
        for side in value.type.tensor_type.shape.dim:
            if not side.HasField("dim_value"):
                side.dim_value = 1


def _without_fused_attention(model: onnx.ModelProto) -> tuple[onnx.ModelProto, set[str]]:
    """ONNX Runtime's own attention keeps ONNX from telling shapes: a node that gives its query stands in for it."""
    names = set()
    for number, node in enumerate(model.graph.node):
        if node.op_type == ATTENTION:
            node.name = node.name or f"attention {number}"
            names.add(node.name)
            node.op_type, node.domain = "Sum", ""
            query, key, value = node.input[:3]
            node.input[:] = [query, key, value]
            del node.attribute[:]
    return model, names


def _attention(shapes: list[Shape]) -> int:
    """Queries times keys, and the result times values."""
    (batch, rows, wide), (_, keys, _), (_, _, deep) = shapes
    return batch * rows * keys * (wide + deep)


def _shape(info: onnx.ValueInfoProto) -> Shape | None:
    sides = info.type.tensor_type.shape.dim
    return tuple(s.dim_value for s in sides) if all(s.HasField("dim_value") for s in sides) else None


def _known(shapes: Shapes, name: str, node: onnx.NodeProto) -> Shape:
    shape = shapes.get(name)
    if shape is None:
        raise ValueError(f"{node.op_type} {node.name}: the shape of {name} is not known, so nothing can be counted")
    return shape


def _multiply_adds(node: onnx.NodeProto, shapes: Shapes) -> int:
    out = _known(shapes, node.output[0], node)
    if node.op_type == "ConvTranspose":
        kernel = _known(shapes, node.input[1], node)
        return math.prod(_known(shapes, node.input[0], node)) * math.prod(kernel[1:])
    if "Conv" in node.op_type:
        kernel = _known(shapes, node.input[3 if node.op_type == "QLinearConv" else 1], node)
        return math.prod(out) * math.prod(kernel[1:])
    first = _known(shapes, node.input[0], node)
    turned = any(a.name == "transA" and a.i for a in node.attribute)
    return math.prod(out) * (first[0] if turned else first[-1])


def _comes_from(name: str, makers: Makers, narrow: set[str]) -> bool:
    maker = makers.get(name)
    return maker is not None and maker.op_type == "DequantizeLinear" and maker.input[0] in narrow


def _is_rounded(name: str, makers: Makers) -> bool:
    maker = makers.get(name)
    return maker is not None and maker.op_type == "DequantizeLinear"
