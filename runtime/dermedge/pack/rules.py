"""What a manifest's fields must be together, beyond their types."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NoReturn

from ..errors import ManifestInvalid, PackFileUnlisted, PackPathUnsafe
from ..result import MODALITIES
from .manifest import Golden, Manifest, Scoring, Threshold, Triage

MANIFEST_NAME = "pack.json"
MAX_PATH = 200
MAX_SIDE = 4096
"""Of a graph's input, in pixels: more is a mistake, and would fill a small box's memory."""

PACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_CONDITION_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")


def invalid(where: str, what: str) -> NoReturn:
    # A field's name may come from an unknown pack: it must not move the terminal's cursor.
    printable = "".join(char if char.isprintable() else "?" for char in where[:120])
    raise ManifestInvalid(f"pack.json: {printable}: {what}. Reinstall the pack.")


def check(manifest: Manifest) -> None:
    """Raise for the first thing that does not hold."""
    _check_identity(manifest)
    _check_files(manifest)
    _check_conditions(manifest)
    for name, found in (("scoring", manifest.scoring), ("triage", manifest.triage)):
        if set(found) != set(MODALITIES):
            invalid(name, f"expected exactly {' and '.join(MODALITIES)}, found {', '.join(found) or 'nothing'}")
    for modality in MODALITIES:
        _check_scoring(f"scoring.{modality}", manifest.scoring[modality], len(manifest.conditions))
        _check_triage(f"triage.{modality}", manifest.triage[modality])
    if len({len(scoring.reject_bias) for scoring in manifest.scoring.values()}) > 1:
        invalid("scoring", "both modalities need as many values in reject_bias")
    _check_steps(manifest)
    _check_priors(manifest)
    _check_golden(manifest.golden, {condition.id for condition in manifest.conditions})


def check_path(where: str, path: str) -> None:
    """Relative, inside, and spelled so that every file system means the same file by it."""
    if len(path) > MAX_PATH or not all(_PATH_PART.fullmatch(part) for part in path.split("/")):
        raise PackPathUnsafe(
            f"{where}: {ascii(path)[:80]} is not a plain relative path inside the pack. Do not use this pack."
        )


def references(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every field that names a file, and the file."""
    yield from graphs(manifest)
    yield "vectors.prompts", manifest.vectors.prompts
    yield "vectors.rejects", manifest.vectors.rejects
    yield "vectors.modalities", manifest.vectors.modalities
    for i, photo in enumerate(manifest.golden.photos):
        yield f"golden.photos[{i}].photo", photo.photo
        yield f"golden.photos[{i}].embeddings", photo.embeddings
    yield "card", manifest.card


