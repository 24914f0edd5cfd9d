"""Calibration of a tower's scores on validation photographs: bias, temperature, thresholds, rejection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermedge import MODALITIES, UsageError

from .. import metrics
from .data import ACK, CONDITIONS, HAM_LABELS, PAD_LABELS, SCC, Photo
from .validate import (
    MALIGNANT,
    REFERRAL,
    Flags,
    Floats,
    Outputs,
    class_index,
    group_probabilities,
    mass,
    rejection_mass,
    softmax,
)

LABELS = (HAM_LABELS, PAD_LABELS)
SOURCES = ("ham", "pad")


@dataclass(frozen=True)
class CalibrationSettings:
    # Pull of each bias towards zero: the rarest classes have about a dozen validation lesions. Half of this gained
    # no balanced accuracy on other patients and cost malignant AUC.
    ridge: float = 0.1
    # Conditions a modality was never shown: what is left to them on phone photographs is about what they are of the
    # dermatoscope's, 3 %. With -1.5 it was 22 %, next to a basal-cell carcinoma of 31.
    unseen_bias: float = -4.0
    # How much rarer classes weigh when the bias is fitted: 1 as much as all others, 0 as often as they are.
    weightings: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25, 0.0)
    calibration_error: float = 0.04
    # Fewer photographs cannot tell one weighting's calibration from another's.
    enough: int = 500
    sensitivities: tuple[float, ...] = (0.95, 0.9)
    lost_lesions: float = 0.005
    folds: int = 10


def fit_bias(
    logits: Floats, truth: NDArray[np.int64], groups: Sequence[tuple[int, ...]], ridge: float, weighting: float = 1.0
) -> Floats:
    """Additive biases that minimise the log loss of the classes, each weighed by its count to -`weighting`."""
    allowed = np.zeros_like(logits)
    for row, label in enumerate(truth):
        allowed[row, list(groups[label])] = 1
    counts = np.bincount(truth, minlength=len(groups)).astype(float)
    weight = (counts[truth] ** -weighting)[:, None]
    weight /= weight.sum()
    bias = np.zeros(logits.shape[1])
    # The curvature of a mean log loss is at most a half, so this step always descends.
    step = 1 / (0.5 + ridge)
    for _ in range(2000):
        p = softmax(logits + bias)
        inside = p * allowed
        gradient = (weight * (p - inside / inside.sum(1, keepdims=True))).sum(0) + ridge * bias
        bias -= step * gradient
    return np.asarray(bias - bias.mean())


def cross_fitted_logits(
    logits: Floats,
    truth: NDArray[np.int64],
    classes: Sequence[tuple[int, ...]],
    owners: list[str],
    settings: CalibrationSettings,
    weighting: float = 1.0,
) -> Floats:
    """Logits with the bias that was fitted on the other lesions or patients."""
    fold, biased = fold_numbers(owners, settings.folds), logits.copy()
    for index in range(settings.folds):
        inside = fold == index
        biased[inside] += fit_bias(logits[~inside], truth[~inside], classes, settings.ridge, weighting)
    return biased


def fit_temperature(logits: Floats, truth: NDArray[np.int64], groups: Sequence[tuple[int, ...]]) -> float:
    """The temperature under which the confidence in the first answer is best calibrated.

    A class of two conditions gains on the others as the probabilities flatten, until everything is called so: to
    doubt every answer and be wrong is well calibrated, and worthless. The answers must stay as good as they were.
    """
    best = (np.inf, 1.0)
    least = metrics.balanced_accuracy(truth, group_probabilities(softmax(logits), list(groups)).argmax(1)) - 0.005
    for temperature in np.exp(np.linspace(np.log(0.25), np.log(4), 161)):
        grouped = group_probabilities(softmax(logits / temperature), list(groups))
        confidence = grouped.max(1)
        right = grouped.argmax(1) == truth
        if metrics.balanced_accuracy(truth, grouped.argmax(1)) < least:
            continue
        # The log loss decides between temperatures that are as good.
        error = mean_calibration_error(confidence, right)
        bounded = np.clip(confidence, 1e-6, 1 - 1e-6)
        loss = -np.where(right, np.log(bounded), np.log(1 - bounded)).mean()
        best = min(best, (float(error + 0.05 * loss), float(temperature)))
    return best[1]


def fold_numbers(groups: list[str], folds: int) -> NDArray[np.int64]:
    """A fold for each lesion; one patient's or lesion's photographs share theirs."""
    names = sorted(set(groups))
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = {names[i]: rank % folds for rank, i in enumerate(order)}
    return np.array([fold_of[g] for g in groups], np.int64)


def cross_fitted(scores: Floats, positive: Flags, groups: list[str], wanted: float, folds: int) -> tuple[float, float]:
    """Sensitivity and specificity when each lesion is judged by a threshold the others set."""
    fold = fold_numbers(groups, folds)
    called = np.zeros(len(scores), bool)
    for index in range(folds):
        inside = fold == index
        if positive[~inside].any():
            threshold = metrics.cut_for_sensitivity(positive[~inside], scores[~inside], wanted)
            called[inside] = scores[inside] >= threshold
    return float(called[positive].mean()), float((~called[~positive]).mean())


def positives(photos: list[Photo], conditions: tuple[int, ...]) -> tuple[Flags, Flags]:
    """Which photographs show one of the conditions, and for which the label can tell."""
    inside = np.array([all(c in conditions for c in p.conditions) for p in photos])
    outside = np.array([not any(c in conditions for c in p.conditions) for p in photos])
    return inside, inside | outside


def operating_points(
    scores: Floats, photos: list[Photo], conditions: tuple[int, ...], settings: CalibrationSettings
) -> dict[str, object]:
    flags, known = positives(photos, conditions)
    scores, flags = scores[known], flags[known]
    groups = [p.group for p, k in zip(photos, known, strict=True) if k]
    points = []
    for wanted in settings.sensitivities:
        threshold = metrics.cut_for_sensitivity(flags, scores, wanted)
        crossed = cross_fitted(scores, flags, groups, wanted, settings.folds)
        points.append(
            {
                "target_sensitivity": wanted,
                "threshold": round(threshold, 6),
                "sensitivity": round(metrics.sensitivity(flags, scores, threshold), 4),
                "specificity": round(metrics.specificity(flags, scores, threshold), 4),
                "cross_fitted_sensitivity": round(crossed[0], 4),
                "cross_fitted_specificity": round(crossed[1], 4),
            }
        )
    return {
        "conditions": [CONDITIONS[c] for c in conditions],
        "positives": int(flags.sum()),
        "negatives": int((~flags).sum()),
        "auc": round(metrics.auc(flags, scores), 4),
        "points": points,
    }


def rejection(outputs: Outputs, photos: list[Photo], world: int, settings: CalibrationSettings) -> dict[str, object]:
    """The threshold on the rejection mass among photographs taken for this modality."""
    seen = outputs.modalities.argmax(1) == world
    nothing = np.array([p.reject >= 0 for p in photos])
    if not (seen & ~nothing).any():
        raise UsageError(
            f"no validation lesion was taken for {MODALITIES[world]}, so nothing can be fixed for it; train longer"
        )
    rejected = rejection_mass(outputs.conditions, outputs.rejects)
    lesions = np.sort(rejected[seen & ~nothing])
    allowed = int(np.floor(settings.lost_lesions * len(lesions)))
    threshold = min(1.0, float(lesions[len(lesions) - 1 - allowed]) * 1.001 + 1e-6)
    lost = float((lesions >= threshold).mean())
    caught: dict[str, object] = {}
    kinds = np.array([p.label if p.source == "negative" else "skin" for p in photos])
    for kind in sorted(set(kinds[nothing])):
        chosen = seen & nothing & (kinds == kind)
        if chosen.any():
            share = float((rejected[chosen] >= threshold).mean())
            caught[str(kind)] = {"photographs": int(chosen.sum()), "rejected": round(share, 4)}
    return {
        "rejection_threshold": round(threshold, 6),
        "lesions": len(lesions),
        "lesions_lost": round(lost, 4),
        "nothing": caught,
        "auc": round(metrics.auc(nothing[seen], rejected[seen]), 4),
    }


@dataclass(frozen=True)
class Weighed:
    """What a way to weigh the classes gives on lesions that its bias was not fitted on."""

    weighting: float | None
    """None: no bias."""
    balanced_accuracy: float
    calibration_error: float


def weigh(
    logits: Floats, truth: NDArray[np.int64], groups: list[tuple[int, ...]], owners: list[str],
    settings: CalibrationSettings,
) -> tuple[Weighed, tuple[Weighed, ...]]:  # fmt: skip
    """The weighting to take, and all that were tried.

    A tower that was trained for balanced classes doubts the common ones too much. The most balanced answers are
    taken whose confidence is still as often right as it says, where there are enough photographs to tell, and so is
    that of all less balanced ones: a single lucky figure between bad ones does not count.
    """
    enough = len(truth) >= settings.enough
    tried = []
    for weighting in (None, *(settings.weightings if enough else settings.weightings[:1])):
        biased = logits
        if weighting is not None:
            biased = cross_fitted_logits(logits, truth, groups, owners, settings, weighting)
        grouped = group_probabilities(softmax(biased / fit_temperature(biased, truth, groups)), groups)
        error = mean_calibration_error(grouped.max(1), grouped.argmax(1) == truth)
        tried.append(Weighed(weighting, metrics.balanced_accuracy(truth, grouped.argmax(1)), error))
    return choice(tried, settings.calibration_error) if enough else max(tried, key=by_balance), tuple(tried)


def by_balance(weighed: Weighed) -> float:
    return weighed.balanced_accuracy


def choice(tried: Sequence[Weighed], limit: float) -> Weighed:
    """The best of those that are calibrated, from the least balanced one up to the first that is not."""
    rising = sorted(tried, key=lambda w: math.inf if w.weighting is None else w.weighting)
    right = list(itertools.takewhile(lambda w: w.calibration_error <= limit, rising))
    return max(right, key=by_balance) if right else min(tried, key=lambda w: w.calibration_error)


def mean_calibration_error(confidence: Floats, right: Flags) -> float:
    """With bins of several widths, so that nothing hangs on a single bin's border."""
    return float(np.mean([metrics.expected_calibration_error(confidence, right, bins) for bins in (10, 15, 20)]))


