"""Writes a small, complete and valid pack, photographs it can judge, and broken variants of it.

Its answers come from plain numpy, Pillow and ONNX Runtime, so that the runtime's own steps are checked
against something that does not share their code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

import tiny_graphs

Document = dict[str, Any]
Colour = tuple[int, int, int]
Spot = tuple[str | Colour, float, float, float]
"""Condition id or colour; centre x, centre y and radius in pixels."""

MODALITIES = ("dermoscopy", "phone")
CONDITIONS: tuple[tuple[str, str, str, int], ...] = (
    ("melanoma", "Melanoma", "malignant", 10),
    ("basal-cell-carcinoma", "Basal-cell carcinoma", "malignant", 7),
    ("squamous-cell-carcinoma", "Squamous-cell carcinoma", "malignant", 8),
    ("actinic-keratosis", "Actinic keratosis", "premalignant", 5),
    ("melanocytic-nevus", "Melanocytic nevus", "benign", 1),
    ("seborrheic-keratosis", "Seborrheic keratosis", "benign", 1),
    ("dermatofibroma", "Dermatofibroma", "benign", 1),
    ("vascular-lesion", "Vascular lesion", "benign", 2),
)
CONTEXT = 1.5
CONFIDENCE = 0.5
IOU = 0.3
PADDING: Colour = (235, 192, 180)
SCALE = 20.0
REJECTION = 0.5


def skin_with_spots(
    *spots: Spot,
    size: tuple[int, int] = (256, 256),
    modality: str = "phone",
    noise: float = 3.0,
    seed: int = 0,
) -> Image.Image:
    """Slightly grainy skin with round, soft-edged spots; without spots it is plain skin."""
    width, height = size
    rng = np.random.default_rng(seed)
    skin = np.array(tiny_graphs.SKIN_COLOURS[modality], np.float32)
    picture = np.broadcast_to(skin, (height, width, 3)).copy()
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
    for what, cx, cy, radius in spots:
        colour = np.array(tiny_graphs.SPOT_COLOURS[what] if isinstance(what, str) else what, np.float32)
        cover = np.clip(radius - np.hypot(x - cx, y - cy) + 0.5, 0, 1)[..., None]
        picture = picture * (1 - cover) + colour * cover
    picture += rng.normal(0, noise, (height, width, 1))
    return Image.fromarray(np.clip(picture.round(), 0, 255).astype(np.uint8))


def plain(colour: Colour, size: tuple[int, int] = (256, 256)) -> Image.Image:
    """A photograph of nothing but one colour."""
    return Image.new("RGB", size, colour)


def build(
    folder: Path,
    *,
    external_data: bool = False,
    segmenter: bool = True,
    views: int = 1,
    calibrated: bool = True,
    **overrides: Any,
) -> Path:
    """Write a valid pack into `folder` and return it; `overrides` replace top-level manifest fields.

    With `external_data` the tower's weights lie in `graphs/tower.bin`. The golden answers are worked out
    before the overrides are applied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    graphs = folder / "graphs"
    tiny_graphs.write(tiny_graphs.tower(), graphs / "tower.onnx", "tower.bin" if external_data else None)
    tiny_graphs.write(tiny_graphs.detector(), graphs / "detector.onnx")
    if segmenter:
        tiny_graphs.write(tiny_graphs.segmenter_encoder(), graphs / "encoder.onnx")
        tiny_graphs.write(tiny_graphs.segmenter_decoder(), graphs / "decoder.onnx")
    tower, detector = _session(graphs / "tower.onnx"), _session(graphs / "detector.onnx")

    prompts, modalities, rejects = _vectors(tower)
    (folder / "vectors").mkdir(exist_ok=True)
    for name, rows in (("prompts", prompts), ("modalities", modalities), ("rejects", rejects)):
        np.save(folder / "vectors" / f"{name}.npy", rows)
    (folder / "card.md").write_text("# Tiny pack\n\nFor tests only: it knows colours, not lesions.\n")

    document: Document = {
        "schema": 1,
        "id": "tiny",
        "version": "1.0.0",
        "digest": "",
        "created_with": {"numpy": np.__version__, "onnxruntime": ort.__version__},
        "source": {"model": "reference colours", "revision": "1"},
        "intended_use": "Tests; its answers mean nothing.",
        "licences": [{"name": "Apache-2.0", "applies_to": "everything", "notice": "For tests only."}],
        "files": {},
        "tower": {
            "graph": "graphs/tower.onnx",
            "size": tiny_graphs.TOWER_SIZE,
            "resample": "bilinear",
            "context": CONTEXT,
            "padding": list(PADDING),
            "views": views,
        },
        "conditions": [
            {"id": id, "name": name, "group": group, "severity": severity, "prompts": [f"a spot like a {id}"]}
            for id, name, group, severity in CONDITIONS
        ],
        "vectors": {
            "prompts": "vectors/prompts.npy",
            "rejects": "vectors/rejects.npy",
            "modalities": "vectors/modalities.npy",
            "modality_scale": 100.0,
        },
        "scoring": {modality: _scoring(len(rejects), calibrated) for modality in MODALITIES},
        "triage": {modality: _triage() for modality in MODALITIES},
        "priors": [
            _prior("dermoscopy", "age", "70-79", melanoma=0.4),
            _prior("dermoscopy", "age", "20-29", melanoma=-0.6, **{"melanocytic-nevus": 0.3}),
            _prior("dermoscopy", "sex", "male", melanoma=0.2),
            _prior("phone", "site", "face", **{"basal-cell-carcinoma": 0.5}),
        ],
        "detector": {
            "graph": "graphs/detector.onnx",
            "size": tiny_graphs.DETECTOR_SIZE,
            "confidence": CONFIDENCE,
            "iou": IOU,
            "max_lesions": 8,
        },
        "segmenter": {
            "encoder": "graphs/encoder.onnx",
            "decoder": "graphs/decoder.onnx",
            "size": tiny_graphs.SEGMENTER_SIZE,
            "context": 1.5,
            "threshold": 0.0,
        }
        if segmenter
        else None,
        "golden": {
            "photos": [_golden(folder, modality, tower, detector, prompts) for modality in MODALITIES],
            "box_pixels": 8.0,
            "cosine": 0.98,
            "probability": 0.1,
        },
        "card": "card.md",
        "metrics": {"dermoscopy": {"auc": 0.9, "lesions": 12}, "note": "made up for tests"},
    }
    document.update(overrides)
    seal(folder, document)
    return folder


