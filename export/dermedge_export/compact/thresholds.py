"""Where the levels begin: cuts chosen on validation photographs, end to end through the runtime.

The rules, for each modality, over the lesions that were judged; masses are those of the surest one:
- refer: the highest malignant mass that keeps 95 % of the lesions whose label is malignant throughout;
- refer_premalignant: the highest referral mass that keeps 95 % of the malignant and premalignant lesions;
- unclear: the lowest referral mass that 60 % of the benign lesions stay below, since what they do not need is caution
  for the others; lower where it would keep fewer than 96 % of the malignant and premalignant lesions; never above
  the two cuts for a referral;
- urgent: the lowest malignant mass that 95 % of the benign lesions stay below, never below the referral's.
No cut lies above the runtime's own fixed ceilings, where it would do nothing. A cut cannot make up for a lesion
that was not found: trying to would refer everybody. The sensitivities stated beside the cuts count it as missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge.pack.manifest import Condition, Threshold, Triage
from dermedge.triage import ALWAYS_URGENT, NEVER_REASSURING, NEVER_REASSURING_PREMALIGNANT

from ..answers import Answer
from ..figures import table
from ..metrics import cut_for_sensitivity, cut_for_specificity, sensitivity, specificity
from ..photos import CLASSES


@dataclass(frozen=True, slots=True)
class Aims:
    """What the cuts are chosen for."""

    refer: float = 0.95
    unclear: float = 0.96
    spared: float = 0.6
    """Benign lesions that `unclear` should not reach."""
    urgent_specificity: float = 0.95
    reassure: float = 0.35
    points: tuple[float, ...] = (0.95, 0.9)


AIMS = Aims()


@dataclass(frozen=True)
class Masses:
    """Validation answers as columns."""

    answers: tuple[Answer, ...]
    malignant: NDArray[np.float64]
    referral: NDArray[np.float64]
    cancer: NDArray[np.bool_]
    """Every condition of the label is malignant."""
    worrying: NDArray[np.bool_]
    """Every condition of the label is malignant or premalignant."""
    benign: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    data: str

    @staticmethod
    def of(answers: Sequence[Answer], conditions: Sequence[Condition], data: str) -> Masses:
        groups = {c.id: c.group for c in conditions}
        labelled = [{groups[c] for c in CLASSES[a.photo.collection][a.photo.label]} for a in answers]
        return Masses(
            answers=tuple(answers),
            malignant=np.array([a.malignant for a in answers], float),
            referral=np.array([a.referral for a in answers], float),
            cancer=np.array([found == {"malignant"} for found in labelled], bool),
            worrying=np.array([found <= {"malignant", "premalignant"} for found in labelled], bool),
            benign=np.array([not found & {"malignant", "premalignant"} for found in labelled], bool),
            judged=np.array([a.probabilities is not None for a in answers], bool),
            data=data,
        )

    def keeping(self, positive: NDArray[np.bool_], score: NDArray[np.float64], wanted: float) -> float:
        """The highest cut that keeps `wanted` of the positives that were judged."""
        return cut_for_sensitivity(positive[self.judged], score[self.judged], wanted)

    def threshold(self, value: float, positive: NDArray[np.bool_], score: NDArray[np.float64]) -> Threshold:
        """A cut with what it does, judged against the benign lesions."""
        known = positive | self.benign
        return Threshold(
            value=value,
            sensitivity=round(sensitivity(positive[known], score[known], value), 4),
            specificity=round(specificity(positive[known], score[known], value), 4),
            positives=self._lesions(positive),
            negatives=self._lesions(self.benign),
            data=self.data,
        )

    def _lesions(self, among: NDArray[np.bool_]) -> int:
        return len({self.answers[i].photo.lesion for i in np.flatnonzero(among).tolist()})


def choose_levels(masses: Masses, aims: Aims = AIMS) -> Triage:
    """The four cuts of one modality."""
    refer = min(masses.keeping(masses.cancer, masses.malignant, aims.refer), NEVER_REASSURING)
    premalignant = min(masses.keeping(masses.worrying, masses.referral, aims.refer), NEVER_REASSURING_PREMALIGNANT)
    spared = cut_for_specificity(~masses.benign[masses.judged], masses.referral[masses.judged], aims.spared)
    unclear = min(masses.keeping(masses.worrying, masses.referral, aims.unclear), spared, refer, premalignant)
    urgent = cut_for_specificity(
        ~masses.benign[masses.judged], masses.malignant[masses.judged], aims.urgent_specificity
    )
    urgent = min(max(urgent, refer), ALWAYS_URGENT)
    return Triage(
        urgent=masses.threshold(_up(urgent), masses.cancer, masses.malignant),
        refer=masses.threshold(_down(refer), masses.cancer, masses.malignant),
        refer_premalignant=masses.threshold(_down(premalignant), masses.worrying, masses.referral),
        unclear=masses.threshold(_down(unclear), masses.worrying, masses.referral),
        reassure=aims.reassure,
    )


def operating_points(masses: Masses, conditions: Sequence[Condition], aims: Aims = AIMS) -> dict[str, Any]:
    """Cuts of the malignant classes' probability, also with each lesion judged by a cut the others set."""
    rows = table(masses.answers, conditions)
    points: dict[str, Any] = {}
    for wanted in aims.points:
        value = _down(masses.keeping(rows.malignant, rows.score, wanted))
        crossed = _left_out(masses, rows.malignant, rows.score, wanted)
        points[f"{wanted:.2f}"] = {
            "value": value,
            "sensitivity": round(sensitivity(rows.malignant, rows.score, value), 4),
            "specificity": round(specificity(rows.malignant, rows.score, value), 4),
            "sensitivity_left_out": round(float(crossed[rows.malignant].mean()), 4),
            "specificity_left_out": round(float((~crossed[~rows.malignant]).mean()), 4),
            "positives": int(rows.malignant.sum()),
            "negatives": int((~rows.malignant).sum()),
            "data": masses.data,
        }
    return points


def _left_out(
    masses: Masses, positive: NDArray[np.bool_], score: NDArray[np.float64], wanted: float, folds: int = 10
) -> NDArray[np.bool_]:
    """Who is called when each lesion or patient is judged by a cut that the other folds set."""
    groups = sorted({a.photo.group for a in masses.answers})
    fold_of = {group: i % folds for i, group in enumerate(np.random.default_rng(0).permutation(groups).tolist())}
    fold = np.array([fold_of[a.photo.group] for a in masses.answers])
    called = np.zeros(len(fold), bool)
    for i in range(folds):
        here = fold == i
        others = masses.judged & ~here
        if positive[others].any():
            called[here] = score[here] >= cut_for_sensitivity(positive[others], score[others], wanted)
    return called


def _down(value: float) -> float:
    return float(np.floor(value * 1e6) / 1e6)


def _up(value: float) -> float:
    return float(min(np.ceil(value * 1e6) / 1e6, ALWAYS_URGENT))
