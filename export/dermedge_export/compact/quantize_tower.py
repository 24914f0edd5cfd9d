"""Static int8 quantization of the tower graph, calibrated on training crops."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from .data import Photo, Pixels, evaluation_crop
from .tower_graph import TAIL


class CropReader(CalibrationDataReader):
    """Feeds crops in small batches."""

    def __init__(self, crops: Pixels, batch: int = 8) -> None:
        self.batches: Iterator[dict[str, Pixels]] = iter(
            [{"crop": crops[i : i + batch]} for i in range(0, len(crops), batch)]
        )

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self.batches, None)


def calibration_crops(photos: list[Photo], size: int, count: int, seed: int = 0) -> Pixels:
    """Evenly drawn from every source and label, so that no rare look is clipped."""
    rng = np.random.default_rng(seed)
    kinds: dict[tuple[str, str], list[Photo]] = {}
    for photo in photos:
        kinds.setdefault((photo.source, photo.label), []).append(photo)
    each = max(1, count // len(kinds))
    chosen = [m[i] for m in kinds.values() for i in rng.permutation(len(m))[:each]]
    return np.stack([evaluation_crop(photo, size) for photo in chosen])


def kept_in_float(name: str, float_layers: int) -> bool:
    """The tail and the first layers of the backbone.

    The first layers see the pixels: they hold 1 % of the weights and most of the quantization noise (centred
    cosine on an early checkpoint: .953 with eight of them in int8, .994 without), and cost little in float.
    """
    if name.startswith("backbone."):
        return int(name.removeprefix("backbone.").split(".")[0].split("/")[0]) < float_layers
    return name.startswith(TAIL)


def quantize(float_graph: Path, int8_graph: Path, crops: Pixels, float_layers: int) -> None:
    """Per-channel weights of 7 bits: the eighth overflows silently on x86 without VNNI."""
    with tempfile.TemporaryDirectory() as folder:
        prepared, result = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(float_graph), str(prepared), skip_symbolic_shape=True)
        kept = [node.name for node in onnx.load(prepared).graph.node if kept_in_float(node.name, float_layers)]
        quantize_static(
            str(prepared),
            str(result),
            CropReader(crops),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Add", "Clip"],
            nodes_to_exclude=kept,
        )
        shutil.move(result, int8_graph)
    correct_shift(float_graph, int8_graph, crops)


def projected(graph: onnx.ModelProto, crops: Pixels) -> NDArray[np.float32]:
    """Embeddings before they are normalised."""
    probe = onnx.ModelProto()
    probe.CopyFrom(graph)
    del probe.graph.output[:]
    probe.graph.output.append(onnx.helper.make_tensor_value_info(f"{TAIL}sum_out", onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    run = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    parts = [run.run(None, {"crop": crops[i : i + 16]})[0] for i in range(0, len(crops), 16)]
    return np.asarray(np.concatenate(parts)[:, 0], np.float32)


def correct_shift(float_graph: Path, int8_graph: Path, crops: Pixels) -> None:
    """Take the mean error that rounding left in the embedding out of the projection's bias."""
    exact, rounded = onnx.load(float_graph), onnx.load(int8_graph)
    shift = (projected(exact, crops) - projected(rounded, crops)).mean(0)
    for weight in rounded.graph.initializer:
        if weight.name == "projection.bias":
            corrected = onnx.numpy_helper.to_array(weight) + shift
            weight.CopyFrom(onnx.numpy_helper.from_array(corrected, weight.name))
    onnx.save(rounded, int8_graph)
