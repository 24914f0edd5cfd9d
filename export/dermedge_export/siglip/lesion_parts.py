"""Detector and segmenter of the pack: those of another pack, or a YOLOv8n checkpoint that knows lesions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge.errors import UsageError
from dermedge.graph import Graph, GraphSettings
from dermedge.pack import find, verify
from dermedge.pack.manifest import DetectorSpec, Licence, SegmenterSpec

DETECTOR = "detector.onnx"
SIZE, CONFIDENCE, IOU, MOST = 448, 0.25, 0.5, 8
"""For a checkpoint, which does not bring its own."""
BOX_PIXELS = 1.0
"""How far an int8 detector's boxes may be from the float one's."""
GAIN = 0.9
"""int8 must be this much smaller to be worth its error."""
AGPL = Licence(
    "AGPL-3.0", "detector (YOLOv8n)", "Ultralytics. Whoever serves this graph over a network owes its source."
)


@dataclass(frozen=True, slots=True)
class LesionParts:
    detector: DetectorSpec
    segmenter: SegmenterSpec | None
    graphs: Mapping[str, bytes]
    licences: tuple[Licence, ...]
    figures: Mapping[str, Any]


def from_pack(name: str | None) -> LesionParts:
    """The embedded pack's where nothing is named."""
    pack = verify(find(name))
    manifest = pack.manifest
    wanted = [manifest.detector.graph]
    if manifest.segmenter is not None:
        wanted += [manifest.segmenter.encoder, manifest.segmenter.decoder]
    if beside := [path for path in wanted if pack.external[path]]:
        raise UsageError(f"{manifest.id}: {beside[0]} keeps its weights in another file; name another --detector")
    licences = tuple(x for x in manifest.licences if any(part in x.applies_to for part in ("detector", "segmenter")))
    return LesionParts(
        manifest.detector, manifest.segmenter, {path: pack.read(path) for path in wanted},
        licences or manifest.licences, {"taken_from": f"{manifest.id} {manifest.version}"},
    )  # fmt: skip


def from_checkpoint(path: Path, photographs: Iterable[NDArray[np.uint8]]) -> LesionParts:
    """YOLOv8n to a graph, in int8 (its head in float) where that keeps the boxes and saves enough."""
    from ..onnx_file import halve_weights, save
    from ..yolo import NotALesionDetectorError, detector_graph, load_checkpoint, quantized

    if not path.is_file():
        raise UsageError(f"{path}: no such file; give a YOLOv8n .pt trained on lesions, or a pack")
    try:
        model = load_checkpoint(path)
    except NotALesionDetectorError as error:
        raise UsageError(str(error)) from None
    letterboxed = [letterbox(picture) for picture in photographs]
    graph, head = detector_graph(model, SIZE)
    with tempfile.TemporaryDirectory() as folder:
        exact, small = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        save(quantized(graph, head, letterboxed), small)
        save(halve_weights(graph), exact)
        moved = _moved(exact, small, letterboxed)
        saves = small.stat().st_size < GAIN * exact.stat().st_size
        chosen = small if moved <= BOX_PIXELS and saves else exact
        data = chosen.read_bytes()
    figures = {"int8_moves_boxes_by_pixels": round(moved, 3), "weights": "int8" if chosen == small else "float16"}
    spec = DetectorSpec(DETECTOR, SIZE, CONFIDENCE, IOU, MOST)
    return LesionParts(spec, None, {DETECTOR: data}, (AGPL,), figures)


def letterbox(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As the detector sees a photograph: its longer side at full size, grey beside it."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((SIZE, SIZE))
    factor = SIZE / max(image.size)
    image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR)
    square = Image.new("RGB", (SIZE, SIZE), (114, 114, 114))
    square.paste(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
    return np.asarray(square)


def _moved(exact: Path, small: Path, pictures: Iterable[NDArray[np.uint8]]) -> float:
    """The largest change of a corner among boxes that either graph is sure of."""
    contract = {"images": ("uint8", (1, SIZE, SIZE, 3))}, {"boxes": ("float32", (1, None, 5))}
    opened = [Graph.open(path, GraphSettings("cpu"), *contract, name=path.name) for path in (exact, small)]
    most = 0.0
    for picture in pictures:
        a, b = (graph.run({"images": picture[None]})["boxes"][0] for graph in opened)
        sure = (a[:, 4] >= CONFIDENCE) | (b[:, 4] >= CONFIDENCE)
        most = max(most, float(np.abs(a[sure, :4] - b[sure, :4]).max(initial=0)))
    return most
