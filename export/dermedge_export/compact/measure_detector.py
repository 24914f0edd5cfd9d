"""Exports the trained detector and the segmenter, measures both through the runtime, and chooses the confidence.

`python -m dermedge_export.compact.measure_detector --data DIR --checkpoint run/weights/best.pt --out DIR`
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge import detector, segmenter
from dermedge.detector import Detector
from dermedge.graph import Graph, GraphSettings
from dermedge.pack.manifest import DetectorSpec, SegmenterSpec
from dermedge.photo import read_photo
from dermedge.result import Box, Detection, Photo
from dermedge.segmenter import Segmenter

from ..medsam import SIZE, SegmenterSettings, quantized, segmenter_graphs
from ..metrics import dice, iou
from ..onnx_file import save
from ..photos import Collection, LabelledPhoto, find_collections
from ..yolo import export_detector
from .detect import DetectorSettings

FOUND = 0.5
"""The IoU with the mask's box from which a lesion counts as found."""


@dataclass(frozen=True)
class MeasureSettings:
    """What the confidence is chosen by, and how much is measured."""

    side: int = DetectorSettings.side
    negatives_with_box: float = 0.05
    """The most photographs without a lesion, on validation data, that may get a box; a classifier judges those too."""
    lowest: float = 0.02
    iou: float = 0.5
    most: int = 8
    context: float = 1.4
    dermoscopy_outlines: int = 100
    runs: int = 15


@dataclass(frozen=True)
class Seen:
    """A labelled photograph with everything that the detector proposes on it."""

    labelled: LabelledPhoto
    photo: Photo
    detections: tuple[Detection, ...]

    def above(self, confidence: float) -> tuple[Detection, ...]:
        return tuple(d for d in self.detections if d.confidence >= confidence)


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x0, box.y0, box.x1, box.y1


def look(find: Callable[[Photo], tuple[Detection, ...]], photos: Sequence[LabelledPhoto]) -> list[Seen]:
    """Run the detector over photographs."""
    opened = ((p, read_photo(p.open(), name=p.id)) for p in photos)
    return [Seen(labelled, photo, find(photo)) for labelled, photo in opened]


def lowest_confidence(negatives: Sequence[Seen], allowed: float, lowest: float) -> float:
    """The lowest confidence, in hundredths, at which no more than `allowed` of the negatives get a box."""
    best = np.array([max((d.confidence for d in seen.detections), default=0.0) for seen in negatives])
    steps = [c / 100 for c in range(round(lowest * 100), 100)]
    return next((c for c in steps if (best >= c).mean() <= allowed), 0.99)


def found(seen: Sequence[Seen], confidence: float) -> dict[str, Any]:
    """How many lesions have a box on them, of those whose place is known."""
    boxes = [s.above(confidence) for s in seen]
    overlaps = [
        [iou(_corners(d.box), truth) for d in kept]
        for s, kept in zip(seen, boxes, strict=True)
        if (truth := s.labelled.lesion_box())
    ]
    hits = sum(max(o, default=0.0) >= FOUND for o in overlaps)
    return {
        "photographs": len(overlaps),
        "found": hits,
        "rate": round(hits / len(overlaps), 4) if overlaps else None,
        "found_by_surest_box": sum(bool(o) and o[0] >= FOUND for o in overlaps),
        "boxes_per_photograph": round(float(np.mean([len(b) for b in boxes])), 3),
    }


def outline_dice(drawn: Segmenter, seen: Seen, box: Box | None) -> float:
    """Overlap of the outline in `box` with the true mask; 0 where there is no box."""
    truth = seen.labelled.open_mask()
    if truth is None or box is None:
        return 0.0
    mask = drawn.outline(seen.photo, box)
    cells = mask.pixels.shape[0]
    y, x = (
        np.floor(((np.arange(n) + 0.5) - start) / mask.region.width * cells).astype(int)
        for n, start in zip(truth.shape, (mask.region.y0, mask.region.x0), strict=True)
    )
    inside = ((y >= 0) & (y < cells))[:, None] & ((x >= 0) & (x < cells))[None]
    return dice(mask.pixels[y.clip(0, cells - 1)[:, None], x.clip(0, cells - 1)[None]] & inside, truth)


