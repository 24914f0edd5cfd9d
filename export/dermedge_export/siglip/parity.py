"""How far a graph's answers are from the float32 model's, and how far they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics import balanced_accuracy

Rows = NDArray[np.float64]
DIGITS = 5
TAIL = 0.05


@dataclass(frozen=True, slots=True)
class Gates:
    """What a rung must keep to be shipped."""

    centred_cosine: float = 0.99
    centred_cosine_tail: float = 0.97
    """Of nineteen crops in twenty: a mean hides a few crops that went wrong."""
    top1: float = 0.99
    malignant_shift: float = 0.01
    malignant_shift_tail: float = 0.05
    balanced_accuracy_loss: float = 0.005


@dataclass(frozen=True, slots=True)
class Judge:
    """Scores embeddings as the pack will, so that parity is measured in what a person gets to read."""

    prompts: NDArray[np.float32]
    """[conditions, D], of one modality."""
    scale: float
    malignant: NDArray[np.bool_]
    labels: NDArray[np.intp] | None = None
    """The condition of each crop, -1 where it is none; None without labels."""

    def probabilities(self, embeddings: Rows) -> Rows:
        logits = self.scale * embeddings @ self.prompts.astype(np.float64).T
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Rows = odds / odds.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True, slots=True)
class Parity:
    """Against the float32 model; means over the crops, beside them what one crop in twenty exceeds, and the worst."""

    cosine: float
    centred_cosine: float
    centred_cosine_tail: float
    centred_cosine_worst: float
    top1: float
    malignant_shift: float
    malignant_shift_tail: float
    malignant_shift_worst: float
    balanced_accuracy_loss: float | None
    crops: int

    def failures(self, gates: Gates) -> tuple[str, ...]:
        found = []
        if self.centred_cosine < gates.centred_cosine:
            found.append(f"centred cosine {self.centred_cosine:.4f} below {gates.centred_cosine}")
        if self.centred_cosine_tail < gates.centred_cosine_tail:
            found.append(f"one crop in twenty has a centred cosine below {self.centred_cosine_tail:.4f}")
        if self.top1 < gates.top1:
            found.append(f"top-1 agreement {self.top1:.3f} below {gates.top1}")
        if self.malignant_shift > gates.malignant_shift:
            found.append(f"malignant mass moves by {self.malignant_shift:.4f}, more than {gates.malignant_shift}")
        if self.malignant_shift_tail > gates.malignant_shift_tail:
            found.append(f"in one crop of twenty malignant mass moves by more than {self.malignant_shift_tail:.4f}")
        loss = self.balanced_accuracy_loss
        if loss is not None and loss > gates.balanced_accuracy_loss:
            found.append(f"balanced accuracy falls by {loss:.4f}, more than {gates.balanced_accuracy_loss}")
        return tuple(found)


def compare(exact: NDArray[np.float32], found: NDArray[np.float32], judge: Judge) -> Parity:
    a, b = exact.astype(np.float64), found.astype(np.float64)
    middle = a.mean(axis=0)
    centred = _cosines(a - middle, b - middle)
    before, after = judge.probabilities(a), judge.probabilities(b)
    shift = np.abs((after - before)[:, judge.malignant].sum(axis=1))
    return Parity(
        cosine=_round(_cosines(a, b).mean()),
        centred_cosine=_round(centred.mean()),
        centred_cosine_tail=_round(np.quantile(centred, TAIL)),
        centred_cosine_worst=_round(centred.min()),
        top1=_round((before.argmax(1) == after.argmax(1)).mean()),
        malignant_shift=_round(shift.mean()),
        malignant_shift_tail=_round(np.quantile(shift, 1 - TAIL)),
        malignant_shift_worst=_round(shift.max()),
        balanced_accuracy_loss=_loss(judge.labels, before, after),
        crops=len(a),
    )


def _loss(labels: NDArray[np.intp] | None, before: Rows, after: Rows) -> float | None:
    if labels is None or not (known := labels >= 0).any():
        return None
    exact, found = (balanced_accuracy(labels[known], p[known].argmax(1)) for p in (before, after))
    return _round(exact - found)


def _cosines(a: Rows, b: Rows) -> Rows:
    cosines: Rows = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return cosines


def _round(value: float) -> float:
    return round(float(value), DIGITS)


def agreement(heat: Sequence[NDArray[np.float32]], other: Sequence[NDArray[np.float32]]) -> float:
    """Mean correlation of two lots of heat maps."""
    return _round(float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(heat, other, strict=True)])))
