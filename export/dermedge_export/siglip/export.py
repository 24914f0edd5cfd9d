"""`dermedge-export medsiglip`: from a checkpoint to a pack that the runtime has read back, and its report."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dermedge import MODALITIES, UsageError, __version__
from dermedge.pack.manifest import Licence, Manifest, Scoring, Source, TowerSpec, Triage
from dermedge.pack.rules import PACK_NAME, check_path
from dermedge.photo import read_photo

from .. import card
from ..packer import MANIFEST, GoldenSource, PackParts, Tolerances, write_pack
from ..signature import require_key, sign
from . import about, calibrate, labelled, lesion_parts, worth
from .contestant import peak_mb
from .crops import SAMPLES, pictures, show
from .ladder import Tried, climb
from .load import Checkpoint
from .measure import files, measure
from .parity import Gates, Judge
from .progress import Steps
from .prompts import PROMPTS, Prompts, PromptVectors, embed, read
from .report import Report

ATTRIBUTION = "ATTRIBUTION.md"
GRAPH = "tower.onnx"
PHONE = MODALITIES.index("phone")
CONTEXT = 1.5
"""Side of the crop in longer sides of the lesion's box: the lesion with the skin around it."""
TOOLS = ("numpy", "onnx", "onnxruntime", "optimum-onnx", "pillow", "torch", "transformers")
SPARE_MB = 900
"""Libraries, activations and buffers beside the weights."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    out: Path
    id: str | None = None
    release: str = "1.0.0"
    prompts: Path = PROMPTS
    without: tuple[str, ...] = ()
    detector: str | None = None
    samples: Path = SAMPLES
    calibrate: Path | None = None
    crops: int = 40
    every: bool = False
    key: Path | None = None
    """Signs the manifest."""
    gates: Gates = field(default_factory=Gates)


@dataclass(frozen=True, slots=True)
class Needs:
    """An estimate, from the sizes of the two towers."""

    memory_mb: int
    disk_mb: int


def needs(checkpoint: Checkpoint) -> Needs:
    """A float32 graph, the rung being made and the pack on disk; in memory what the quantizer holds of the graph."""
    image, text = (_megabytes(getattr(checkpoint.config, f"{name}_config")) for name in ("vision", "text"))
    return Needs(round(max(3 * image, text) + SPARE_MB), round(4.5 * image + 50))


def _megabytes(tower: Any) -> float:
    block = 4 * tower.hidden_size**2 + 2 * tower.hidden_size * tower.intermediate_size
    words = getattr(tower, "vocab_size", 0) * tower.hidden_size
    return float(4 * (block * (tower.num_hidden_layers + 1) + words) / 1e6)


def plan(checkpoint: Checkpoint, order: Order, prompts: Prompts) -> str:
    """What an export would do, for a dry run."""
    needed, vision = needs(checkpoint), checkpoint.config.vision_config
    calibration = f"calibrate on {order.calibrate}" if order.calibrate else "write an uncalibrated pack (no CALIBRATE)"
    texts = sum(len(texts) for _, texts in prompts.lists())
    return "\n".join((
        f"model      {checkpoint.name} at {checkpoint.revision}",
        f"tower      {vision.hidden_size} wide, {vision.num_hidden_layers} layers, {checkpoint.preprocessing.size} px",
        f"conditions {', '.join(c.id for c in prompts.conditions)}",
        f"would      embed {texts} texts and {order.crops} crops in float32, export the tower, quantize it until",
        f"           a form keeps the gates, {calibration}, write {order.out} and read it back",
        f"needs      about {needed.memory_mb} MB of memory, {needed.disk_mb} MB of disk beside {order.out.parent}",
    ))  # fmt: skip


def export(checkpoint: Checkpoint, order: Order) -> tuple[Manifest, Report]:
    """The whole way; nothing is left behind unless all of it went well."""
    prompts = read(order.prompts).without(order.without)
    ids = tuple(c.id for c in prompts.conditions)
    photos = labelled.read(order.calibrate, ids) if order.calibrate else ()
    samples = pictures(order.samples)
    _require_names(checkpoint, order, samples)
    if order.key is not None:
        require_key(order.key)
    parts = lesion_parts_of(order, samples)
    order.out.parent.mkdir(parents=True, exist_ok=True)
    _require_room(checkpoint, order)
    steps = Steps()
    with tempfile.TemporaryDirectory(prefix=f".{order.out.name}-", dir=order.out.parent) as folder:
        with steps.step("texts"):
            vectors = embed(checkpoint, prompts)
        spec = spec_of(checkpoint)
        shown = show(photos, samples, spec, order.crops, ids)
        malignant = np.array([c.group == "malignant" for c in prompts.conditions])
        judge = Judge(vectors.prompts[PHONE], checkpoint.scale, malignant, shown.labels)
        with steps.step("float32 reference", len(shown.compared)) as tick:
            from .reference import refer

            reference = refer(checkpoint, tick.over(shown.compared))
        with steps.step("quantization") as tick:
            climbed = climb(
                checkpoint, shown.observed, reference, judge, order.gates, Path(folder), every=order.every,
                told=tick.say,
            )  # fmt: skip
        with steps.step("calibration", len(photos)) as tick:
            scored = score(checkpoint, prompts, vectors, photos, spec, climbed.graph, tick.advance)
        with steps.step("pack"):
            graphs = {file.name: file.read_bytes() for file in files(climbed.graph)}
            pack = parts_of(
                order, checkpoint, prompts, vectors, spec, graphs, Source(checkpoint.name, checkpoint.revision),
                _figures(climbed.shipped), scored, parts, samples,
            )  # fmt: skip
            manifest = write_pack(pack, order.out)
    report = Report(manifest, climbed, order.gates, steps.seconds, peak_mb(), scored.told, scored.zero_shot)
    report.write(order.out)
    if order.key is not None:
        sign(order.out / MANIFEST, order.key, order.out.with_name(f"{order.out.name}.sig"))
    return manifest, report


@dataclass(frozen=True, slots=True)
class Scored:
    """How cosines become probabilities and levels, by modality."""

    scoring: Mapping[str, Scoring]
    triage: Mapping[str, Triage]
    told: Mapping[str, Any]
    zero_shot: Mapping[str, Any] | None


def lesion_parts_of(order: Order, samples: list[Path]) -> lesion_parts.LesionParts:
    if order.detector is None or not order.detector.endswith(".pt"):
        return lesion_parts.from_pack(order.detector)
    return lesion_parts.from_checkpoint(Path(order.detector), [read_photo(path).pixels for path in samples])


def _require_names(checkpoint: Checkpoint, order: Order, samples: list[Path]) -> None:
    """What the runtime would refuse in the finished pack is said before anything is made."""
    name = order.id or checkpoint.name.rpartition("/")[2]
    if not PACK_NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a pack's id; give one of letters, digits and . _ + - with --id")
    for sample in samples:
        check_path(f"{sample.parent}", f"golden/{sample.name}")


def _require_room(checkpoint: Checkpoint, order: Order) -> None:
    needed, free = needs(checkpoint).disk_mb, shutil.disk_usage(order.out.parent).free / 1e6
    if free < needed:
        raise UsageError(
            f"{order.out.parent}: {free:.0f} MB are free and about {needed} MB are needed; free space or choose --out"
        )


def spec_of(checkpoint: Checkpoint) -> TowerSpec:
    p = checkpoint.preprocessing
    return TowerSpec(GRAPH, p.size, p.resample, CONTEXT, p.neutral, 1)


def score(
    checkpoint: Checkpoint, prompts: Prompts, vectors: PromptVectors, photos: tuple[labelled.Labelled, ...],
    spec: TowerSpec, graph: Path, tick: Callable[[], object],
) -> Scored:  # fmt: skip
    """Calibrated where there are photographs enough; else as the checkpoint says, and cautious."""
    conditions = tuple(c.condition() for c in prompts.conditions)
    start = calibrate.uncalibrated(len(conditions), len(vectors.rejects), checkpoint.scale, checkpoint.bias)
    scoring: dict[str, Scoring] = dict.fromkeys(MODALITIES, start)
    triage: dict[str, Triage] = dict.fromkeys(MODALITIES, calibrate.cautious())
    told: dict[str, Any] = dict.fromkeys(MODALITIES, "no labelled photographs were given")
    if not photos:
        return Scored(scoring, triage, told, None)
    # The graph that is shipped, not the float32 model: its errors are a part of what is calibrated.
    crops = np.stack([labelled.crop_of(photo, spec) for photo in photos])
    seen = measure(graph, crops, ticked=tick).embeddings
    ids = [c.id for c in conditions]
    for row, modality in enumerate(MODALITIES):
        here = [i for i, p in enumerate(photos) if p.modality == modality and p.label in ids]
        if not here:
            told[modality] = "no labelled lesions of this kind were given"
            continue
        rows = seen[here].astype(np.float64)
        evidence = calibrate.Evidence(
            rows @ vectors.prompts[row].T.astype(np.float64), np.array([ids.index(photos[i].label) for i in here]),
            tuple(photos[i].lesion for i in here), rows @ vectors.rejects.T.astype(np.float64),
            f"{len(here)} calibration photographs, folds left out",
        )  # fmt: skip
        why = calibrate.enough(evidence, conditions)
        if why is None:
            scoring[modality], triage[modality], told[modality] = calibrate.calibrate(evidence, conditions, start)
        else:
            told[modality] = why
    return Scored(scoring, triage, told, worth.worth(photos, seen, prompts, vectors))


def parts_of(
    order: Order, checkpoint: Checkpoint, prompts: Prompts, vectors: PromptVectors, spec: TowerSpec,
    graphs: Mapping[str, bytes], source: Source, figures: Mapping[str, Any], scored: Scored,
    parts: lesion_parts.LesionParts, samples: list[Path],
) -> PackParts:  # fmt: skip
    """Everything of a pack whose conditions are the checkpoint's words, whatever tower it has."""
    licence, notices = about.terms(checkpoint.name, checkpoint.revision.startswith("sha256:"))
    attribution = order.samples / ATTRIBUTION
    if attribution.is_file():
        notices[f"golden/{ATTRIBUTION}"] = attribution.read_bytes()
    licences: tuple[Licence, ...] = (licence, *parts.licences)
    if order.samples == SAMPLES:
        licences = (*licences, about.SAMPLES)
    return PackParts(
        id=order.id or checkpoint.name.rpartition("/")[2],
        version=order.release,
        created_with={name: version(name) for name in TOOLS} | {"dermedge": __version__},
        source=source,
        intended_use=about.INTENDED_USE,
        licences=licences,
        tower=spec,
        detector=parts.detector,
        segmenter=parts.segmenter,
        graphs={**graphs, **parts.graphs},
        conditions=tuple(c.condition() for c in prompts.conditions),
        prompts=vectors.prompts,
        rejects=vectors.rejects,
        modalities=vectors.modalities,
        modality_scale=checkpoint.scale,
        scoring=scored.scoring,
        triage=scored.triage,
        priors=(),
        golden=tuple(GoldenSource(path.name, path.read_bytes(), "phone") for path in samples),
        tolerances=Tolerances(),
        metrics={"tower": dict(figures), "detector": dict(parts.figures), "calibration": dict(scored.told)},
        card=partial(card.render, prose=about.PROSE),
        notices=notices,
    )


def _figures(shipped: Tried) -> dict[str, Any]:
    parity = {name: value for name, value in asdict(shipped.parity).items() if value is not None}
    return {"weights": shipped.rung.name, "in_float": list(shipped.in_float), "parity": parity}
