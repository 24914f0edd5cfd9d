"""A float graph as torch modules run eagerly: what one has who never left the training framework.

Each node becomes the module or the function that one would write for it by hand; batch norms were folded when the
graph was exported, which eager torch would otherwise pay for, and x * sigmoid(x) becomes one SiLU. A network can be
saved whole by `torch.save`: whoever loads it needs no ONNX.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dermedge.errors import UsageError

if TYPE_CHECKING:
    import onnx

Operation = Callable[..., Any]
CHANNELS_FIRST = (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Step:
    run: Operation
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    done_with: tuple[str, ...]
    """Values that nothing reads after this step: held longer, they would count as torch's memory."""


class TorchNetwork(nn.Module):
    """Takes uint8 pixels and gives the graph's outputs by name, as float32 arrays.

    Pixels come with their channels last. Customary loaders lay them out anew, channels first; with `channels_last`
    they stay as they are, and every convolution works on that layout.
    """

    def __init__(
        self, model: onnx.ModelProto, dtype: torch.dtype = torch.float32, *, channels_last: bool = False
    ) -> None:
        from onnx import numpy_helper

        super().__init__()
        graph = model.graph
        self.input = graph.input[0].name
        self.outputs = tuple(output.name for output in graph.output)
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.modules_by_node = nn.ModuleDict()
        self.constants: dict[str, Tensor] = {}
        nodes = _with_silu(list(graph.node))
        last = {name: index for index, node in enumerate(nodes) for name in node.input}
        self.steps: list[Step] = []
        for index, node in enumerate(nodes):
            operation, inputs = _operation(node, arrays, dtype)
            if isinstance(operation, partial) and operation.keywords.get("order") == CHANNELS_FIRST:
                operation = operation if channels_last else _channels_first
            if isinstance(operation, nn.Module):
                self.modules_by_node[str(index)] = operation
            for name in inputs:
                if name in arrays:
                    self.constants[name] = torch.from_numpy(np.array(arrays[name])).to(dtype)
            spent = (n for n in inputs if last.get(n) == index and n not in arrays and n not in self.outputs)
            self.steps.append(Step(operation, tuple(inputs), tuple(node.output), tuple(set(spent))))
        self.to(dtype).eval()

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        values = dict(self.constants)
        values[self.input] = pixels
        for step in self.steps:
            result = step.run(*[values[name] for name in step.inputs])
            if len(step.outputs) == 1:
                values[step.outputs[0]] = result
            else:
                values.update(zip(step.outputs, result, strict=True))
            for name in step.done_with:
                del values[name]
        return {name: values[name] for name in self.outputs}

    def answer(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        with torch.inference_mode():
            found = self(torch.from_numpy(np.array(pixels)))
            return {name: value.float().numpy() for name, value in found.items()}


def _with_silu(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """x * sigmoid(x) in one node, where nothing else reads the sigmoid."""
    from onnx import helper

    sigmoids = {node.output[0]: node for node in nodes if node.op_type == "Sigmoid"}
    uses = Counter(name for node in nodes for name in node.input)
    fused: list[onnx.NodeProto] = []
    gone: set[str] = set()
    for node in nodes:
        if node.op_type == "Mul":
            gate = next((sigmoids[n] for n in node.input if n in sigmoids and uses[n] == 1), None)
            if gate is not None and gate.input[0] in node.input:
                fused.append(helper.make_node("SiLU", [gate.input[0]], list(node.output), node.name))
                gone.add(gate.output[0])
                continue
        fused.append(node)
    return [node for node in fused if not (node.op_type == "Sigmoid" and node.output[0] in gone)]


def _operation(
    node: onnx.NodeProto, arrays: dict[str, NDArray[Any]], dtype: torch.dtype
) -> tuple[Operation, list[str]]:
    """What a node does, and the inputs that it still takes then."""
    from onnx import helper

    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    kind, inputs = node.op_type, list(node.input)
    constants = [arrays.get(name) for name in inputs]
    if kind in SIMPLE:
        return SIMPLE[kind], inputs
    if kind == "Conv":
        return _convolution(given, *(arrays[name] for name in inputs[1:])), inputs[:1]
    if kind == "Cast":
        return partial(_cast, dtype=dtype), inputs
    if kind == "Clip":
        low, high = (float(arrays[name].item()) for name in inputs[1:])
        return nn.ReLU6() if (low, high) == (0.0, 6.0) else nn.Hardtanh(low, high), inputs[:1]
    if kind == "MaxPool" and given["pads"][:2] == given["pads"][2:]:
        return nn.MaxPool2d(given["kernel_shape"], given["strides"], given["pads"][:2]), inputs
    if kind == "Resize" and given.get("mode", b"nearest") == b"nearest":
        return nn.Upsample(scale_factor=tuple(arrays[inputs[2]].tolist()[2:]), mode="nearest"), inputs[:1]
    if kind == "Transpose":
        return partial(_permute, order=tuple(given["perm"])), inputs
    if kind == "Concat":
        return partial(_concatenate, axis=given["axis"]), inputs
    if kind == "Softmax":
        return nn.Softmax(given.get("axis", -1)), inputs
    if kind == "Split":
        parts = len(node.output) if len(inputs) == 1 else arrays[inputs[1]].tolist()
        return partial(_split, parts=parts, axis=given.get("axis", 0)), inputs[:1]
    if kind == "Reshape" and constants[1] is not None:
        return partial(_reshape, shape=constants[1].tolist()), inputs[:1]
    if kind in REDUCTIONS:
        axes = given["axes"] if "axes" in given else arrays[inputs[1]].tolist()
        return partial(REDUCTIONS[kind], dim=tuple(axes), keepdim=bool(given.get("keepdims", 1))), inputs[:1]
    if kind == "Squeeze" and constants[1] is not None:
        return partial(torch.squeeze, dim=int(constants[1].item())), inputs[:1]
    raise UsageError(f"{kind} ({node.name}): the bench cannot say this in torch yet; teach torch_network.py")


SIMPLE: dict[str, Operation] = {
    "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "MatMul": torch.matmul,
    "Max": torch.maximum, "Sigmoid": torch.sigmoid, "SiLU": F.silu,
}  # fmt: skip
REDUCTIONS: dict[str, Operation] = {
    "ReduceSum": torch.sum, "ReduceMean": torch.mean, "ReduceL2": torch.linalg.vector_norm,
}  # fmt: skip


def _cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype)


def _permute(x: Tensor, order: tuple[int, ...]) -> Tensor:
    return x.permute(order)


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(CHANNELS_FIRST).contiguous()


def _concatenate(*parts: Tensor, axis: int) -> Tensor:
    return torch.cat(parts, axis)


def _reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """ONNX writes 0 for a side that stays."""
    return x.reshape([x.shape[place] if side == 0 else side for place, side in enumerate(shape)])


def _split(x: Tensor, parts: int | list[int], axis: int) -> Sequence[Tensor]:
    pieces: Sequence[Tensor] = torch.chunk(x, parts, axis) if isinstance(parts, int) else torch.split(x, parts, axis)
    return pieces


def _convolution(given: dict[str, Any], kernel: NDArray[Any], bias: NDArray[Any] | None = None) -> nn.Module:
    pads, groups = list(given.get("pads", (0, 0, 0, 0))), given.get("group", 1)
    even = pads[:2] == pads[2:]
    conv = nn.Conv2d(
        kernel.shape[1] * groups, kernel.shape[0], kernel.shape[2:], given.get("strides", (1, 1)),
        pads[:2] if even else 0, given.get("dilations", (1, 1)), groups, bias is not None,
    )  # fmt: skip
    conv.weight.data = torch.from_numpy(np.array(kernel))
    if bias is not None:
        conv.bias.data = torch.from_numpy(np.array(bias))
    if even:
        return conv
    top, left, bottom, right = pads
    return nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)
