"""Puts the compact pack together: chooses its cuts, measures, and writes the pack with its model card.

`python -m dermedge_export.compact.assemble --tower DIR --detector DIR --data DIR --out artifacts/compact`
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge import MODALITIES, DermedgeError, PackError, UsageError, __version__
from dermedge.pack.manifest import (
    DetectorSpec,
    Scoring,
    SegmenterSpec,
    Source,
    Threshold,
    TowerSpec,
    Triage,
)
from dermedge.result import Modality

from .. import card, figures
from ..answers import Answer
from ..evaluate import SPLITS, answer_all, chosen
from ..packer import GoldenSource, PackParts, Tolerances, write_pack
from ..photos import CLASSES, Collection, find_collections
from ..results import COLLECTIONS
from .about import CONDITIONS, INTENDED_USE, LICENCES, PACK_ID, PROSE
from .data import RESAMPLE
from .priors import at_strength, choose_strength, learn
from .thresholds import Masses, choose_levels, operating_points

TUNED_ON: Mapping[Modality, Collection] = {"dermoscopy": "ham10000", "phone": "pad_ufes"}
SAMPLES = Path(__file__).parents[3] / "artifacts" / "samples"
FAILURES = 4


def assemble(
    tower: Path, detector: Path, data: Path, samples: Path, out: Path, *, release: str, workers: int,
    left_out: Path | None = None,
) -> None:
    """Draft, choose the cuts on validation photographs, measure on the others, write what was measured."""
    found = find_collections(data)
    missing = [name for name in SPLITS if name not in found]
    if missing:
        raise UsageError(f"{data}: {', '.join(missing)} missing; the card needs figures from every collection")
    parts = read_parts(tower, detector, samples, release)
    if left_out is not None:
        parts = replace(parts, metrics={**parts.metrics, "left_out": _json(left_out)})
    with tempfile.TemporaryDirectory() as room:
        draft = Path(room) / PACK_ID
        write_pack(parts, draft)
        validation = {name: [p for p in found[name].photos if p.split == "val"] for name in TUNED_ON.values()}
        answers = answer_all(draft, [p for photos in validation.values() for p in photos], workers=workers, masks=False)
        masses = {
            modality: Masses.of(
                [a for a in answers if a.photo.collection == name],
                CONDITIONS,
                f"{COLLECTIONS[name]} validation, through the runtime",
            )
            for modality, name in TUNED_ON.items()
        }
        training = [p for name in TUNED_ON.values() for p in found[name].photos if p.split == "train"]
        learned = learn(training, CONDITIONS)
        choice = choose_strength(answers, learned, {m: s.temperature for m, s in parts.scoring.items()}, CONDITIONS)
        triage: dict[str, Triage] = {modality: choose_levels(columns) for modality, columns in masses.items()}
        points: dict[str, Any] = {
            modality: operating_points(columns, CONDITIONS) for modality, columns in masses.items()
        }
        parts = replace(
            parts,
            triage=triage,
            priors=at_strength(learned, choice.strength),
            metrics={**parts.metrics, "operating_points": points, "priors": choice.as_json()},
        )
        write_pack(parts, draft)
        answers = answer_all(draft, chosen(found, SPLITS, None), workers=workers, masks=True)
    report = figures.report(answers, CONDITIONS, points, SPLITS, [])
    failures = known_failures(answers)
    parts = replace(
        parts,
        metrics={**parts.metrics, "evaluation": report, "known_failures": [entry for entry, _ in failures]},
        notices={**parts.notices, **{entry["file"]: picture for entry, picture in failures}},
    )
    manifest = write_pack(parts, out)
    print(card.render(manifest, PROSE))


def read_parts(tower: Path, detector: Path, samples: Path, release: str) -> PackParts:
    """What training left behind, as parts of a pack; the cuts are still the strictest possible."""
    scores, found, outlines = (
        _json(tower / "scoring.json"),
        _json(detector / "detector.json"),
        _json(detector / "segmenter.json"),
    )
    _expect(
        scores["conditions"] == [c.id for c in CONDITIONS],
        "the tower's conditions are not the pack's, in order",
    )
    _expect(scores["modalities"] == list(MODALITIES), "the tower's modalities are not the runtime's, in order")
    _expect(scores["quantization"]["passed"], "the int8 tower failed its gate; export it again")
    rejects = _rows(tower / "rejects.npy")
    strictest = Threshold(0.0, None, None, 0, 0, "not chosen yet")
    return PackParts(
        id=PACK_ID,
        version=release,
        created_with={name: version(name) for name in ("numpy", "onnxruntime", "pillow")} | {"dermedge": __version__},
        source=Source(scores.get("architecture", "EfficientNet-Lite"), release),
        intended_use=INTENDED_USE,
        licences=LICENCES,
        tower=TowerSpec(
            "tower.onnx",
            scores["size"],
            RESAMPLE,
            scores["context"],
            tuple(scores["padding"]),
            scores["views"],
        ),
        detector=DetectorSpec("detector.onnx", found["size"], found["confidence"], found["iou"], found["max_lesions"]),
        segmenter=SegmenterSpec(
            "encoder.onnx", "decoder.onnx", outlines["size"], outlines["context"], outlines["threshold"]
        ),
        graphs={
            "tower.onnx": (tower / "tower.onnx").read_bytes(),
            **{name: (detector / name).read_bytes() for name in ("detector.onnx", "encoder.onnx", "decoder.onnx")},
        },
        conditions=CONDITIONS,
        prompts=_rows(tower / "prompts.npy"),
        rejects=rejects,
        modalities=_rows(tower / "modalities.npy"),
        modality_scale=scores["modality_scale"],
        scoring={entry["modality"]: _scoring(entry, len(rejects)) for entry in scores["scoring"]},
        triage={m: Triage(strictest, strictest, strictest, strictest, 1.0) for m in MODALITIES},
        priors=(),
        golden=golden_sources(samples),
        tolerances=Tolerances(),
        metrics={
            "tower": _figures_of(scores),
            "detector": _figures_of(found),
            "segmenter": _figures_of(outlines),
            **({"artefacts": scores["artefacts"]} if "artefacts" in scores else {}),
        },
        card=partial(card.render, prose=PROSE),
        notices={"golden/ATTRIBUTION.md": (samples / "ATTRIBUTION.md").read_bytes()},
    )


def golden_sources(samples: Path) -> tuple[GoldenSource, ...]:
    return tuple(GoldenSource(path.name, path.read_bytes(), "phone") for path in sorted(samples.glob("*.jpg")))


def known_failures(answers: Sequence[Answer]) -> list[tuple[dict[str, str], bytes]]:
    """The phone photographs answered worst: cancers reassured, moles called urgent.

    Only PAD-UFES-20's terms let its photographs be shown.
    """
    phone = [a for a in answers if a.photo.collection == "pad_ufes"]
    reassured = sorted(
        (a for a in phone if a.photo.malignant and a.level in ("watch", "no-lesion")),
        key=lambda a: (a.malignant, a.photo.id),
    )
    harmless = [a for a in phone if a.photo.label in ("NEV", "SEK")]
    alarms = sorted((a for a in harmless if a.level == "urgent"), key=lambda a: (-a.malignant, a.photo.id))
    half = FAILURES // 2
    worst = [*reassured[: max(half, FAILURES - len(alarms))], *alarms]
    names = {c.id: c.name.lower() for c in CONDITIONS}
    shown = []
    for a in worst[:FAILURES]:
        said = f"`{a.level}`"
        if a.probabilities:
            first, share = max(a.probabilities.items(), key=lambda item: item[1])
            said += f": {names[first]} {share:.2f}, malignant mass {a.malignant:.2f}"
        what = " or ".join(names[c] for c in CLASSES["pad_ufes"][a.photo.label])
        suffix = Path(a.photo.image.member or a.photo.image.path.name).suffix
        entry = {"id": a.photo.id, "file": f"failures/{a.photo.id}{suffix}", "label": what, "said": said}
        shown.append((entry, a.photo.image.read()))
    return shown


def _scoring(entry: Mapping[str, Any], rejects: int) -> Scoring:
    bias = entry["reject_bias"]
    return Scoring(
        scale=entry["scale"],
        bias=tuple(entry["bias"]),
        temperature=entry["temperature"],
        reject_bias=tuple(bias) if isinstance(bias, list) else (float(bias),) * rejects,
        rejection=entry["rejection_threshold"],
        calibrated=True,
    )


def _figures_of(delivered: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured when a part was made; its settings have their own place in the manifest."""
    settings = {"artefacts", "conditions", "modalities", "rejects", "padding", "scoring"}
    return {name: value for name, value in delivered.items() if name not in settings}


