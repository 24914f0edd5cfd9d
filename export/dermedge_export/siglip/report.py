"""The report that stands beside a pack: sizes, time, memory, parity of each rung, versions, licences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dermedge.pack.manifest import Manifest

from ..results import rows
from .ladder import RUNGS, Climbed, Tried
from .parity import Gates

COLUMNS = (
    "rung", "MB", "s a crop", "peak MB", "cosine", "centred (tail, worst)", "top-1", "mass moved (tail, worst)",
    "heat map", "outcome",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    manifest: Manifest
    climbed: Climbed
    gates: Gates
    seconds: Mapping[str, float]
    """By step of the export."""
    peak_mb: float
    calibration: Mapping[str, Any]
    """By modality: figures, or why there are none."""
    zero_shot: Mapping[str, Any] | None

    def document(self) -> dict[str, Any]:
        manifest = self.manifest
        return {
            "pack": {"id": manifest.id, "version": manifest.version, "digest": manifest.digest},
            "source": asdict(manifest.source),
            "made_with": dict(manifest.created_with),
            "licences": [asdict(licence) for licence in manifest.licences],
            "files": {name: entry.bytes for name, entry in manifest.files.items()},
            "gates": asdict(self.gates),
            "rungs": [_rung(tried, tried is self.climbed.shipped) for tried in self.climbed.tried],
            "not_tried": [r.name for r in RUNGS if r not in [tried.rung for tried in self.climbed.tried]],
            "seconds": {step: round(seconds, 1) for step, seconds in self.seconds.items()},
            "peak_mb": self.peak_mb,
            "calibration": dict(self.calibration),
            "zero_shot": self.zero_shot,
        }

    def write(self, target: Path) -> tuple[Path, Path]:
        """Beside the pack's folder: inside it only what the manifest lists may lie."""
        document = self.document()
        as_json, as_text = (target.with_name(f"{target.name}-report.{ending}") for ending in ("json", "md"))
        as_json.write_text(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        as_text.write_text(in_words(document))
        return as_json, as_text


def _rung(tried: Tried, shipped: bool) -> dict[str, Any]:
    measured = tried.measured
    return {
        "name": tried.rung.name,
        "shipped": shipped,
        "refused_because": list(tried.failures),
        "in_float": list(tried.in_float),
        "parity": asdict(tried.parity),
        "heat_map_correlation": tried.heat,
        "megabytes": measured.megabytes,
        "seconds": round(measured.seconds, 4),
        "load_seconds": round(measured.load_seconds, 3),
        "peak_mb": measured.peak_mb,
        "threads": measured.threads,
    }


def in_words(document: Mapping[str, Any]) -> str:
    pack, source = document["pack"], document["source"]
    size = sum(document["files"].values()) / 1e6
    gates = document["gates"]
    parts = [
        f"# Export of {pack['id']} {pack['version']}",
        f"From {source['model']} at {source['revision']}; {size:.1f} MB in {len(document['files'])} files; "
        f"digest {pack['digest']}.",
        "## Rungs",
        f"In their fixed order; the first that keeps every gate is shipped. Gates, on average and, after the slash, in "
        f"nineteen crops of twenty: centred cosine at least {gates['centred_cosine']} / "
        f"{gates['centred_cosine_tail']}, malignant mass moved by at most {gates['malignant_shift']} / "
        f"{gates['malignant_shift_tail']}; top-1 agreement at least {gates['top1']}, balanced accuracy (with labels) "
        f"lower by at most {gates['balanced_accuracy_loss']}. The tail is what one crop in twenty exceeds. Time and "
        f"memory are this machine's, on one crop, and decide nothing.",
        rows(
            COLUMNS,
            [_line(rung) for rung in document["rungs"]],
        ),
    ]  # fmt: skip
    if document["not_tried"]:
        parts.append(f"Not tried, as a smaller one passed: {', '.join(document['not_tried'])}.")
    in_float = next(rung["in_float"] for rung in document["rungs"] if rung["shipped"])
    if in_float:
        parts.append(f"Left in float because int8 hurts them most: {', '.join(in_float)}.")
    parts.append("## Calibration")
    parts += [f"- {modality}: {_calibrated(found)}" for modality, found in document["calibration"].items()]
    if document["zero_shot"]:
        parts += ["## What each condition and each description is worth", zero_shot_in_words(document["zero_shot"])]
    parts += [
        "## Made",
        rows(("step", "seconds"), [(step, f"{s:.1f}") for step, s in document["seconds"].items()]),
        f"Peak memory of the exporting process {document['peak_mb']:.0f} MB; each graph was measured in a process of "
        "its own beside it, whose peak is in the table above. With "
        + ", ".join(f"{name} {version}" for name, version in sorted(document["made_with"].items())) + ".",
        "## Licences",
        rows(("part", "licence", "notice"), [(x["applies_to"], x["name"], x["notice"]) for x in document["licences"]]),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _line(rung: Mapping[str, Any]) -> tuple[str, ...]:
    parity = rung["parity"]
    return (
        rung["name"],
        f"{rung['megabytes']:.1f}",
        f"{rung['seconds']:.3f}",
        f"{rung['peak_mb']:.0f}",
        f"{parity['cosine']:.4f}",
        f"{parity['centred_cosine']:.4f} ({parity['centred_cosine_tail']:.4f}, {parity['centred_cosine_worst']:.4f})",
        f"{parity['top1']:.3f} of {parity['crops']}",
        f"{parity['malignant_shift']:.4f} ({parity['malignant_shift_tail']:.4f}, "
        f"{parity['malignant_shift_worst']:.4f})",
        f"{rung['heat_map_correlation']:.3f}",
        "shipped" if rung["shipped"] else "; ".join(rung["refused_because"]) or "passes, a smaller one is shipped",
    )


def _calibrated(found: Any) -> str:
    if isinstance(found, str):
        return f"uncalibrated: {found}"
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())


def zero_shot_in_words(found: Mapping[str, Any]) -> str:
    """AUC of each condition against all others, and of each of its descriptions alone."""
    lines = []
    for modality, conditions in found.items():
        for name, worth in conditions.items():
            lines.append(
                (modality, name, f"{worth['auc']:.3f}", f"{worth['recall']:.3f}", str(worth["photographs"]), "")
            )
            lines += [(modality, "", f"{auc:.3f}", "", "", text) for text, auc in worth["descriptions"].items()]
    return rows(("modality", "condition", "AUC", "recall", "photographs", "description"), lines)
