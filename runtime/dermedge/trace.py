"""What each step up to the tower saw of one photograph, as it ran: the evidence that a finding is judged from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .crop import square_around
from .detector import Sight, chosen
from .errors import UsageError
from .pack.manifest import Manifest
from .result import Box, Crop, Detection, Embedding, Photo, Quality

Place = tuple[Box, Box]
"""A lesion's box, and the square around it that the tower sees."""

FAINTEST = 0.05
"""Below this confidence a detector proposes everything everywhere."""
MOST = 12
"""Proposals to show; more would hide the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One place of the photograph, and what the tower made of it."""

    detection: Detection
    crop: Crop
    quality: Quality
    embedding: Embedding


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """All that the graphs were asked and answered; what follows is arithmetic."""

    photo: Photo
    quality: Quality
    """Of the whole frame; each look has its own."""
    sight: Sight | None
    """None where a person said where the lesion is: the detector was not asked."""
    looks: tuple[Look, ...]
    """By falling confidence, as `confidence` and `context` ask for."""
    others: tuple[Look, ...]
    """Made before under other numbers; kept, for they cost a run of the tower each."""
    confidence: float
    """Of the detector, from which on a place was looked at."""
    context: float
    """Side of the tower's crop, in longer sides of the lesion's box."""
    provider: str
    seconds: Mapping[str, float]


def places(trace: Trace, manifest: Manifest) -> list[tuple[Detection, Place]]:
    """What there is to look at by a manifest's numbers."""
    photo = trace.photo
    found = chosen(trace.sight, photo, manifest.detector) if trace.sight else [look.detection for look in trace.looks]
    squares = [square_around(d.box, photo.width, photo.height, manifest.tower.context) for d in found]
    return [(detection, (detection.box, square)) for detection, square in zip(found, squares, strict=True)]


def known(trace: Trace) -> dict[Place, Look]:
    """All that was looked at."""
    return {(look.detection.box, look.crop.region): look for look in (*trace.looks, *trace.others)}


def fitting(trace: Trace, manifest: Manifest) -> tuple[Look, ...]:
    """The looks that a manifest's numbers ask for."""
    if (trace.confidence, trace.context) == (manifest.detector.confidence, manifest.tower.context):
        return trace.looks
    there, wanted = known(trace), [place for _, place in places(trace, manifest)]
    if lacking := sum(place not in there for place in wanted):
        raise UsageError(f"{lacking} place(s) have to be looked at first by these numbers; look again")
    return tuple(there[place] for place in wanted)


def left_out(trace: Trace, looks: tuple[Look, ...], manifest: Manifest, own: Manifest) -> int:
    """How many places the pack's own manifest would have looked at and this one does not."""
    if trace.sight is None or manifest.detector.confidence <= own.detector.confidence:
        return 0
    return len(chosen(trace.sight, trace.photo, own.detector)) - len(looks)


def proposals(trace: Trace, manifest: Manifest) -> tuple[Detection, ...]:
    """What the detector proposed, by falling confidence, also what is too faint to be looked at."""
    if trace.sight is None:
        return ()
    spec = manifest.detector
    lax = replace(spec, confidence=min(FAINTEST, trace.confidence), max_lesions=max(MOST, spec.max_lesions))
    return chosen(trace.sight, trace.photo, lax)