def graphs(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every field that names a graph, and its file."""
    yield "tower.graph", manifest.tower.graph
    yield "detector.graph", manifest.detector.graph
    if manifest.segmenter is not None:
        yield "segmenter.encoder", manifest.segmenter.encoder
        yield "segmenter.decoder", manifest.segmenter.decoder


def _check_identity(manifest: Manifest) -> None:
    for name, value in (("id", manifest.id), ("version", manifest.version)):
        if not PACK_NAME.fullmatch(value):
            invalid(name, "expected 1 to 64 letters, digits and . _ + -, beginning with a letter or digit")
    if not _SHA256.fullmatch(manifest.digest):
        invalid("digest", "expected 64 hexadecimal digits")
    if not manifest.licences:
        invalid("licences", "a pack must say whose terms it carries")


def _check_files(manifest: Manifest) -> None:
    spelled: set[str] = set()
    for path, entry in manifest.files.items():
        check_path("pack.json: files", path)
        if path.lower() == MANIFEST_NAME or path.lower() in spelled:
            invalid(f"files.{path}", "the name is taken")
        spelled.add(path.lower())
        if not _SHA256.fullmatch(entry.sha256):
            invalid(f"files.{path}.sha256", "expected 64 hexadecimal digits")
        if entry.bytes < 0:
            invalid(f"files.{path}.bytes", "expected 0 or more")
    for where, path in references(manifest):
        check_path(f"pack.json: {where}", path)
        if path not in manifest.files:
            raise PackFileUnlisted(
                f"pack.json: {where}: {path} is not listed in the manifest's files. Do not use this pack."
            )


def _check_conditions(manifest: Manifest) -> None:
    ids: set[str] = set()
    for i, condition in enumerate(manifest.conditions):
        where = f"conditions[{i}]"
        if not _CONDITION_ID.fullmatch(condition.id) or len(condition.id) > 64:
            invalid(f"{where}.id", "expected lower-case words joined by -")
        if condition.id in ids:
            invalid(f"{where}.id", f"{condition.id} is there twice")
        ids.add(condition.id)
        _check_range(f"{where}.severity", condition.severity, 0, 10)
    if not any(condition.group == "malignant" for condition in manifest.conditions):
        invalid("conditions", "none is malignant, so that nothing could ever be urgent")


def _check_scoring(where: str, scoring: Scoring, conditions: int) -> None:
    if len(scoring.bias) != conditions:
        invalid(f"{where}.bias", f"expected {conditions} values, one a condition, found {len(scoring.bias)}")
    if not scoring.reject_bias:
        invalid(f"{where}.reject_bias", "expected at least one value")
    _check_positive(f"{where}.scale", scoring.scale)
    _check_positive(f"{where}.temperature", scoring.temperature)
    _check_range(f"{where}.rejection", scoring.rejection, 0, 1)


def _check_triage(where: str, triage: Triage) -> None:
    cuts = ("urgent", "refer", "refer_premalignant", "unclear")
    for name in cuts:
        cut: Threshold = getattr(triage, name)
        _check_range(f"{where}.{name}.value", cut.value, 0, 1)
        for measure, measured, lesions, count in (
            ("sensitivity", cut.sensitivity, "positives", cut.positives),
            ("specificity", cut.specificity, "negatives", cut.negatives),
        ):
            _check_range(f"{where}.{name}.{lesions}", count, 0, math.inf)
            if measured is None:
                continue
            _check_range(f"{where}.{name}.{measure}", measured, 0, 1)
            if count == 0:
                invalid(f"{where}.{name}.{measure}", f"a figure without {lesions} was not measured")
    _check_range(f"{where}.reassure", triage.reassure, 0, 1)
    for lower, upper in (("unclear", "refer"), ("unclear", "refer_premalignant"), ("refer", "urgent")):
        if getattr(triage, lower).value > getattr(triage, upper).value:
            invalid(f"{where}.{lower}.value", f"it is above {upper}")


def _check_steps(manifest: Manifest) -> None:
    tower, detector, segmenter = manifest.tower, manifest.detector, manifest.segmenter
    _check_range("tower.size", tower.size, 1, MAX_SIDE)
    _check_range("tower.context", tower.context, 1, 10)
    for i, value in enumerate(tower.padding):
        _check_range(f"tower.padding[{i}]", value, 0, 255)
    _check_positive("vectors.modality_scale", manifest.vectors.modality_scale)
    _check_range("detector.size", detector.size, 1, MAX_SIDE)
    _check_range("detector.confidence", detector.confidence, 0, 1)
    _check_range("detector.iou", detector.iou, 0, 1)
    _check_range("detector.max_lesions", detector.max_lesions, 1, 1000)
    if segmenter is not None:
        _check_range("segmenter.size", segmenter.size, 1, MAX_SIDE)
        _check_range("segmenter.context", segmenter.context, 1, 10)


def _check_priors(manifest: Manifest) -> None:
    facts: set[tuple[str, str, str]] = set()
    for i, prior in enumerate(manifest.priors):
        if len(prior.shift) != len(manifest.conditions):
            invalid(f"priors[{i}].shift", f"expected {len(manifest.conditions)} values, found {len(prior.shift)}")
        _check_range(f"priors[{i}].lesions", prior.lesions, 0, math.inf)
        fact = (prior.modality, prior.fact, prior.value)
        if fact in facts:
            invalid(f"priors[{i}]", f"{' '.join(fact)} is there twice")
        facts.add(fact)


def _check_golden(golden: Golden, conditions: set[str]) -> None:
    if not golden.photos:
        invalid("golden.photos", "a pack without a self-test cannot be trusted on another machine")
    for i, photo in enumerate(golden.photos):
        where = f"golden.photos[{i}]"
        if len(photo.probabilities) != len(photo.boxes):
            invalid(f"{where}.probabilities", "expected one mapping a box")
        for j, (_, _, width, height) in enumerate(photo.boxes):
            _check_positive(f"{where}.boxes[{j}] width", width)
            _check_positive(f"{where}.boxes[{j}] height", height)
        for j, probabilities in enumerate(photo.probabilities):
            if set(probabilities) != conditions:
                invalid(f"{where}.probabilities[{j}]", "expected one value for each condition")
            for condition, value in probabilities.items():
                _check_range(f"{where}.probabilities[{j}].{condition}", value, 0, 1)
            if abs(sum(probabilities.values()) - 1) > 0.001:
                invalid(f"{where}.probabilities[{j}]", "the values do not sum to 1")
    _check_range("golden.box_pixels", golden.box_pixels, 0, math.inf)
    _check_range("golden.cosine", golden.cosine, 0, 1)
    _check_range("golden.probability", golden.probability, 0, 1)


def _check_range(where: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        invalid(
            where,
            f"{value} is not between {least} and {most}" if most < math.inf else f"{value} is below {least}",
        )


def _check_positive(where: str, value: float) -> None:
    if not value > 0:
        invalid(where, f"{value} is not above 0")