def canonical(document: Document) -> bytes:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=2)
    return (text + "\n").encode()


def seal(folder: Path, document: Document) -> None:
    """Fill in `files` and `digest` from what is there, and write `pack.json`."""
    document["files"] = {
        path.relative_to(folder).as_posix(): file_entry(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / "pack.json"
    }
    write_manifest(folder, document)


def file_entry(data: bytes) -> Document:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def write_manifest(folder: Path, document: Document) -> None:
    """Write `pack.json` with a right digest, whatever else is wrong in it."""
    unsigned = {key: value for key, value in document.items() if key != "digest"}
    document["digest"] = hashlib.sha256(canonical(unsigned)).hexdigest()
    (folder / "pack.json").write_bytes(canonical(document))


def read_manifest(folder: Path) -> Document:
    document: Document = json.loads((folder / "pack.json").read_bytes())
    return document


def edit_manifest(folder: Path, change: Callable[[Document], object], *, reseal: bool = True) -> Path:
    """Apply `change` to the manifest; with `reseal` its digest is made right again (`files` is left).

    NaN and Infinity are written as Python writes them, so that a reader has something to refuse.
    """
    document = read_manifest(folder)
    change(document)
    path = folder / "pack.json"

    def dump(value: Document) -> bytes:
        return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2) + "\n").encode()

    if reseal:
        unsigned = {key: value for key, value in document.items() if key != "digest"}
        document["digest"] = hashlib.sha256(dump(unsigned)).hexdigest()
    path.write_bytes(dump(document))
    return folder


