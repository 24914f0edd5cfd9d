"""Turns a training checkpoint into the files a box needs, quantized, gated and calibrated.

python -m dermedge_export.compact.export_tower --data DATA --checkpoint RUN/last.pt --out PACK
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from dermedge import MODALITIES, UsageError

from .artefacts import probe
from .calibrate import CalibrationSettings, calibrate_modality, rejection
from .data import (
    CONDITIONS,
    CONTEXT,
    PADDING,
    REJECTS,
    SIZE,
    SOURCES,
    VIEWS,
    Photo,
    Pixels,
    bare_skin_square,
    evaluation_crop,
    read_photos,
)
from .quantize_tower import calibration_crops, quantize
from .refit import RefitSettings, refit
from .tower_graph import build, load_tower
from .validate import Outputs, figures, softmax
from .views import Vectors, averaged, embed_views, session, unit
from .vocabulary import Vocabulary


@dataclass(frozen=True)
class ExportSettings:
    size: int = SIZE
    views: int = VIEWS
    compared_views: tuple[int, ...] = (1, 2, 4, 8)
    calibration_crops: int = 256
    # How many of the backbone's first layers stay in float, tried in this order until the gate passes.
    float_layers: tuple[int, ...] = (8, 11, 14)
    balanced_accuracy_cost: float = 0.005
    auc_cost: float = 0.003
    refit: RefitSettings = field(default_factory=RefitSettings)


def validation_photos(data: Path) -> tuple[list[Photo], list[Photo]]:
    """Validation photographs, and bare skin cut beside some of their lesions."""
    photos = read_photos(data, tuple(SOURCES), ("val",))
    rng = np.random.default_rng(0)
    skin = []
    for photo in [p for p in photos if p.source in ("ham", "pad")][::3]:
        square = bare_skin_square(photo, rng)
        if square is not None:
            skin.append(replace(photo, source="skin", box=square, conditions=(), reject=REJECTS.index("skin")))
    return photos, skin


def crops_of(photos: list[Photo], size: int) -> Pixels:
    # Bare skin is cut exactly: context would bring the lesion back in.
    return np.stack([evaluation_crop(p, size, 1.0 if p.source == "skin" else CONTEXT) for p in photos])


def centred_cosine(a: Vectors, b: Vectors) -> float:
    middle = a.mean(0)
    return float((unit(a - middle) * unit(b - middle)).sum(1).mean())


def gate(exact: dict[str, float], quantized: dict[str, float], settings: ExportSettings) -> dict[str, object]:
    """Whether int8 costs more than allowed on the validation lesions of the dermatoscope."""
    costs = {k: round(exact[k] - quantized[k], 4) for k in exact}
    watched = {
        "ham_balanced": settings.balanced_accuracy_cost,
        "ham_melanoma_auc": settings.auc_cost,
        "ham_malignant_auc": settings.auc_cost,
    }
    return {"costs": costs, "passed": all(costs[k] <= limit for k, limit in watched.items())}


def milliseconds(graph: Path, crops: Pixels, threads: int) -> float:
    run, times = session(graph, threads), []
    for _ in range(40):
        start = time.perf_counter()
        run.run(None, {"crop": crops[:1]})
        times.append(time.perf_counter() - start)
    return round(float(np.median(times)) * 1000, 2)


def scoring(
    vocabulary: Vocabulary,
    embedding: Vectors,
    photos: list[Photo],
    calibration: CalibrationSettings,
) -> list[dict[str, object]]:
    outputs = vocabulary.outputs(embedding)
    fitted = [calibrate_modality(outputs, photos, world, calibration) for world in range(len(MODALITIES))]
    biases: NDArray[np.float64] = np.stack([bias for _, bias in fitted])
    world_seen = outputs.modalities.argmax(1)
    biased = Outputs(outputs.conditions + biases[world_seen], outputs.rejects, outputs.modalities)
    result = []
    for world, (constants, _) in enumerate(fitted):
        found = rejection(biased, photos, world, calibration)
        result.append(
            constants
            | {"scale": vocabulary.scale, "rejection_threshold": found.pop("rejection_threshold")}
            | {"rejection": found}
        )
    return result


def quantize_until_right(
    training: list[Photo],
    float_graph: Path,
    int8_graph: Path,
    vocabulary: Vocabulary,
    photos: list[Photo],
    crops: Pixels,
    exact: Vectors,
    settings: ExportSettings,
) -> dict[str, object]:
    """Quantize, with as few layers left in float as the gate allows."""
    samples = calibration_crops(training, settings.size, settings.calibration_crops)
    wanted = figures(photos, vocabulary.outputs(exact))
    checked: dict[str, object] = {}
    for float_layers in settings.float_layers:
        quantize(float_graph, int8_graph, samples, float_layers)
        rounded = averaged(embed_views(session(int8_graph), crops, settings.views), settings.views)
        checked = gate(wanted, figures(photos, vocabulary.outputs(rounded)), settings)
        checked["float_layers"] = float_layers
        checked["cosine"] = round(float((exact * rounded).sum(1).mean()), 5)
        checked["centred_cosine"] = round(centred_cosine(exact, rounded), 5)
        if checked["passed"]:
            break
    return checked


def export(data: Path, checkpoint: Path, out: Path, settings: ExportSettings) -> None:
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    tower = load_tower(checkpoint)
    vocabulary = Vocabulary.of(tower)
    float_graph, int8_graph = fresh / "tower_fp32.onnx", fresh / "tower.onnx"
    onnx.save(build(tower, settings.size), float_graph)
    photos, skin = validation_photos(data)
    everything = photos + skin
    crops = crops_of(everything, settings.size)
    known = len(photos)
    exact = averaged(embed_views(session(float_graph), crops[:known], settings.views), settings.views)
    training = read_photos(data, tuple(SOURCES), ("train",))
    checked = quantize_until_right(
        training, float_graph, int8_graph, vocabulary, photos, crops[:known], exact, settings
    )
    if not checked["passed"]:
        raise UsageError(
            f"{checkpoint}: int8 costs more than the gate allows ({checked['costs']}), even with "
            f"{checked['float_layers']} layers left in float; leave more of them in ExportSettings.float_layers"
        )
    run = session(int8_graph)
    views = embed_views(run, crops, max(settings.compared_views))

    def embed(seen: Pixels) -> Vectors:
        one: Vectors = embed_views(run, seen, 1)[0]
        return one

    vocabulary, refitted = refit(
        vocabulary, training, photos, averaged(views, settings.views)[:known], settings.size, embed, settings.refit
    )
    compared = {
        str(count): figures(photos, vocabulary.outputs(averaged(views, count)[:known]))
        for count in settings.compared_views
    }
    for name in ("prompts", "rejects", "modalities"):
        np.save(fresh / f"{name}.npy", getattr(vocabulary, name))
    graphs = (int8_graph, float_graph)
    card = {
        "architecture": f"EfficientNet-{tower.settings.variant.capitalize()}",
        "conditions": CONDITIONS,
        "modalities": MODALITIES,
        "rejects": REJECTS,
        "size": settings.size,
        "context": CONTEXT,
        "padding": PADDING,
        "views": settings.views,
        "modality_scale": vocabulary.modality_scale,
        "scoring": scoring(vocabulary, averaged(views, settings.views), everything, CalibrationSettings()),
        "refit": refitted,
        "artefacts": probe(photos, crops, lambda seen: softmax(vocabulary.outputs(embed(seen)).conditions)),
        "validation_by_views": {k: {n: round(x, 4) for n, x in v.items()} for k, v in compared.items()},
        "quantization": checked,
        "speed_ms": {f"{g.stem}_{t}_threads": milliseconds(g, crops, t) for g in graphs for t in (1, 2)},
        "megabytes": {g.stem: round(g.stat().st_size / 1e6, 2) for g in graphs},
    }
    (fresh / "scoring.json").write_text(json.dumps(card, indent=1) + "\n")
    publish(fresh, out)
    shown = ("validation_by_views", "quantization", "refit", "artefacts", "speed_ms", "megabytes")
    print(json.dumps({k: card[k] for k in shown}, indent=1))


def publish(fresh: Path, out: Path) -> None:
    """Replace the folder, file by file, each atomically; scoring.json comes last."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(fresh.iterdir(), key=lambda p: p.name == "scoring.json"):
        path.replace(out / path.name)
    fresh.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=ExportSettings.size)
    parser.add_argument("--views", type=int, default=ExportSettings.views)
    given = parser.parse_args()
    export(given.data, given.checkpoint, given.out, replace(ExportSettings(), size=given.size, views=given.views))


if __name__ == "__main__":
    main()
