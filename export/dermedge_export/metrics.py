"""The figures of the field in plain numpy: recall, AUC, operating points, calibration, overlap, intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]
Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def balanced_accuracy(truth: NDArray[np.intp], predicted: NDArray[np.intp]) -> float:
    """Mean recall over the classes that occur in `truth`; a prediction of -1 is always wrong."""
    recalls = [float(np.mean(predicted[truth == c] == c)) for c in np.unique(truth)]
    return float(np.mean(recalls)) if recalls else float("nan")


def auc(positive: Flags, score: Numbers) -> float:
    """The chance that a positive scores above a negative, a tie counting half; NaN when one side is empty."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def sensitivity(positive: Flags, score: Numbers, cut: float) -> float:
    return _share(score[positive] >= cut)


def specificity(positive: Flags, score: Numbers, cut: float) -> float:
    return _share(score[~positive] < cut)


def cut_for_sensitivity(positive: Flags, score: Numbers, wanted: float) -> float:
    """The highest cut at which at least `wanted` of the positives score the cut or more."""
    ordered = np.sort(score[positive])[::-1]
    if not len(ordered):
        raise ValueError("no positive: a sensitivity cannot be chosen")
    needed = int(np.ceil(wanted * len(ordered) - 1e-9))
    return float(ordered[max(needed, 1) - 1])


def cut_for_specificity(positive: Flags, score: Numbers, wanted: float) -> float:
    """The lowest cut at which at least `wanted` of the negatives score less than the cut."""
    ordered = np.sort(score[~positive])
    if not len(ordered):
        raise ValueError("no negative: a specificity cannot be chosen")
    needed = int(np.ceil(wanted * len(ordered) - 1e-9))
    return float(np.nextafter(ordered[max(needed, 1) - 1], np.inf))


def expected_calibration_error(confidence: Numbers, correct: Flags, bins: int = 15) -> float:
    """How far confidence and accuracy lie apart, over bins of equal width, weighted by their answers."""
    if not len(confidence):
        return float("nan")
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    place = np.digitize(confidence, edges, right=True)
    weight = np.bincount(place, minlength=bins)
    gap = np.bincount(place, weights=confidence - correct, minlength=bins)
    return float(np.abs(gap).sum() / weight.sum())


def brier(probabilities: Numbers, truth: NDArray[np.intp]) -> float:
    """Mean squared distance between the probabilities and the truth, summed over the classes (0 to 2)."""
    if not len(truth):
        return float("nan")
    wanted = np.zeros_like(probabilities)
    wanted[np.arange(len(truth)), truth] = 1.0
    return float(((probabilities - wanted) ** 2).sum(axis=1).mean())


def iou(a: Rectangle, b: Rectangle) -> float:
    """Intersection over union of two rectangles."""
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def dice(a: Flags, b: Flags) -> float:
    """Twice the overlap over the sum of both masks; two empty masks agree."""
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % bootstrap interval."""

    low: float
    high: float


def bootstrap(
    statistic: Callable[[Indices], float], groups: Sequence[str], samples: int = 1000, seed: int = 20
) -> Interval | None:
    """Resample whole groups (lesions, patients), as their photographs are no independent evidence.

    `statistic` takes indices into the photographs. Draws on which it is undefined (NaN) are left out; None
    when that leaves fewer than half.
    """
    if not len(groups):
        return None
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(place, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(place))[:-1])
    rng = np.random.default_rng(seed)
    values = np.array(
        [
            statistic(np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]))
            for _ in range(samples)
        ]
    )
    values = values[~np.isnan(values)]
    if len(values) * 2 < samples:
        return None
    low, high = np.percentile(values, (2.5, 97.5))
    return Interval(float(low), float(high))


def _share(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
