"""A pack's graph as the float network that it was before it was quantized, for runtimes that start from that.

Weights are those of the pack: int8 and float16 values written out as float32, so that nobody is given better or worse
ones. Rounding of activations is taken out; the limits that the quantizer folded into it are put back as Clip nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Arrays = dict[str, NDArray[Any]]
RELU6 = (0.0, 6.0)
"""What EfficientNet-Lite limits its activations to."""


def float_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in float32, in standard operators."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    arrays: Arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in out.graph.initializer}
    makers = {name: node for node in out.graph.node for name in node.output}
    renamed: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in out.graph.node:
        constant = _constant(node, arrays)
        if constant is not None:
            arrays[node.output[0]] = constant
        elif node.op_type == "DequantizeLinear":
            rounded = makers[node.input[0]]
            exact = renamed.get(rounded.input[0], rounded.input[0])
            renamed[node.output[0]] = _limited(exact, node.output[0], rounded, makers, arrays, nodes)
        elif node.op_type != "QuantizeLinear":
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [renamed.get(name, name) for name in node.input]
            nodes.append(copy)
    used = {name for node in nodes for name in node.input}
    del out.graph.node[:], out.graph.initializer[:], out.graph.value_info[:]
    out.graph.node.extend(nodes)
    out.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items() if n in used)
    onnx.checker.check_model(out)
    return out


def _constant(node: onnx.NodeProto, arrays: Arrays) -> NDArray[Any] | None:
    """The value of a node that only unpacks weights."""
    if not all(name in arrays for name in node.input if name):
        return None
    if node.op_type == "Cast":
        to = next(a.i for a in node.attribute if a.name == "to")
        return arrays[node.input[0]].astype(helper.tensor_dtype_to_np_dtype(to))
    if node.op_type == "DequantizeLinear":
        stored, scale, *zero = (arrays[name] for name in node.input)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = [-1 if side == axis else 1 for side in range(stored.ndim)] if scale.ndim else []
        shift = zero[0].astype(np.int64).reshape(shape) if zero else 0
        exact: NDArray[Any] = ((stored.astype(np.int64) - shift) * scale.reshape(shape)).astype(np.float32)
        return exact
    return None


def _limited(
    exact: str, name: str, rounded: onnx.NodeProto, makers: dict[str, onnx.NodeProto], arrays: Arrays,
    nodes: list[onnx.NodeProto],
) -> str:  # fmt: skip
    """A convolution whose rounded range begins at zero had its ReLU6 folded into the rounding."""
    maker = makers.get(rounded.input[0])
    if maker is None or maker.op_type != "Conv" or int(arrays[rounded.input[2]]) != 0:
        return exact
    limited = f"{exact}/limited"
    if not any(limited in node.output for node in nodes):
        low, high = f"{limited}/low", f"{limited}/high"
        arrays[low], arrays[high] = (np.array(limit, np.float32) for limit in RELU6)
        nodes.append(helper.make_node("Clip", [exact, low, high], [limited], f"{name}/relu6"))
    return limited
