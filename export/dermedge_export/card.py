"""Renders MODEL_CARD.md: each figure is read from the manifest's `metrics`, the prose comes with the pack."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermedge import DermedgeError
from dermedge.pack import find, verify
from dermedge.pack.manifest import Manifest, Threshold

from .results import WORLDS, artefacts_in_words, flat, number, results_in_words, rows, unseen_in_words

CUTS = {
    "urgent": "urgent",
    "refer": "refer",
    "refer_premalignant": "refer, with premalignant",
    "unclear": "unclear",
}
PARTS = {"tower": "Tower", "detector": "Detector", "segmenter": "Segmenter"}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the card that a person wrote."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """What a kind of pack says about itself beside its figures."""

    title: str
    opening: str
    before: tuple[Section, ...]
    """Before the figures: what it is not for, data, training."""
    after: tuple[Section, ...]
    """After them: limits, how to measure again."""


def render(manifest: Manifest, prose: Prose) -> str:
    """The whole card; the same manifest and prose give the same text."""
    parts = [f"# {prose.title}", prose.opening, _identity(manifest), "## Intended use", manifest.intended_use]
    for section in prose.before:
        parts += [f"## {section.title}", section.text]
    parts += ["## Licences", rows(("part", "licence", "notice"), _licences(manifest))]
    evaluation = manifest.metrics.get("evaluation")
    if evaluation:
        parts.append(results_in_words(evaluation))
    if left_out := manifest.metrics.get("left_out"):
        parts.append(unseen_in_words(left_out))
    if artefacts := manifest.metrics.get("artefacts"):
        parts.append(artefacts_in_words(artefacts))
    parts += ["## Where the levels begin", *_cuts(manifest), *_parts(manifest.metrics)]
    parts += _failures(manifest.metrics.get("known_failures", ()))
    for section in prose.after:
        parts += [f"## {section.title}", section.text]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _identity(manifest: Manifest) -> str:
    size = sum(entry.bytes for name, entry in manifest.files.items() if name.endswith(".onnx")) / 1e6
    tools = ", ".join(f"{name} {version}" for name, version in sorted(manifest.created_with.items()))
    return rows(
        ("", ""),
        (
            ("pack", f"`{manifest.id}` {manifest.version}"),
            ("tower", f"{manifest.source.model}, {manifest.source.revision}"),
            ("graphs", f"{size:.1f} MB in all"),
            ("conditions", ", ".join(f"{c.name.lower()} ({c.group})" for c in manifest.conditions)),
            ("made with", tools),
        ),
    )


def _licences(manifest: Manifest) -> Iterator[Sequence[str]]:
    for licence in manifest.licences:
        yield licence.applies_to, licence.name, licence.notice


def _cuts(manifest: Manifest) -> Iterator[str]:
    for modality, name in WORLDS.items():
        triage = manifest.triage[modality]
        yield f"### {name}"
        cuts: list[tuple[str, Threshold]] = [(CUTS[cut], getattr(triage, cut)) for cut in CUTS]
        yield rows(
            ("level", "from", "sensitivity", "specificity", "measured on"),
            (
                (
                    level,
                    number(cut.value),
                    number(cut.sensitivity),
                    number(cut.specificity),
                    _measured(cut),
                )
                for level, cut in cuts
            ),
        )
        points = manifest.metrics.get("operating_points", {}).get(modality, {})
        if points:
            yield "Operating points of the malignant probability, chosen on the same photographs:"
            yield rows(
                (
                    "aim",
                    "from",
                    "sensitivity",
                    "specificity",
                    "on lesions left out of the choice",
                    "measured on",
                ),
                (
                    (
                        f"{round(100 * float(aim))} % sensitivity",
                        number(p["value"]),
                        number(p["sensitivity"]),
                        number(p["specificity"]),
                        f"{number(p['sensitivity_left_out'])} and {number(p['specificity_left_out'])}",
                        f"{p['positives']} + {p['negatives']} photographs, {p['data']}",
                    )
                    for aim, p in sorted(points.items(), reverse=True)
                ),
            )


def _measured(cut: Threshold) -> str:
    return f"{cut.positives} + {cut.negatives} lesions, {cut.data}" if cut.positives else cut.data


def _parts(metrics: Mapping[str, Any]) -> Iterator[str]:
    made = [(title, list(flat(metrics[name]))) for name, title in PARTS.items() if metrics.get(name)]
    if not made:
        return
    yield "## The parts, when they were made"
    yield (
        "Measured on validation photographs by the steps that made each part, with the labels' boxes and partly "
        "before quantization; speeds are those of the machine that made them. The figures above are the ones to "
        "judge the pack by."
    )
    for title, found in made:
        yield f"### {title}"
        yield rows(("what", "value"), ((key, f"{v:.4g}" if isinstance(v, float) else str(v)) for key, v in found))


def _failures(failures: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    known = list(failures)
    if not known:
        return
    yield "## Known failures"
    yield (
        "Photographs of the measurement that were answered wrongly, the worst first. They are from "
        "PAD-UFES-20 (CC BY 4.0, "
        "Pacheco et al., doi 10.17632/zr7vgbcyr2.1), scaled to 300 x 300 pixels."
    )
    yield rows(
        ("photograph", "what it is", "what was said"),
        ((f"![{f['id']}]({f['file']})", f["label"], f["said"]) for f in known),
    )


def differs(folder: Path, prose: Prose) -> bool:
    """Whether a pack's committed card says anything else than its manifest."""
    pack = verify(folder)
    return pack.read(pack.manifest.card).decode() != render(pack.manifest, prose)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pack", metavar="P", help="a pack's folder or id; the embedded pack if left out")
    parser.add_argument(
        "--check", action="store_true", help="only say whether the pack's card agrees with its manifest"
    )


def run(options: argparse.Namespace, prose_by_pack: Mapping[str, Prose]) -> int:
    try:
        pack = verify(find(options.pack))
        if pack.manifest.id not in prose_by_pack:
            raise DermedgeError(f"no text is known for the card of {pack.manifest.id}")
        prose = prose_by_pack[pack.manifest.id]
        if not options.check:
            print(render(pack.manifest, prose), end="")
            return 0
        if differs(pack.folder, prose):
            raise DermedgeError(
                f"{pack.folder / pack.manifest.card} and the manifest disagree; assemble the pack again"
            )
    except DermedgeError as error:
        print(f"card: {error}", file=sys.stderr)
        return error.exit_status
    return 0