def replace_file(folder: Path, name: str, data: bytes, *, listed: bool = True) -> Path:
    """Overwrite or add a file; with `listed` the manifest vouches for the new bytes."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    if listed:
        edit_manifest(folder, lambda document: document["files"].update({name: file_entry(data)}))
    return folder


def detect(detector: ort.InferenceSession, photo: Image.Image) -> list[tuple[float, float, float, float, float]]:
    """Boxes x, y, width, height, confidence; only for square photographs, which need no letterbox."""
    width, height = photo.size
    assert width == height, "the golden photographs are square"
    size = tiny_graphs.DETECTOR_SIZE
    small = np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR))
    rows = detector.run(["boxes"], {"images": small[None]})[0][0]
    rows = rows[rows[:, 4] >= CONFIDENCE]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    kept: list[NDArray[np.float32]] = []
    for row in rows:
        if all(_iou(row, other) <= IOU for other in kept):
            kept.append(row)
    factor = width / size
    return [
        (
            float(r[0] * factor),
            float(r[1] * factor),
            float((r[2] - r[0]) * factor),
            float((r[3] - r[1]) * factor),
            float(r[4]),
        )
        for r in kept
    ]


def crop(photo: Image.Image, box: Iterable[float]) -> NDArray[np.uint8]:
    """The tower's square for a box x, y, width, height."""
    x, y, width, height = box
    side = max(1, round(CONTEXT * max(width, height)))
    left, top = round(x + width / 2 - side / 2), round(y + height / 2 - side / 2)
    square = Image.new("RGB", (side, side), PADDING)
    square.paste(photo, (-left, -top))
    size = tiny_graphs.TOWER_SIZE
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def embed(tower: ort.InferenceSession, crops: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    embedding: NDArray[np.float32] = tower.run(["embedding"], {"crop": np.stack(list(crops))})[0]
    return embedding


def probabilities(prompts: NDArray[np.float32], embedding: NDArray[np.float32]) -> dict[str, float]:
    """What the tiny scoring makes of one embedding: all biases 0, temperature 1."""
    logits = SCALE * (prompts.astype(np.float64) @ embedding.astype(np.float64))
    odds = np.exp(logits - logits.max())
    return {row[0]: float(p) for row, p in zip(CONDITIONS, odds / odds.sum(), strict=True)}


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    wide = rows.astype(np.float64)
    unit: NDArray[np.float32] = (wide / np.linalg.norm(wide, axis=-1, keepdims=True)).astype(np.float32)
    return unit


def _vectors(
    tower: ort.InferenceSession,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Prompts, modalities and rejects: the embeddings of pictures drawn in the reference colours."""
    radii = (75, 85, 95)

    def lesion(condition: str, modality: str) -> NDArray[np.float32]:
        pictures = [
            crop(skin_with_spots((condition, 128, 128, r), modality=modality), (43, 43, 170, 170)) for r in radii
        ]
        mean: NDArray[np.float32] = embed(tower, pictures).mean(axis=0)
        return mean

    prompts = np.stack([np.stack([lesion(row[0], modality) for row in CONDITIONS]) for modality in MODALITIES])
    bare = [np.asarray(skin_with_spots(size=(64, 64), modality=modality)) for modality in MODALITIES]
    objects = [np.asarray(plain(colour, (64, 64))) for colour in tiny_graphs.OTHER_COLOURS]
    on_skin = [
        crop(skin_with_spots((colour, 128, 128, 85), modality=modality), (43, 43, 170, 170))
        for modality in MODALITIES
        for colour in tiny_graphs.OTHER_COLOURS[2:]
    ]
    # A modality is its skin against the other's: what both share says nothing.
    skins = embed(tower, bare)
    modalities = _unit(_unit(prompts.mean(axis=1)) + skins - skins.mean(axis=0))
    return _unit(prompts), modalities, embed(tower, [*bare, *objects, *on_skin])


def _scoring(rejects: int, calibrated: bool) -> Document:
    return {
        "scale": SCALE,
        "bias": [0.0] * len(CONDITIONS),
        "temperature": 1.0,
        "reject_bias": [0.0] * rejects,
        "rejection": REJECTION,
        "calibrated": calibrated,
    }


def _triage() -> Document:
    def cut(value: float) -> Document:
        return {
            "value": value,
            "sensitivity": None,
            "specificity": None,
            "positives": 0,
            "negatives": 0,
            "data": "chosen for tests, measured on nothing",
        }

    return {
        "urgent": cut(0.6),
        "refer": cut(0.25),
        "refer_premalignant": cut(0.4),
        "unclear": cut(0.15),
        "reassure": 0.5,
    }


def _prior(modality: str, fact: str, value: str, **shifts: float) -> Document:
    return {
        "modality": modality,
        "fact": fact,
        "value": value,
        "shift": [shifts.get(row[0], 0.0) for row in CONDITIONS],
        "lesions": 40,
    }


def _golden(
    folder: Path,
    modality: str,
    tower: ort.InferenceSession,
    detector: ort.InferenceSession,
    prompts: NDArray[np.float32],
) -> Document:
    spots: dict[str, tuple[Spot, ...]] = {
        "dermoscopy": (("melanoma", 128, 128, 56),),
        "phone": (("melanocytic-nevus", 80, 90, 32), ("vascular-lesion", 180, 170, 40)),
    }
    photo = skin_with_spots(*spots[modality], modality=modality, seed=3)
    (folder / "golden").mkdir(exist_ok=True)
    photo.save(folder / "golden" / f"{modality}.png")
    boxes = [found[:4] for found in detect(detector, photo)]
    assert len(boxes) == len(spots[modality]), f"the tiny detector found {boxes}"
    embeddings = embed(tower, [crop(photo, box) for box in boxes])
    np.save(folder / "golden" / f"{modality}.npy", embeddings)
    rows = prompts[MODALITIES.index(modality)]
    return {
        "photo": f"golden/{modality}.png",
        "modality": modality,
        "boxes": [list(box) for box in boxes],
        "embeddings": f"golden/{modality}.npy",
        "probabilities": [probabilities(rows, embedding) for embedding in embeddings],
    }


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    across = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    down = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    areas = [float((r[2] - r[0]) * (r[3] - r[1])) for r in (a, b)]
    return across * down / (sum(areas) - across * down)