def _rows(path: Path) -> NDArray[np.float32]:
    rows = np.load(path, allow_pickle=False)
    _expect(rows.dtype == np.float32, f"{path.name} is {rows.dtype}, not float32")
    unit: NDArray[np.float32] = rows
    return unit


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; train and export that part first") from None


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise PackError(otherwise)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tower", type=Path, required=True, help="tower.onnx, the vectors and scoring.json")
    parser.add_argument("--detector", type=Path, required=True, help="detector and segmenter with their .json")
    parser.add_argument("--data", type=Path, required=True, help="the four labelled collections")
    parser.add_argument("--out", type=Path, required=True, help="the pack's folder; replaced whole")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="golden photographs (%(default)s)")
    parser.add_argument("--left-out", type=Path, metavar="FILE", help="what compact-left-out measured, for the card")
    parser.add_argument("--release", default="1.0.0", help="the pack's version (%(default)s)")
    parser.add_argument("--workers", type=int, default=2)


def run(options: argparse.Namespace) -> int:
    try:
        assemble(
            options.tower,
            options.detector,
            options.data,
            options.samples,
            options.out,
            release=options.release,
            workers=options.workers,
            left_out=options.left_out,
        )
    except DermedgeError as error:
        print(f"assemble: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dermedge-export compact-assemble", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
