"""Figures of merit on arrays of probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def auc(scores: Floats, positive: Flags) -> float:
    """Area under the ROC curve, ties counted half; NaN without both kinds."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = ranks[inverse][positive].sum()
    return float((total - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def balanced_accuracy(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    return float(np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)]))


def operating_point(scores: Floats, positive: Flags, sensitivity: float) -> tuple[float, float, float]:
    """Highest threshold that keeps the sensitivity, with the sensitivity and specificity measured there."""
    ordered = np.sort(scores[positive])
    missed = int(np.floor((1 - sensitivity) * len(ordered) + 1e-9))
    threshold = float(ordered[missed])
    return (
        threshold,
        float((scores[positive] >= threshold).mean()),
        float((scores[~positive] < threshold).mean()),
    )


def calibration_error(confidence: Floats, correct: Flags, bins: int = 15) -> float:
    """Expected calibration error over equally wide confidence bins."""
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = index == b
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    return float(error)


def group_probabilities(probabilities: Floats, groups: list[tuple[int, ...]]) -> Floats:
    """Sum the conditions' probabilities into a dataset's own classes."""
    return np.stack([probabilities[:, list(group)].sum(1) for group in groups], 1)
