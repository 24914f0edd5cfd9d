"""Temperature, biases and thresholds from labelled photographs, in plain numpy.

probabilities = softmax(a * scale * cosine + b) is fitted by Newton's method with every labelled condition
weighing the same; a is 1 / temperature and b is the bias in units of the temperature. Thresholds and the
reported errors come from folds that the fit has not seen, with a lesion's photographs kept together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge.pack.manifest import Condition, Scoring, Threshold, Triage
from dermedge.triage import ALWAYS_URGENT, NEVER_REASSURING, NEVER_REASSURING_PREMALIGNANT

from ..metrics import (
    auc,
    balanced_accuracy,
    cut_for_sensitivity,
    cut_for_specificity,
    expected_calibration_error,
    sensitivity,
    specificity,
)

Rows = NDArray[np.float64]
Labels = NDArray[np.intp]

FEWEST = 10
"""Cancers, and as many harmless lesions, of one modality below which nothing is calibrated."""
FOLDS = 5
RIDGE = 0.02
"""Pulls biases to 0 and 1 / temperature to 1: a condition with few photographs keeps what the checkpoint says."""
COLDEST = 1e-3
"""Of 1 / temperature: a tower that knows nothing must come out flat, never upside down."""
REJECTION = 0.9
"""Uncalibrated: only what is almost surely no lesion is turned away."""
LESIONS_KEPT = 0.995
UNCALIBRATED_LEVELS = {"urgent": 0.5, "refer": 0.1, "refer_premalignant": 0.2, "unclear": 0.05}
UNCALIBRATED_REASSURE = 0.6
NOT_MEASURED = "not measured: this pack is uncalibrated"


@dataclass(frozen=True, slots=True)
class Aims:
    """Sensitivities and specificity that the thresholds are chosen for."""

    refer: float = 0.95
    unclear: float = 0.98
    urgent_specificity: float = 0.95
    reassure: float = 0.35


@dataclass(frozen=True, slots=True)
class Fit:
    inverse_temperature: float
    bias: Rows

    def probabilities(self, cosines: Rows, scale: float) -> Rows:
        return softmax(self.inverse_temperature * scale * cosines + self.bias)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One modality's labelled lesions as the tower sees them."""

    cosines: Rows
    labels: Labels
    lesions: tuple[str, ...]
    rejects: Rows
    """[lesions, R]: cosines with what is no lesion."""
    data: str


def uncalibrated(conditions: int, rejects: int, scale: float, bias: float) -> Scoring:
    """The checkpoint's own scale and bias."""
    return Scoring(scale, (bias,) * conditions, 1.0, (bias,) * rejects, REJECTION, calibrated=False)


def cautious() -> Triage:
    """Levels for probabilities that nobody has checked; the runtime reassures nobody with such a pack."""
    cuts = {name: Threshold(value, None, None, 0, 0, NOT_MEASURED) for name, value in UNCALIBRATED_LEVELS.items()}
    return Triage(**cuts, reassure=UNCALIBRATED_REASSURE)


def enough(evidence: Evidence, conditions: tuple[Condition, ...]) -> str | None:
    """Why these lesions cannot calibrate anything; None when they can."""
    groups = np.array([c.group for c in conditions])[evidence.labels] if len(evidence.labels) else np.array([])
    cancers = len({lesion for lesion, g in zip(evidence.lesions, groups, strict=True) if g == "malignant"})
    harmless = len({lesion for lesion, g in zip(evidence.lesions, groups, strict=True)
                    if g not in ("malignant", "premalignant")})  # fmt: skip
    if cancers < FEWEST or harmless < FEWEST:
        return f"{cancers} malignant and {harmless} harmless lesions; at least {FEWEST} of each are needed"
    return None


def calibrate(
    evidence: Evidence, conditions: tuple[Condition, ...], start: Scoring, aims: Aims = Aims()
) -> tuple[Scoring, Triage, dict[str, Any]]:
    """Scoring and levels of one modality, and what they were measured to give."""
    fitted = fit(start.scale * evidence.cosines, evidence.labels)
    held_out = _held_out(evidence, start.scale)
    bias = fitted.bias / fitted.inverse_temperature + start.bias[0]
    rejection = _rejection(evidence, start.scale, bias, start.reject_bias[0])
    scoring = Scoring(
        scale=start.scale,
        bias=tuple(round(float(b), 6) for b in bias),
        temperature=round(1 / fitted.inverse_temperature, 6),
        reject_bias=start.reject_bias,
        rejection=rejection,
        calibrated=True,
    )
    return scoring, levels(held_out, evidence, conditions, aims), figures(held_out, evidence, conditions)


