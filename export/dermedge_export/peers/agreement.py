"""How far a contestant's answers are from the float network's: without it, a speed says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Found = Sequence[dict[str, Any]]
"""The frame first, then the boxes: each with box, vector, malignant mass and likeliest condition."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over all photographs, against the float network."""

    cosine: float
    """Least of all embeddings."""
    centred_cosine: float
    """Mean after the mean embedding was subtracted: what tells lesions apart."""
    box_pixels: float
    """Furthest that a box's side moved."""
    malignant_shift: float
    """Furthest that a malignant mass moved."""
    same_top: int
    embeddings: int
    other_boxes: int
    """Photographs in which more or fewer boxes were found; their boxes are left out of the other figures."""


def agreement(exact: Sequence[Found], found: Sequence[Found]) -> Agreement:
    pairs, other = [], 0
    for wanted, got in zip(exact, found, strict=True):
        same = len(wanted) == len(got)
        other += not same
        pairs += list(zip(wanted, got, strict=True)) if same else [(wanted[0], got[0])]
    first, second = (np.array([pair[side]["vector"] for pair in pairs], np.float64) for side in (0, 1))
    boxes = np.array([[pair[side]["box"] for pair in pairs] for side in (0, 1)])
    shifts = [abs(wanted["malignant"] - got["malignant"]) for wanted, got in pairs]
    middle = first.mean(axis=0)
    return Agreement(
        cosine=round(float(cosines(first, second).min()), 5),
        centred_cosine=round(float(cosines(first - middle, second - middle).mean()), 5),
        box_pixels=round(float(np.abs(boxes[0] - boxes[1]).max()), 2),
        malignant_shift=round(max(shifts), 4),
        same_top=sum(wanted["top"] == got["top"] for wanted, got in pairs),
        embeddings=len(pairs),
        other_boxes=other,
    )


def cosines(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Row by row."""
    found: NDArray[Any] = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return found
