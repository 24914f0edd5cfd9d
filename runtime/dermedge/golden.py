"""The pack's self-test: does this machine give the answers that the pack was made with?

A quantized graph can be silently wrong on another processor; only its golden photographs tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import DermedgeError, GoldenMismatch, PackError

if TYPE_CHECKING:
    from .pack.manifest import Golden, GoldenPhoto
    from .scanner import Scanner

State = Literal["ok", "note", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    area: str
    name: str
    state: State
    detail: str
    remedy: str = ""

    @property
    def exit_status(self) -> int:
        if self.state != "fail":
            return 0
        return PackError.exit_status if self.area == "pack" else DermedgeError.exit_status

    def as_json(self) -> dict[str, str]:
        return {
            "area": self.area,
            "name": self.name,
            "state": self.state,
            "detail": self.detail,
            "remedy": self.remedy,
        }


def self_test(scanner: Scanner) -> list[Check]:
    """The golden photographs through the pipeline's own steps, against the answers the pack was made with."""
    golden = scanner.pack.manifest.golden
    return [_golden(scanner, golden, photo) for photo in golden.photos]


def require_golden(scanner: Scanner) -> None:
    """Raise on the first golden photograph that this machine answers differently."""
    for check in self_test(scanner):
        if check.state == "fail":
            raise GoldenMismatch(f"{check.name}: {check.detail}; {check.remedy}")


def _golden(scanner: Scanner, golden: Golden, expected: GoldenPhoto) -> Check:
    import numpy as np

    from .photo import read_photo
    from .scorer import Facts

    def failed(what: str) -> Check:
        return Check(
            "pack",
            expected.photo,
            "fail",
            what,
            "this pack answers wrongly on this machine: do not use it; try another provider or pack",
        )

    photo = read_photo(scanner.pack.read(expected.photo), name=expected.photo)
    found = scanner.detector.find(photo)
    if len(found) != len(expected.boxes):
        return failed(f"{len(found)} lesion(s) found instead of {len(expected.boxes)}")
    vectors = scanner.pack.array(expected.embeddings)
    off, cosine, shift = 0.0, 1.0, 0.0
    for detection, box, vector, shares in zip(found, expected.boxes, vectors, expected.probabilities, strict=True):
        mine = np.array([detection.box.x0, detection.box.y0, detection.box.width, detection.box.height])
        off = max(off, float(np.abs(mine - np.array(box)).max()))
        embedding = scanner.tower.embed(scanner.crop(photo, detection.box)).vector
        cosine = min(cosine, float(embedding.astype(np.float64) @ vector.astype(np.float64)))
        scores = scanner.scorer.score(embedding, expected.modality, Facts())
        shift = max(shift, max(abs(scores.probabilities[condition] - p) for condition, p in shares.items()))
    measured = f"boxes off by {off:.1f} px, cosine {cosine:.4f}, probabilities off by {shift:.4f}"
    # Written so that NaN fails.
    if not (off <= golden.box_pixels and cosine >= golden.cosine and shift <= golden.probability):
        return failed(f"{measured}; allowed are {golden.box_pixels:g} px, {golden.cosine:g} and {golden.probability:g}")
    return Check("pack", expected.photo, "ok", measured)
