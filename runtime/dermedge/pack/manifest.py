"""What a pack says about itself: the frozen picture of `pack.json`.

The dataclasses are the format: the strict reader (`reading`) and the JSON Schema (`schema`) are both derived
from their fields, so a field added here is read, checked and documented at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SCHEMA_VERSION = 1

Group = Literal["malignant", "premalignant", "benign", "inflammatory", "infectious", "normal"]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the pack."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Licence:
    """Whose terms a part of the pack carries."""

    name: str
    applies_to: str
    notice: str


@dataclass(frozen=True, slots=True)
class Source:
    """What the tower was made from."""

    model: str
    revision: str


@dataclass(frozen=True, slots=True)
class TowerSpec:
    """The image tower and how its crop is cut.

    Graph: input `crop` uint8 [N, size, size, 3]; outputs `embedding` float32 [N, D] of length 1 and `patches`
    float32 [N, P, D], each patch's share in the embedding, row by row.
    """

    graph: str
    size: int
    resample: Literal["bilinear", "bicubic", "lanczos"]
    context: float
    """Side of the square crop, in longer sides of the lesion's box."""
    padding: tuple[int, int, int]
    """Colour where the square leaves the photograph."""
    views: Literal[1, 2, 4, 8]
    """How many flips and turns of the crop are embedded and averaged."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing a lesion can be."""

    id: str
    name: str
    group: Group
    severity: int
    """0 (harmless) to 10; orders the conditions inside a level's reasons."""
    prompts: tuple[str, ...]
    """The texts its vector came from; empty where it was learned from photographs."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What embeddings are compared with, as .npy files of float32 rows of length 1."""

    prompts: str
    """[modalities, conditions, D]."""
    rejects: str
    """[R, D]: what is no lesion (a hand, an object, bare skin)."""
    modalities: str
    """[modalities, D]."""
    modality_scale: float
    """Scale of the cosine with `modalities` before the softmax."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """From cosines to calibrated probabilities, for one modality.

    logits = scale * cosine + bias; probabilities = softmax(logits / temperature). The rejection mass is the part
    that falls on the rejects in softmax([scale * cosine + bias, scale * reject cosine + reject_bias]).
    """

    scale: float
    bias: tuple[float, ...]
    temperature: float
    reject_bias: tuple[float, ...]
    rejection: float
    """From this rejection mass on it is doubtful that this is a lesion, and the level is `unclear` at most."""
    calibrated: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """A cut, and what was measured at it."""

    value: float
    sensitivity: float | None
    specificity: float | None
    positives: int
    """Lesions that the sensitivity was measured on; 0 where nothing was measured."""
    negatives: int
    data: str


@dataclass(frozen=True, slots=True)
class Triage:
    """Where one modality's levels begin."""

    urgent: Threshold
    """Malignant mass from here on: `urgent`."""
    refer: Threshold
    """Malignant mass from here on: `refer`; chosen for 95 % sensitivity."""
    refer_premalignant: Threshold
    """Referral mass (malignant and premalignant) from here on: `refer`."""
    unclear: Threshold
    """Referral mass from here on, below the two above: `unclear`."""
    reassure: float
    """`watch` needs one harmless condition with at least this probability; else `unclear`."""


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """The lesion detector.

    Graph: input `images` uint8 [1, size, size, 3], letterboxed; output `boxes` float32 [1, A, 5]: x0, y0, x1, y1
    in input pixels and a confidence. Non-maximum suppression is the runtime's.
    """

    graph: str
    size: int
    confidence: float
    iou: float
    max_lesions: int


@dataclass(frozen=True, slots=True)
class SegmenterSpec:
    """The lesion's outline, on request.

    Encoder: `image` uint8 [1, size, size, 3] -> `features`. Decoder: `features` and `box` float32 [1, 4] in input
    pixels -> `mask` float32 [1, size, size], logits.
    """

    encoder: str
    decoder: str
    size: int
    context: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Prior:
    """What one fact about the person adds to the logits, learned on training lesions."""

    modality: Literal["dermoscopy", "phone"]
    fact: Literal["age", "sex", "site"]
    value: str
    """An age band such as `60-69`, a sex, or a body site."""
    shift: tuple[float, ...]
    lesions: int


@dataclass(frozen=True, slots=True)
class GoldenPhoto:
    """A photograph and the answers that the pack gave where it was made."""

    photo: str
    modality: Literal["dermoscopy", "phone"]
    boxes: tuple[tuple[float, float, float, float], ...]
    """x, y, width, height in the photograph's pixels, by falling confidence."""
    embeddings: str
    """A .npy file, float32 [boxes, D]."""
    probabilities: tuple[Mapping[str, float], ...]
    """One mapping a box."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The pack's self-test, and how far another machine may be off."""

    photos: tuple[GoldenPhoto, ...]
    box_pixels: float
    cosine: float
    """Lowest allowed cosine between embeddings."""
    probability: float
    """Largest allowed difference of a probability."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`pack.json`, whole."""

    schema: int
    id: str
    version: str
    digest: str
    """sha256 of this manifest's canonical JSON without this field."""
    created_with: Mapping[str, str]
    source: Source
    intended_use: str
    licences: tuple[Licence, ...]
    files: Mapping[str, FileEntry]
    tower: TowerSpec
    conditions: tuple[Condition, ...]
    vectors: Vectors
    scoring: Mapping[str, Scoring]
    """By modality; both must be there."""
    triage: Mapping[str, Triage]
    priors: tuple[Prior, ...]
    detector: DetectorSpec
    segmenter: SegmenterSpec | None
    golden: Golden
    card: str
    """The model card's file."""
    metrics: Mapping[str, Any]
    """Every figure of the model card, by its name there."""
