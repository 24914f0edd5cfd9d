"""Writes a trained tower as an ONNX graph: crops in, embedding and its patches out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .network import Block, NetworkSettings, SameConv, Tower

OPSET = 17
STRIDE = 32
# Nodes of the tail carry this prefix: they stay in float when the graph is quantized.
TAIL = "tail/"


class GraphWriter:
    """Appends nodes one after the other. Batch norms are folded into their convolutions on the way."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, output: str | None = None, **attributes: object) -> str:
        result = output or f"{name}_out"
        self.nodes.append(helper.make_node(kind, inputs, [result], name=name, **attributes))
        return result

    def convolution(self, x: str, name: str, conv: SameConv, norm: nn.BatchNorm2d, active: bool) -> str:
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        kernel = (conv.weight * gain.view(-1, 1, 1, 1)).detach().numpy()
        bias = (norm.bias - norm.running_mean * gain).detach().numpy()
        left, right = conv.margins[:2] if conv.margins else (conv.padding[0], conv.padding[0])
        x = self.node(
            "Conv",
            [x, self.constant(f"{name}.weight", kernel), self.constant(f"{name}.bias", bias)],
            name,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            group=conv.groups,
            pads=[left, left, right, right],
        )
        return self.node("Clip", [x, "zero", "six"], f"{name}/relu6") if active else x

    def chain(self, x: str, name: str, layers: list[nn.Module]) -> str:
        for index, layer in enumerate(layers):
            if isinstance(layer, Block):
                y = self.chain(x, f"{name}.{index}", list(layer.layers))
                x = self.node("Add", [x, y], f"{name}.{index}/add") if layer.residual else y
            elif isinstance(layer, SameConv):
                norm = layers[index + 1]
                assert isinstance(norm, nn.BatchNorm2d)
                active = index + 2 < len(layers) and isinstance(layers[index + 2], nn.ReLU6)
                x = self.convolution(x, f"{name}.{index}", layer, norm, active)
        return x


def build(tower: Tower, size: int) -> onnx.ModelProto:
    """The graph for crops of the given side (a multiple of 32)."""
    if size % STRIDE:
        raise ValueError(f"crop size {size} is no multiple of {STRIDE}")
    writer = GraphWriter()
    for name, value in (("zero", 0.0), ("six", 6.0), ("mean", 127.0), ("spread", 1 / 128), ("tiny", 1e-12)):
        writer.constant(name, np.array(value, np.float32))
    patches, features = (size // STRIDE) ** 2, tower.projection.in_features
    x = writer.node("Cast", ["crop"], "head/float", to=TensorProto.FLOAT)
    x = writer.node("Transpose", [x], "head/channels_first", perm=[0, 3, 1, 2])
    x = writer.node("Sub", [x, "mean"], "head/centre")
    x = writer.node("Mul", [x, "spread"], "head/scale")
    x = writer.chain(x, "backbone", list(tower.backbone))
    shape = writer.constant("patch_shape", np.array([0, features, patches], np.int64))
    x = writer.node("Reshape", [x, shape], f"{TAIL}flatten")
    x = writer.node("Transpose", [x], f"{TAIL}patches_first", perm=[0, 2, 1])
    kernel = tower.projection.weight.detach().numpy().T
    x = writer.node("MatMul", [x, writer.constant("projection.weight", kernel)], f"{TAIL}project")
    bias = writer.constant("projection.bias", tower.projection.bias.detach().numpy())
    x = writer.node("Add", [x, bias], f"{TAIL}bias")
    share = writer.constant("share", np.array(1 / patches, np.float32))
    x = writer.node("Mul", [x, share], f"{TAIL}share")
    # The embedding is the sum of the very patches that are given out, so a saliency adds up exactly.
    axes = writer.constant("patch_axis", np.array([1], np.int64))
    total = writer.node("ReduceSum", [x, axes], f"{TAIL}sum", keepdims=1)
    norm = writer.node("ReduceL2", [total], f"{TAIL}norm", axes=[2], keepdims=1)
    norm = writer.node("Max", [norm, "tiny"], f"{TAIL}safe_norm")
    writer.node("Div", [x, norm], f"{TAIL}patches", output="patches")
    unit = writer.node("Div", [total, norm], f"{TAIL}unit")
    writer.node("Squeeze", [unit, axes], f"{TAIL}embedding", output="embedding")
    dimension = tower.projection.out_features
    graph = helper.make_graph(
        writer.nodes,
        "dermedge-compact-tower",
        [helper.make_tensor_value_info("crop", TensorProto.UINT8, ["n", size, size, 3])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dimension]),
            helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", patches, dimension]),
        ],
        writer.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="dermedge")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def load_tower(checkpoint: Path) -> Tower:
    """The weight-averaged tower of a training checkpoint."""
    return tower_of(torch.load(checkpoint, map_location="cpu", weights_only=True))


def tower_of(state: Mapping[str, Any]) -> Tower:
    tower = Tower(NetworkSettings(**state["network"]))
    tower.load_state_dict(state["average"])
    tower.eval()
    return tower
