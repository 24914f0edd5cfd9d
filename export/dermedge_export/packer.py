"""Writes a pack: staged beside its place, answered by the runtime, read back by a fresh process, renamed.

The same parts give the same bytes: nothing in a pack tells when or where it was made.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge import PackError, Scanner
from dermedge.pack.manifest import (
    SCHEMA_VERSION,
    Condition,
    DetectorSpec,
    FileEntry,
    Golden,
    GoldenPhoto,
    Licence,
    Manifest,
    Prior,
    Scoring,
    SegmenterSpec,
    Source,
    TowerSpec,
    Triage,
    Vectors,
)
from dermedge.pack.reading import canonical, digest_of, document_of, read_record
from dermedge.photo import read_photo
from dermedge.result import Box, Modality
from dermedge.scorer import Facts

CARD = "MODEL_CARD.md"
MANIFEST = "pack.json"
PROMPTS, REJECTS, MODALITIES = "prompts.npy", "rejects.npy", "modalities.npy"
GOLDEN = "golden"

READ_BACK = """
import sys
from dermedge import Scanner
from dermedge.golden import require_golden
with Scanner.open(sys.argv[1], provider="cpu") as scanner:
    require_golden(scanner)
loaded = {"torch", "tensorflow", "transformers", "ultralytics", "dermedge_export"} & set(sys.modules)
sys.exit(f"reading the pack loaded {sorted(loaded)}" if loaded else 0)
"""


@dataclass(frozen=True, slots=True)
class GoldenSource:
    """A photograph that every machine must answer as the pack's maker did."""

    name: str
    """File name inside the pack's `golden/`."""
    encoded: bytes
    modality: Modality


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far another machine's answers may be off."""

    box_pixels: float = 6.0
    cosine: float = 0.995
    probability: float = 0.05


@dataclass(frozen=True, slots=True)
class PackParts:
    """Everything a pack is made of, before it has files."""

    id: str
    version: str
    created_with: Mapping[str, str]
    source: Source
    intended_use: str
    licences: tuple[Licence, ...]
    tower: TowerSpec
    detector: DetectorSpec
    segmenter: SegmenterSpec | None
    graphs: Mapping[str, bytes]
    """By the names that `tower`, `detector` and `segmenter` use, and their external data."""
    conditions: tuple[Condition, ...]
    prompts: NDArray[np.float32]
    rejects: NDArray[np.float32]
    modalities: NDArray[np.float32]
    modality_scale: float
    scoring: Mapping[str, Scoring]
    triage: Mapping[str, Triage]
    priors: tuple[Prior, ...]
    golden: tuple[GoldenSource, ...]
    tolerances: Tolerances
    metrics: Mapping[str, Any]
    card: Callable[[Manifest], str]
    """Renders the model card from the manifest; the only entry it cannot see is the card's own in `files`."""
    notices: Mapping[str, bytes] = field(default_factory=dict)
    """Licence texts and attributions, by file name."""