def fit(logits: Rows, labels: Labels) -> Fit:
    """Newton's method on a convex loss, among the labelled conditions alone.

    The others would only be learned to be absent: they keep bias 0, and the labelled ones' biases are 0 on average.
    """
    labelled, known = np.unique(labels, return_inverse=True)
    logits, bias = logits[:, labelled], np.zeros(logits.shape[1])
    classes = len(labelled)
    weight = (1 / (np.bincount(known)[known] * classes))[:, None]
    wanted = np.eye(classes)[known]
    rest = np.concatenate([[1.0], np.zeros(classes)])
    at = rest.copy()

    def loss(point: Rows) -> float:
        shares = softmax(point[0] * logits + point[1:])
        chosen = np.log(np.maximum(shares[np.arange(len(known)), known], 1e-300))
        return float(-(weight[:, 0] * chosen).sum() + RIDGE / 2 * np.square(point - rest).sum())

    for _ in range(100):
        shares = softmax(at[0] * logits + at[1:])
        error, mixed = weight * (shares - wanted), weight * shares
        slope = np.concatenate([[(error * logits).sum()], error.sum(axis=0)]) + RIDGE * (at - rest)
        away = logits - (shares * logits).sum(axis=1, keepdims=True)
        curve = RIDGE * np.eye(classes + 1)
        curve[0, 0] += (mixed * away**2).sum()
        curve[0, 1:] += (mixed * away).sum(axis=0)
        curve[1:, 0] = curve[0, 1:]
        curve[1:, 1:] += np.diag(mixed.sum(axis=0)) - shares.T @ mixed
        step = np.linalg.solve(curve, slope)
        length, before = 1.0, loss(at)
        while length > 1e-6 and (at[0] - length * step[0] <= COLDEST or loss(at - length * step) > before):
            length /= 2
        at = at - length * step
        if np.abs(length * step).max() < 1e-9:
            break
    bias[labelled] = at[1:] - at[1:].mean()
    return Fit(float(at[0]), bias)


def _held_out(evidence: Evidence, scale: float) -> Rows:
    """Each lesion judged by a fit that has not seen it."""
    digests = [hashlib.sha256(lesion.encode()).digest()[0] for lesion in evidence.lesions]
    fold = np.array(digests) % FOLDS
    answer = np.zeros_like(evidence.cosines)
    for i in range(FOLDS):
        here = fold == i
        if here.all() or not here.any():
            continue
        learned = fit(scale * evidence.cosines[~here], evidence.labels[~here])
        answer[here] = learned.probabilities(evidence.cosines[here], scale)
    if len(set(fold.tolist())) == 1:
        answer = fit(scale * evidence.cosines, evidence.labels).probabilities(evidence.cosines, scale)
    return answer


def levels(probabilities: Rows, evidence: Evidence, conditions: tuple[Condition, ...], aims: Aims) -> Triage:
    """The highest cuts that keep the aims, never above the runtime's own ceilings."""
    malignant, referral, cancer, worrying = _masses(probabilities, evidence, conditions)
    benign = ~worrying
    refer = min(cut_for_sensitivity(cancer, malignant, aims.refer), NEVER_REASSURING)
    premalignant = min(cut_for_sensitivity(worrying, referral, aims.refer), NEVER_REASSURING_PREMALIGNANT)
    premalignant = max(premalignant, 1e-4)
    unclear = min(cut_for_sensitivity(worrying, referral, aims.unclear), refer, premalignant)
    urgent = cut_for_specificity(worrying, malignant, aims.urgent_specificity)
    urgent = min(max(urgent, refer), ALWAYS_URGENT)

    def cut(value: float, positive: NDArray[np.bool_], score: Rows) -> Threshold:
        value = _shortened(value)
        judged = positive | benign
        return Threshold(
            value,
            round(sensitivity(positive[judged], score[judged], value), 4),
            round(specificity(positive[judged], score[judged], value), 4),
            _lesions(evidence, positive),
            _lesions(evidence, benign),
            evidence.data,
        )

    return Triage(
        urgent=cut(urgent, cancer, malignant),
        refer=cut(refer, cancer, malignant),
        refer_premalignant=cut(premalignant, worrying, referral),
        unclear=cut(unclear, worrying, referral),
        reassure=aims.reassure,
    )


def figures(probabilities: Rows, evidence: Evidence, conditions: tuple[Condition, ...]) -> dict[str, Any]:
    malignant, _, cancer, _ = _masses(probabilities, evidence, conditions)
    right = probabilities.argmax(axis=1) == evidence.labels
    return {
        "balanced_accuracy": round(balanced_accuracy(evidence.labels, probabilities.argmax(axis=1)), 4),
        "malignant_auc": round(auc(cancer, malignant), 4),
        "calibration_error": round(expected_calibration_error(probabilities.max(axis=1), right), 4),
        "photographs": len(right),
        "lesions": len(set(evidence.lesions)),
        "data": evidence.data,
    }


def _masses(
    probabilities: Rows, evidence: Evidence, conditions: tuple[Condition, ...]
) -> tuple[Rows, Rows, NDArray[np.bool_], NDArray[np.bool_]]:
    bad = np.array([c.group == "malignant" for c in conditions])
    doubtful = np.array([c.group in ("malignant", "premalignant") for c in conditions])
    masses = probabilities[:, bad].sum(axis=1), probabilities[:, doubtful].sum(axis=1)
    return *masses, bad[evidence.labels], doubtful[evidence.labels]


def _rejection(evidence: Evidence, scale: float, bias: Rows, reject_bias: float) -> float:
    """So high that next to no labelled lesion is turned away."""
    logits = np.concatenate([scale * evidence.cosines + bias, scale * evidence.rejects + reject_bias], axis=1)
    masses = softmax(logits)[:, evidence.cosines.shape[1] :].sum(axis=1)
    kept = float(np.quantile(masses, LESIONS_KEPT))
    return round(min(1.0, max(REJECTION, kept + 1e-3)), 4)


def _lesions(evidence: Evidence, among: NDArray[np.bool_]) -> int:
    return len({evidence.lesions[i] for i in np.flatnonzero(among).tolist()})


def _shortened(value: float) -> float:
    """Down, so that rounding loses no lesion."""
    return float(np.floor(value * 1e4) / 1e4)


def softmax(logits: Rows) -> Rows:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Rows = odds / odds.sum(axis=1, keepdims=True)
    return shares