def milliseconds(graph: Graph, feeds: dict[str, NDArray[Any]], runs: int) -> float:
    """The fastest of several runs: what else the machine does only ever adds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        graph.run(feeds)
        times.append(time.perf_counter() - start)
    return round(min(times) * 1000, 1)


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(path)


def _open_segmenter(folder: Path, spec: SegmenterSpec, threads: int) -> tuple[Graph, Graph, Segmenter]:
    settings = GraphSettings("cpu", threads)
    first, second = segmenter.contract(spec)
    encoder = Graph.open(folder / spec.encoder, settings, *first, name=spec.encoder)
    decoder = Graph.open(folder / spec.decoder, settings, *second, name=spec.decoder)
    return encoder, decoder, Segmenter(encoder, decoder, spec)


def deliver(data: Path, checkpoint: Path, out: Path, settings: MeasureSettings | None = None) -> None:
    """Write the three graphs, `detector.json` and `segmenter.json`."""
    settings = settings or MeasureSettings()
    out.mkdir(parents=True, exist_ok=True)
    side = settings.side
    export_detector(checkpoint, out / "detector.onnx", side)
    floats = out / "float"
    floats.mkdir(exist_ok=True)
    for name, graph in zip(("encoder.onnx", "decoder.onnx"), segmenter_graphs(SegmenterSettings.side), strict=True):
        save(graph, floats / name)
        save(quantized(graph), out / name)

    spec = DetectorSpec("detector.onnx", side, settings.lowest, settings.iou, settings.most)
    graph = Graph.open(out / spec.graph, GraphSettings("cpu", 1), *detector.contract(spec), name=spec.graph)
    find = Detector(graph, spec).find
    collections = find_collections(data)

    def photos(name: Collection, split: str = "val") -> list[LabelledPhoto]:
        return [p for p in collections[name].photos if p.split == split]

    dermoscopy, phone = look(find, photos("ham10000")), look(find, photos("pad_ufes"))
    negatives = look(find, photos("negatives"))
    confidence = lowest_confidence(negatives, settings.negatives_with_box, settings.lowest)
    kinds = sorted({s.labelled.label for s in negatives})
    boxed = {k: [bool(s.above(confidence)) for s in negatives if s.labelled.label == k] for k in kinds}
    two = Graph.open(out / spec.graph, GraphSettings("cpu", 2), *detector.contract(spec), name=spec.graph)
    frame = np.full((1, side, side, 3), 114, np.uint8)
    _write(
        out / "detector.json",
        {
            "architecture": "YOLOv8n, one class, from COCO weights",
            "size": side, "confidence": confidence, "iou": settings.iou, "max_lesions": settings.most,
            "ham10000_val": found(dermoscopy, confidence),
            "ham10000_test": found(look(find, photos("ham10000", "test")), confidence),
            "pad_ufes_val": found(phone, confidence),
            "negatives_val": {
                "photographs": len(negatives),
                "with_box": sum(map(sum, boxed.values())),
                "by_kind": {k: f"{sum(v)} of {len(v)}" for k, v in boxed.items()},
            },
            "milliseconds_two_threads": milliseconds(two, {"images": frame}, settings.runs),
            "megabytes": round((out / spec.graph).stat().st_size / 1e6, 2),
            "versions": {n: version(n) for n in ("torch", "ultralytics", "onnx", "onnxruntime")},
        },
    )  # fmt: skip

    outlines = SegmenterSpec("encoder.onnx", "decoder.onnx", SIZE, settings.context, 0.0)
    order = np.random.default_rng(0).permutation(len(dermoscopy))[: settings.dermoscopy_outlines]
    # PAD-UFES-20 is published without masks.
    groups = {"ham10000_val": [dermoscopy[i] for i in order], "pad_ufes_val": [s for s in phone if s.labelled.mask]}
    report: dict[str, Any] = {}
    for kind, folder in (("int8", out), ("float", floats)):
        drawn = _open_segmenter(folder, outlines, 1)[2]
        for name, group in ((name, group) for name, group in groups.items() if group):
            entry = report.setdefault(name, {"photographs": len(group)})
            true = [outline_dice(drawn, s, Box(*box)) for s in group if (box := s.labelled.lesion_box())]
            entry[f"dice_mask_box_{kind}"] = round(float(np.mean(true)), 4)
            if kind == "int8":
                own = [outline_dice(drawn, s, next((d.box for d in s.above(confidence)), None)) for s in group]
                entry["dice_detector_box"] = round(float(np.mean(own)), 4)
    encoder, decoder, _ = _open_segmenter(out, outlines, 2)
    crop = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    features = encoder.run({"image": crop})["features"]
    prompt = np.array([[64, 64, 192, 192]], np.float32)
    _write(
        out / "segmenter.json",
        {
            "architecture": "LiteMedSAM, int8 weights",
            "size": SIZE, "context": settings.context, "threshold": outlines.threshold,
            "computed_at": SegmenterSettings.side,
            "normalisation": "in the graph: divided by 255, box-averaged to `computed_at` pixels",
            **report,
            "milliseconds_two_threads": {
                "encoder": milliseconds(encoder, {"image": crop}, settings.runs),
                "decoder": milliseconds(decoder, {"features": features, "box": prompt}, settings.runs),
            },
            "megabytes": round(sum((out / n).stat().st_size for n in (outlines.encoder, outlines.decoder)) / 1e6, 2),
            "versions": {n: version(n) for n in ("torch", "onnx", "onnxruntime")},
        },
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--negatives", type=float, default=MeasureSettings.negatives_with_box)
    options = parser.parse_args(argv)
    settings = replace(MeasureSettings(), negatives_with_box=options.negatives)
    deliver(options.data, options.checkpoint, options.out, settings)


if __name__ == "__main__":
    main()
