"""YOLOv8n as a one-class lesion detector: load it from a checkpoint or from folded COCO weights, export it to ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from .onnx_file import halve_weights, save, scoped, strip, to_onnx
from .torchvision_absent import prepare_ultralytics

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

CLASS_NAME = "lesion"
ARCHITECTURE = "yolov8n.yaml"


class NotALesionDetectorError(Exception):
    """The weights know other classes than the one that this project detects."""


def new_model() -> DetectionModel:
    """An untrained YOLOv8n with the single class."""
    prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel(ARCHITECTURE, ch=3, nc=1, verbose=False)
    model.names = {0: CLASS_NAME}
    return model


def load_folded(path: Path, images: Iterable[torch.Tensor]) -> DetectionModel:
    """A one-class model started from safetensors whose batch norms were folded into the convolutions.

    A network without batch norms barely trains. They are put back so that each does nothing at first, and are then
    given the statistics of `images` (float batches, 0..1) with the scale and shift that undo them: the function stays
    the same.
    The classification branch is cut to the width that one class has; its last layer starts anew.
    """
    from safetensors.torch import load_file

    folded = load_file(str(path))
    model = new_model()
    own = model.state_dict()
    for name, value in folded.items():
        target = name.replace(".conv.bias", ".bn.bias")
        if target not in own:
            continue
        wanted = own[target].shape
        if len(wanted) != value.dim() or any(w > v for w, v in zip(wanted, value.shape, strict=True)):
            continue
        if name.startswith("model.22.cv3.") and ".2." in name[len("model.22.cv3.0") :]:
            continue
        own[target] = value[tuple(slice(0, n) for n in wanted)].clone()
    for name in own:
        if name.endswith("bn.running_var"):
            norm = model.get_submodule(name.rsplit(".", 1)[0])
            own[name] = torch.full_like(own[name], 1.0 - float(norm.eps))
    model.load_state_dict(own)
    _estimate_statistics(model, images)
    return model


@torch.no_grad()
def _estimate_statistics(model: nn.Module, images: Iterable[torch.Tensor]) -> None:
    sums: dict[nn.BatchNorm2d, list[torch.Tensor]] = {}

    def collect(norm: nn.Module, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        x = inputs[0].double()
        count = torch.tensor(float(x.numel() / x.shape[1]))
        now = [count, x.sum((0, 2, 3)), x.square().sum((0, 2, 3))]
        sums[norm] = [a + b for a, b in zip(sums[norm], now, strict=True)] if norm in sums else now

    handles = [m.register_forward_hook(collect) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    model.eval()
    for batch in images:
        model(batch)
    for handle in handles:
        handle.remove()
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=1e-6)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


def load_checkpoint(path: Path) -> DetectionModel:
    """A lesion detector from an Ultralytics `.pt`; the averaged weights where the file has both."""
    prepare_ultralytics()
    content = torch.load(path, map_location="cpu", weights_only=False)
    model = content.get("ema") or content.get("model") if isinstance(content, dict) else None
    if model is None:
        raise NotALesionDetectorError(f"{path} is no Ultralytics checkpoint; give a .pt that holds a model.")
    names = [str(n).lower() for n in dict(model.names).values()]
    if len(names) != 1:
        raise NotALesionDetectorError(
            f"{path} detects {len(names)} classes ({', '.join(names[:3])}, ...), not skin lesions. Stock COCO weights "
            "find no lesion: train with `python -m dermedge_export.compact.detect` or give a one-class checkpoint."
        )
    return model.float().eval()


class Distances(nn.Module):
    """What the head makes of its distributions over distances: [N, 4 x bins, A] logits to [N, 4, A] expectations.

    Ultralytics takes the softmax over an inner axis, which ONNX Runtime copies back and forth for; with the bins last
    the graph is measurably faster, and the values are the same.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer("distance", torch.arange(bins, dtype=torch.float32)[:, None])

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        sides = logits.unflatten(1, (4, self.bins)).transpose(2, 3)
        return (sides.softmax(3) @ self.distance).squeeze(3)


class DetectorGraph(nn.Module):
    """The exported function: letterboxed uint8 pixels to corner boxes in the same pixels, with a confidence."""

    def __init__(self, model: DetectionModel) -> None:
        super().__init__()
        self.model = model.float().eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self.model.fuse(verbose=False)
        head = self.model.model[-1]
        head.export, head.format, head.xyxy, head.dynamic = True, "onnx", True, False
        head.dfl = Distances(head.reg_max)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Decode without suppressing overlaps: that belongs to the runtime."""
        return self.model(images.permute(0, 3, 1, 2).float() / 255).transpose(1, 2)


def detector_graph(model: DetectionModel, side: int) -> tuple[onnx.ModelProto, list[str]]:
    """The float graph with the runtime's contract, and the names of the head's nodes."""
    example = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    graph = to_onnx(DetectorGraph(model), [example], ["images"], ["boxes"])
    head = scoped(graph, "model.model.22")
    return strip(graph), head


def quantized(graph: onnx.ModelProto, head: list[str], images: Iterable[NDArray[np.uint8]]) -> onnx.ModelProto:
    """int8 backbone and neck, calibrated on letterboxed `images`; the head stays in float (its boxes move by pixels).

    Weights use seven bits: eight saturate silently on x86 without VNNI.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image[None]}

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        save(graph, source)
        quantize_static(
            str(source), str(target), Reader(), quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8, per_channel=True, reduce_range=True, nodes_to_exclude=head,
            op_types_to_quantize=["Conv"], extra_options={"DefaultTensorType": 1},
        )  # fmt: skip
        return strip(onnx.load(str(target)))


def export_detector(checkpoint: Path, path: Path, side: int) -> None:
    """A checkpoint to the graph that the runtime opens, with weights stored as float16."""
    graph, _ = detector_graph(load_checkpoint(checkpoint), side)
    save(halve_weights(graph), path)
