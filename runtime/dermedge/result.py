"""The immutable values that flow from a photograph to a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Modality = Literal["dermoscopy", "phone"]
Level = Literal["no-lesion", "watch", "unclear", "refer", "urgent"]

MODALITIES: tuple[Modality, ...] = ("dermoscopy", "phone")
LEVELS: tuple[Level, ...] = ("no-lesion", "watch", "unclear", "refer", "urgent")
"""From the least to the most worrying; a level's place in this tuple is its rank."""

SURELY_NOTHING = 0.90
"""From this rejection mass on, a place that the detector proposed is no lesion, whatever a pack's own threshold says.
Below it the two networks disagree, and that is doubt: on photographs of other patients, cancers lay in between."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright, full-size photograph; it may reach beyond its edges."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def as_xywh(self) -> list[float]:
        """The order that `--box` takes and the JSON output gives."""
        return [round(v, 1) for v in (self.x0, self.y0, self.width, self.height)]


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photograph: upright, sRGB, stripped of all metadata."""

    name: str
    pixels: NDArray[np.uint8] = field(repr=False)
    """Height x width x 3, read-only; possibly smaller than the original, see `scale`."""
    width: int
    """Of the upright original, in pixels."""
    height: int
    scale: float
    """Decoded pixels per original pixel (1.0, or a fraction when a large JPEG was decoded in draft mode)."""
    format: str
    notes: tuple[str, ...] = ()
    """What a person should know about the decoding: first frame of an animation, alpha flattened, ..."""

    @property
    def frame(self) -> Box:
        return Box(0.0, 0.0, float(self.width), float(self.height))


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a piece of a photograph can be judged, each measure with the problem it amounts to, if any."""

    sharpness: float
    exposure: float
    contrast: float
    glare: float
    size: int
    """Short side in original pixels."""
    problems: tuple[str, ...] = ()
    """Ids such as `blurred`, `too-dark`; empty when the picture is good enough."""
    advice: tuple[str, ...] = ()
    """One plain sentence a problem: how to take a better picture."""

    @property
    def usable(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Detection:
    """Where the detector (or the person) says a lesion is."""

    box: Box
    confidence: float
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Crop:
    """The square that the tower sees."""

    pixels: NDArray[np.uint8] = field(repr=False)
    """size x size x 3."""
    region: Box
    """The square in the original's pixels; where it leaves the photograph it was padded."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """The tower's answer for one crop."""

    vector: NDArray[np.float32] = field(repr=False)
    """(D,), of length 1."""
    patches: NDArray[np.float32] = field(repr=False)
    """(rows, columns, D): each patch's share in `vector`; over all patches they sum up to it."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities of one lesion."""

    modality: Modality
    probabilities: Mapping[str, float]
    """Condition id -> probability; they sum to 1."""
    malignant: float
    """Sum over the malignant conditions."""
    referral: float
    """`malignant` and the premalignant conditions."""
    rejection: float
    """How much this looks like no lesion at all, 0 to 1."""
    rejected: bool
    """Whether `rejection` is above the pack's threshold: from there on it is doubtful that this is a lesion."""
    calibrated: bool
    shifts: tuple[str, ...] = ()
    """What age, sex and body site changed, in words."""

    @property
    def nothing(self) -> bool:
        """Whether this is no lesion beyond doubt."""
        return self.rejected and self.rejection >= SURELY_NOTHING

    def ranked(self) -> list[tuple[str, float]]:
        """Conditions by falling probability; ties by id, so that the order never depends on the pack's."""
        return sorted(self.probabilities.items(), key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said to the person, and every number and rule behind it."""

    level: Level
    headline: str
    advice: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saliency:
    """Which parts of the crop spoke for a condition, from the same pass that was scored."""

    condition: str
    heat: NDArray[np.float32] = field(repr=False)
    """(rows, columns), relevance per patch: sums up to the cosine with the condition's vector."""
    region: Box
    """The crop's square in the original's pixels."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A lesion's outline inside its crop."""

    pixels: NDArray[np.bool_] = field(repr=False)
    region: Box


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion of a photograph, judged."""

    number: int
    box: Box
    confidence: float
    by_hand: bool
    quality: Quality
    scores: Scores
    verdict: Verdict
    saliency: Saliency | None = None
    mask: Mask | None = None

    def as_json(self, top: int | None = None) -> dict[str, Any]:
        """The object that `--json` prints for a lesion."""
        ranked = self.scores.ranked()[:top]
        return {
            "number": self.number,
            "box": self.box.as_xywh(),
            "confidence": round(self.confidence, 4),
            "by_hand": self.by_hand,
            "quality": quality_json(self.quality),
            "probabilities": {condition: round(p, 6) for condition, p in ranked},
            "malignant": round(self.scores.malignant, 6),
            "referral": round(self.scores.referral, 6),
            "rejection": round(self.scores.rejection, 6),
            "calibrated": self.scores.calibrated,
            "shifts": list(self.scores.shifts),
            "level": self.verdict.level,
            "headline": self.verdict.headline,
            "advice": self.verdict.advice,
            "reasons": list(self.verdict.reasons),
        }


@dataclass(frozen=True, slots=True)
class PackRef:
    """Which pack answered."""

    id: str
    version: str
    digest: str
    calibrated: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """The answer to one photograph."""

    photo: Photo
    pack: PackRef
    modality: Modality | None
    """As recognised or as the person said; None where there was nothing to judge."""
    quality: Quality
    """Of the whole frame; each lesion carries its own."""
    provider: str
    """The execution provider that was active, by ONNX Runtime's name."""
    seconds: Mapping[str, float]
    """Wall-clock seconds by step, and `total`."""
    lesions: tuple[Lesion, ...]
    rejected: tuple[Detection, ...]
    """Boxes that the detector proposed and the tower refused as no lesion."""
    verdict: Verdict
    """Of the photograph: the worst lesion's, or why there is none."""
    profile: str | None = None
    """The calibration profile that it was judged under; None: by the pack's own numbers."""

    def as_json(self, top: int | None = None) -> dict[str, Any]:
        """The object that `--json` prints for a photograph, one a line."""
        return {
            "photo": self.photo.name,
            "width": self.photo.width,
            "height": self.photo.height,
            "notes": list(self.photo.notes),
            "pack": {"id": self.pack.id, "version": self.pack.version, "digest": self.pack.digest,
                     "calibrated": self.pack.calibrated},
            "profile": self.profile,
            "modality": self.modality,
            "quality": quality_json(self.quality),
            "provider": self.provider,
            "seconds": {step: round(s, 5) for step, s in self.seconds.items()},
            "level": self.verdict.level,
            "headline": self.verdict.headline,
            "advice": self.verdict.advice,
            "reasons": list(self.verdict.reasons),
            "lesions": [lesion.as_json(top) for lesion in self.lesions],
            "rejected": [
                {"box": d.box.as_xywh(), "confidence": round(d.confidence, 4)} for d in self.rejected
            ],
        }


def quality_json(quality: Quality) -> dict[str, Any]:
    return {
        "sharpness": round(quality.sharpness, 3),
        "exposure": round(quality.exposure, 3),
        "contrast": round(quality.contrast, 3),
        "glare": round(quality.glare, 4),
        "size": quality.size,
        "problems": list(quality.problems),
        "advice": list(quality.advice),
    }
