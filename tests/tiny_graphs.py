"""Small real ONNX graphs in the pack's contract: they look at colours and darkness, and learn nothing.

The tower measures how near each patch's colour is to sixteen reference colours; the detector looks for
windows darker than all four of their sides; the segmenter cuts at the mean darkness inside the box.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

TOWER_SIZE = 64
GRID = 8
DIMENSIONS = 16
DETECTOR_SIZE = 128
SEGMENTER_SIZE = 64

SPOT_COLOURS: dict[str, tuple[int, int, int]] = {
    "melanoma": (35, 30, 60),
    "basal-cell-carcinoma": (205, 110, 130),
    "squamous-cell-carcinoma": (165, 95, 95),
    "actinic-keratosis": (205, 130, 80),
    "melanocytic-nevus": (120, 75, 45),
    "seborrheic-keratosis": (150, 125, 50),
    "dermatofibroma": (165, 80, 165),
    "vascular-lesion": (180, 20, 40),
}
SKIN_COLOURS: dict[str, tuple[int, int, int]] = {"dermoscopy": (240, 200, 205), "phone": (230, 185, 155)}
OTHER_COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (255, 255, 255),
    (128, 128, 128),
    (60, 120, 200),
    (80, 170, 80),
    (240, 220, 60),
)

_DARKNESS_WEIGHTS = np.array([0.2, 0.5, 0.3], np.float32)
_CELL = 4
_WINDOWS = (3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 23, 26)
_OPSET = 17
_IR_VERSION = 8


class _Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[np.generic] | list[int]) -> str:
        array = np.array(value, np.int64) if isinstance(value, list) else value
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def node(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"n_{name}", **attributes))
        return name

    def unit_pixels(self, image: str) -> str:
        """uint8 [N, H, W, 3] -> float32 [N, 3, H, W] in 0..1."""
        scaled = self.node("Div", self.node("Cast", image, to=TensorProto.FLOAT), self.scalar(255))
        return self.node("Transpose", scaled, perm=[0, 3, 1, 2])

    def darkness(self, image: str) -> str:
        """uint8 [N, H, W, 3] -> float32 [N, 1, H, W]: 0 is white, 1 is black."""
        weights = self.constant(_DARKNESS_WEIGHTS.reshape(1, 3, 1, 1))
        light = self.node("Conv", self.unit_pixels(image), weights)
        return self.node("Sub", self.scalar(1), light)

    def model(
        self,
        inputs: dict[str, tuple[int, list[int | str]]],
        outputs: dict[str, tuple[int, list[int | str]]],
    ) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "tiny",
            [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in outputs.items()],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="tiny")
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model


def tower(size: int = TOWER_SIZE, grid: int = GRID) -> onnx.ModelProto:
    """`crop` -> `embedding` [N, 16] of length 1 and `patches` [N, grid*grid, 16] that sum up to it."""
    colours = np.array([*SPOT_COLOURS.values(), *SKIN_COLOURS.values(), *OTHER_COLOURS], np.float32) / 255
    # Skin surrounds every lesion: it weighs little, so that the lesion decides.
    weights = np.array([1.0] * len(SPOT_COLOURS) + [0.35] * len(SKIN_COLOURS) + [1.0] * len(OTHER_COLOURS))
    turn, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((DIMENSIONS, DIMENSIONS)))
    mix = (weights[:, None] * turn).astype(np.float32)

    g = _Graph()
    pooled = g.node("AveragePool", g.unit_pixels("crop"), kernel_shape=[size // grid] * 2, strides=[size // grid] * 2)
    rows = g.node("Reshape", g.node("Transpose", pooled, perm=[0, 2, 3, 1]), g.constant([0, grid * grid, 1, 3]))
    away = g.node("Sub", rows, g.constant(colours.reshape(1, 1, -1, 3)))
    squared = g.node("ReduceSum", g.node("Mul", away, away), g.constant([3]), keepdims=0)
    nearness = g.node("Exp", g.node("Mul", squared, g.scalar(-25)))
    shares = g.node("MatMul", nearness, g.constant(mix))
    total = g.node("ReduceSum", shares, g.constant([1]), keepdims=1)
    # The small constant keeps a colour that is near none of the references from dividing by zero.
    length = g.node("Add", g.node("ReduceL2", total, axes=[2], keepdims=1), g.scalar(1e-12))
    patches = g.node("Div", shares, length, output="patches")
    g.node("ReduceSum", patches, g.constant([1]), keepdims=0, output="embedding")
    return g.model(
        {"crop": (TensorProto.UINT8, ["N", size, size, 3])},
        {
            "embedding": (TensorProto.FLOAT, ["N", DIMENSIONS]),
            "patches": (TensorProto.FLOAT, ["N", grid * grid, DIMENSIONS]),
        },
    )


def detector(size: int = DETECTOR_SIZE) -> onnx.ModelProto:
    """`images` -> `boxes` [1, A, 5]; a window counts when mostly dark, with four lighter sides."""
    cells = size // _CELL
    g = _Graph()
    dark = g.node("AveragePool", g.darkness("images"), kernel_shape=[_CELL] * 2, strides=[_CELL] * 2)
    framed = g.node("Pad", dark, g.constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge")
    confidences, windows = [], []
    for window in (w for w in _WINDOWS if w <= cells):
        outer = window + 2
        side = np.zeros((4, outer, outer), np.float32)
        side[0, 0, :] = side[1, -1, :] = side[2, :, 0] = side[3, :, -1] = 1 / outer
        inner = np.zeros((outer, outer), np.float32)
        inner[1:-1, 1:-1] = 1 / window**2
        above_sides = g.node("Conv", framed, g.constant((inner - side)[:, None]))
        weakest = g.node("ReduceMin", above_sides, axes=[1], keepdims=1)
        around = g.node("Conv", framed, g.constant(side.mean(axis=0)[None, None]))
        darkest = g.node("MaxPool", dark, kernel_shape=[window] * 2, strides=[1, 1])
        # A disc fills 0.785 of its square; a window that is not half filled is too large for its spot.
        half = g.node("Mul", g.node("Sub", darkest, around), g.scalar(0.5))
        margin = g.node("Sub", g.node("Sub", weakest, half), g.scalar(0.015))
        confidence = g.node("Sigmoid", g.node("Mul", margin, g.scalar(80)))
        confidences.append(g.node("Reshape", confidence, g.constant([1, -1, 1])))
        y, x = np.mgrid[0 : cells - window + 1, 0 : cells - window + 1].reshape(2, -1) * _CELL
        windows.append(np.stack([x, y, x + window * _CELL, y + window * _CELL], axis=1))
    corners = np.concatenate(windows).astype(np.float32)[None]
    scores = g.node("Concat", *confidences, axis=1)
    g.node("Concat", g.constant(corners), scores, axis=2, output="boxes")
    return g.model(
        {"images": (TensorProto.UINT8, [1, size, size, 3])},
        {"boxes": (TensorProto.FLOAT, [1, corners.shape[1], 5])},
    )


def segmenter_encoder(size: int = SEGMENTER_SIZE) -> onnx.ModelProto:
    """`image` -> `features`: the darkness of every pixel."""
    g = _Graph()
    g.node("Identity", g.darkness("image"), output="features")
    return g.model(
        {"image": (TensorProto.UINT8, [1, size, size, 3])},
        {"features": (TensorProto.FLOAT, [1, 1, size, size])},
    )


def segmenter_decoder(size: int = SEGMENTER_SIZE) -> onnx.ModelProto:
    """`features` and `box` -> `mask` logits: above the mean darkness inside the box, and inside it."""
    middle = np.arange(size, dtype=np.float32) + 0.5
    g = _Graph()
    column, row = g.constant(middle.reshape(1, 1, -1)), g.constant(middle.reshape(1, -1, 1))
    x0, y0, x1, y1 = (
        g.node("Reshape", g.node("Gather", "box", g.constant([i]), axis=1), g.constant([1, 1, 1])) for i in range(4)
    )
    across = g.node("And", g.node("Less", x0, column), g.node("Less", column, x1))
    down = g.node("And", g.node("Less", y0, row), g.node("Less", row, y1))
    inside = g.node("And", across, down)
    weight = g.node("Cast", inside, to=TensorProto.FLOAT)
    dark = g.node("Squeeze", "features", g.constant([1]))
    amount = g.node("ReduceSum", g.node("Mul", dark, weight), g.constant([1, 2]), keepdims=1)
    area = g.node("Add", g.node("ReduceSum", weight, g.constant([1, 2]), keepdims=1), g.scalar(1e-6))
    above = g.node("Mul", g.node("Sub", dark, g.node("Div", amount, area)), g.scalar(40))
    g.node("Where", inside, above, g.scalar(-20), output="mask")
    return g.model(
        {
            "features": (TensorProto.FLOAT, [1, 1, size, size]),
            "box": (TensorProto.FLOAT, [1, 4]),
        },
        {"mask": (TensorProto.FLOAT, [1, size, size])},
    )


def write(model: onnx.ModelProto, path: Path, external: str | None = None) -> None:
    """Write a graph; with `external`, its weights (not its few shapes) go to that file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if external is None:
        path.write_bytes(model.SerializeToString())
    else:
        (path.parent / external).unlink(missing_ok=True)
        onnx.save_model(
            model,
            str(path),
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            location=external,
            size_threshold=100,
        )