def write_pack(parts: PackParts, target: Path) -> Manifest:
    """Write the pack to `target`, replacing what is there; nothing is changed there unless all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        staged = room / target.name
        staged.mkdir()
        files = _files(parts)
        for name, data in files.items():
            _write(staged, name, data)
        # First with a self-test that asks for nothing, so that the runtime can open the pack and answer.
        unanswered = tuple(GoldenPhoto(f"{GOLDEN}/{g.name}", g.modality, (), _npy_name(g), ()) for g in parts.golden)
        empty = _npy(np.zeros((0, parts.prompts.shape[-1]), np.float32))
        _seal(parts, staged, files | {g.embeddings: empty for g in unanswered}, unanswered)
        golden, embeddings = _answer(staged, parts.golden, parts.prompts.shape[-1])
        manifest = _seal(parts, staged, files | embeddings, golden)
        _read_back(staged)
        _replace(staged, target, room)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return manifest


def _files(parts: PackParts) -> dict[str, bytes]:
    return {
        **parts.graphs,
        **parts.notices,
        PROMPTS: _npy(parts.prompts),
        REJECTS: _npy(parts.rejects),
        MODALITIES: _npy(parts.modalities),
        **{f"{GOLDEN}/{g.name}": g.encoded for g in parts.golden},
    }


def _seal(parts: PackParts, staged: Path, files: Mapping[str, bytes], golden: tuple[GoldenPhoto, ...]) -> Manifest:
    """Write the files that are new, the card and the manifest that vouches for all of them."""
    tolerances = parts.tolerances
    manifest = Manifest(
        schema=SCHEMA_VERSION,
        id=parts.id,
        version=parts.version,
        digest="",
        created_with=parts.created_with,
        source=parts.source,
        intended_use=parts.intended_use,
        licences=parts.licences,
        files={name: _entry(data) for name, data in sorted(files.items())},
        tower=parts.tower,
        conditions=parts.conditions,
        vectors=Vectors(PROMPTS, REJECTS, MODALITIES, parts.modality_scale),
        scoring=parts.scoring,
        triage=parts.triage,
        priors=parts.priors,
        detector=parts.detector,
        segmenter=parts.segmenter,
        golden=Golden(golden, tolerances.box_pixels, tolerances.cosine, tolerances.probability),
        card=CARD,
        metrics=parts.metrics,
    )
    # As it will be read: sorted and frozen, so that the card comes out the same whoever renders it.
    manifest = read_record(Manifest, json.loads(canonical(document_of(manifest))), "")
    card = parts.card(manifest).encode()
    manifest = replace(manifest, files={**manifest.files, CARD: _entry(card)})
    manifest = replace(manifest, digest=digest_of(document_of(manifest)))
    for name, data in ((CARD, card), *((p.embeddings, files[p.embeddings]) for p in golden)):
        _write(staged, name, data)
    _write(staged, MANIFEST, canonical(document_of(manifest)))
    return manifest


def _answer(
    staged: Path, sources: tuple[GoldenSource, ...], width: int
) -> tuple[tuple[GoldenPhoto, ...], dict[str, bytes]]:
    """What the staged pack says about its golden photographs, step by step as a scan does."""
    photos: list[GoldenPhoto] = []
    embeddings: dict[str, bytes] = {}
    with Scanner.open(staged, provider="cpu", threads=1) as scanner:
        for source in sources:
            photo = read_photo(source.encoded, name=source.name)
            found = scanner.detector.find(photo)
            vectors = [scanner.tower.embed(scanner.crop(photo, detection.box)).vector for detection in found]
            scores = [scanner.scorer.score(vector, source.modality, Facts()) for vector in vectors]
            photos.append(
                GoldenPhoto(
                    photo=f"{GOLDEN}/{source.name}",
                    modality=source.modality,
                    boxes=tuple(_rounded_box(d.box) for d in found),
                    embeddings=_npy_name(source),
                    probabilities=tuple({c: round(p, 6) for c, p in s.probabilities.items()} for s in scores),
                )
            )
            rows = np.stack(vectors) if vectors else np.zeros((0, width), np.float32)
            embeddings[_npy_name(source)] = _npy(rows)
    if not any(photo.boxes for photo in photos):
        raise PackError("the detector finds no lesion in any golden photograph; the pack would test nothing")
    return tuple(photos), embeddings


def _read_back(staged: Path) -> None:
    """A process that never saw torch verifies the pack and repeats its golden answers."""
    command = [sys.executable, "-c", READ_BACK, str(staged)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise PackError(f"the pack does not read back: {lines[-1] if lines else f'exit {done.returncode}'}")


def _replace(staged: Path, target: Path, room: Path) -> None:
    """Rename into place; the old pack leaves first, and comes back if the new one cannot take its place."""
    old = room / "replaced"
    if target.exists():
        target.rename(old)
    try:
        staged.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    _sync(target.parent)


def _write(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entry(data: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def _rounded_box(box: Box) -> tuple[float, float, float, float]:
    return round(box.x0, 2), round(box.y0, 2), round(box.width, 2), round(box.height, 2)


def _npy_name(source: GoldenSource) -> str:
    return f"{GOLDEN}/{Path(source.name).stem}.npy"


def _npy(rows: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    # The version is fixed: the bytes must not depend on numpy's own choice.
    np.lib.format.write_array(buffer, np.ascontiguousarray(rows, np.float32), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