def calibrate_modality(
    outputs: Outputs, photos: list[Photo], world: int, settings: CalibrationSettings
) -> tuple[dict[str, object], Floats]:
    """Scoring constants of one modality with their figures, and the bias to apply.

    A bias per condition is kept only where it helps lesions it was not fitted on: see `weigh`.
    """
    labels, source = LABELS[world], SOURCES[world]
    chosen = np.array([p.source == source for p in photos])
    members = [p for p in photos if p.source == source]
    logits, groups = outputs.conditions[chosen], list(labels.values())
    shown = [c for group in groups for c in group]
    truth = class_index(members, list(labels))
    taken, tried = weigh(logits, truth, groups, [p.group for p in members], settings)
    bias = np.zeros(len(CONDITIONS))
    if taken.weighting is not None:
        bias = fit_bias(logits, truth, groups, settings.ridge, taken.weighting)
        if world == 0:
            # Nothing in a dermatoscope label tells these two apart, so neither may be preferred by the fit.
            bias[[SCC, ACK]] = bias[[SCC, ACK]].mean()
    bias[[c for c in range(len(CONDITIONS)) if c not in shown]] = settings.unseen_bias
    temperature = fit_temperature(logits + bias, truth, groups)
    probabilities = softmax((logits + bias) / temperature)
    grouped = group_probabilities(probabilities, groups)
    free = softmax(logits + bias).argmax(1)
    right = grouped.argmax(1) == truth
    constants: dict[str, object] = {
        "modality": MODALITIES[world],
        "bias": [round(float(b), 5) for b in bias],
        "temperature": round(temperature, 5),
        "reject_bias": 0.0,
        "thresholds": {
            "malignant": operating_points(mass(probabilities, MALIGNANT), members, MALIGNANT, settings),
            "referral": operating_points(mass(probabilities, REFERRAL), members, REFERRAL, settings),
        },
        "metrics": {
            "lesion_photographs": len(members),
            "groups": len({p.group for p in members}),
            "counts": {name: int((truth == i).sum()) for i, name in enumerate(labels)},
            "balanced_accuracy": round(metrics.balanced_accuracy(truth, grouped.argmax(1)), 4),
            "weighting": taken.weighting,
            "weightings_cross_fitted": [
                [w.weighting, round(w.balanced_accuracy, 4), round(w.calibration_error, 4)] for w in tried
            ],
            "recall": {n: round(float(right[truth == i].mean()), 3) for i, n in enumerate(labels) if i in truth},
            "auc": {n: round(metrics.auc(truth == i, grouped[:, i]), 4) for i, n in enumerate(labels) if i in truth},
            "accuracy": round(float(right.mean()), 4),
            "other_condition_first": round(float((~np.isin(free, shown)).mean()), 4),
            "calibration_error": round(metrics.expected_calibration_error(grouped.max(1), right), 4),
            "modality_recognised": round(float((outputs.modalities.argmax(1)[chosen] == world).mean()), 4),
        },
    }
    return constants, bias
