"""From the runtime's answers to the model card's figures, each with its lesions and a bootstrap interval.

How is counted: every photograph of the split is an answer; intervals resample lesions (dermatoscope) or
patients (phone). The photograph's level is its verdict's; its probabilities are those of the surest lesion. A
photograph in which no lesion was judged counts as a wrong class, scores 0 for malignancy, is no referral,
and has a Dice of 0; only calibration and the recognition of the modality leave it out: nothing was claimed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge.pack.manifest import Condition

from . import metrics
from .answers import Answer
from .photos import CLASSES, MODALITY, Classes, Collection

Statistic = Callable[[NDArray[np.intp]], float]
"""From indices of photographs to a number."""
Figure = dict[str, Any]
"""value, low, high (None where an interval cannot be given), lesions, photographs."""
NOT_REASSURED = ("urgent", "refer", "unclear")
AGE_BANDS = ((0, 29), (30, 44), (45, 59), (60, 74), (75, 120))
NOT_STATED = "not stated"
FOUND_IOU = 0.5
FEWEST_FOR_AUC = 5
"""Positives and negatives that an AUC needs before it says anything."""


@dataclass(frozen=True)
class Table:
    """The answers of one collection as columns."""

    answers: tuple[Answer, ...]
    classes: Classes
    shares: NDArray[np.float64]
    """Probability by class; a row of zeros where no lesion was judged."""
    truth: NDArray[np.intp]
    predicted: NDArray[np.intp]
    answered: NDArray[np.bool_]
    malignant: NDArray[np.bool_]
    benign: NDArray[np.bool_]
    score: NDArray[np.float64]
    """Probability that falls on the collection's malignant classes."""

    def figure(self, statistic: Statistic, among: NDArray[np.bool_] | None = None) -> Figure | None:
        return figure(self.answers, statistic, among)

    def share(self, flags: NDArray[np.bool_], among: NDArray[np.bool_] | None = None) -> Figure | None:
        return self.figure(lambda i: float(flags[i].mean()), among)

    def auc(self, positive: NDArray[np.bool_], score: NDArray[np.float64], among: NDArray[np.bool_]) -> Figure | None:
        if min(int(positive[among].sum()), int((~positive)[among].sum())) < FEWEST_FOR_AUC:
            return None
        return self.figure(lambda i: metrics.auc(positive[i], score[i]), among)

    def levels(self, *wanted: str) -> NDArray[np.bool_]:
        return np.array([a.level in wanted for a in self.answers], bool)


def figure(answers: Sequence[Answer], statistic: Statistic, among: NDArray[np.bool_] | None = None) -> Figure | None:
    """The statistic over the photographs of `among`; None where it is undefined."""
    places = np.arange(len(answers)) if among is None else np.flatnonzero(among)
    value = statistic(places) if len(places) else math.nan
    if math.isnan(value):
        return None
    members = [answers[i].photo for i in places.tolist()]
    interval = metrics.bootstrap(lambda drawn: statistic(places[drawn]), [m.group for m in members])
    return {
        "value": round(value, 4),
        "low": round(interval.low, 4) if interval else None,
        "high": round(interval.high, 4) if interval else None,
        "lesions": len({m.lesion for m in members}),
        "photographs": len(places),
    }


def table(answers: Sequence[Answer], conditions: Sequence[Condition], *, with_facts: bool = False) -> Table:
    """Answers of one collection; `with_facts` takes what was said when age, sex and site were known."""
    collection = answers[0].photo.collection
    classes = CLASSES[collection]
    names = list(classes)
    groups = {c.id: c.group for c in conditions}
    said = [
        (a.probabilities_with_facts if with_facts and a.level_with_facts is not None else a.probabilities)
        for a in answers
    ]
    shares = np.array([[sum(p[c] for c in classes[name]) if p else 0.0 for name in names] for p in said], float)
    answered = np.array([p is not None for p in said], bool)
    malignant = np.array([a.photo.malignant for a in answers], bool)
    harmless = {name for name in names if all(groups[c] not in ("malignant", "premalignant") for c in classes[name])}
    positive = [i for i, name in enumerate(names) if any(a.photo.malignant for a in answers if a.photo.label == name)]
    return Table(
        answers=tuple(answers),
        classes=classes,
        shares=shares,
        truth=np.array([names.index(a.photo.label) for a in answers], np.intp),
        predicted=np.where(answered, shares.argmax(axis=1), -1).astype(np.intp),
        answered=answered,
        malignant=malignant,
        benign=np.array([a.photo.label in harmless for a in answers], bool),
        score=shares[:, positive].sum(axis=1),
    )


def report(
    answers: Sequence[Answer],
    conditions: Sequence[Condition],
    points: Mapping[str, Any],
    splits: Mapping[Collection, str],
    notes: Sequence[str],
) -> dict[str, Any]:
    """All figures; a collection that was not there is absent, not invented."""
    of = {name: [a for a in answers if a.photo.collection == name] for name in CLASSES}
    out: dict[str, Any] = {"notes": list(notes)}
    for name, world in (("ham10000", "dermoscopy"), ("pad_ufes", "phone")):
        if of[name]:  # type: ignore[index]
            out[world] = _world(of[name], conditions, points.get(world, {}), splits[name])  # type: ignore[index]
    if of["isic2017"]:
        out["another_dermatoscope"] = _another_camera(of["isic2017"], conditions, splits["isic2017"])
    if of["negatives"]:
        out["negatives"] = _negatives(of["negatives"], splits["negatives"])
    return out


def _world(
    answers: Sequence[Answer], conditions: Sequence[Condition], points: Mapping[str, Any], split: str
) -> dict[str, Any]:
    rows = table(answers, conditions)
    collection = answers[0].photo.collection
    out = {
        "collection": collection,
        "split": split,
        "photographs": len(answers),
        "lesions": len({a.photo.lesion for a in answers}),
        "figures": _headline_figures(rows, points, MODALITY[collection]),
        "classes": {name: _class_figures(rows, i) for i, name in enumerate(rows.classes)},
        "subgroups": {
            fact: _subgroups(rows, fact)
            for fact in ("sex", "age", "site", "fitzpatrick")
            if any(a.photo.facts.get(fact) for a in answers)
        },
    }
    if any(a.level_with_facts is not None for a in answers):
        informed = _headline_figures(table(answers, conditions, with_facts=True), points, MODALITY[collection])
        kept = ("balanced_accuracy", "melanoma_auc", "malignant_auc", "calibration_error", "brier")
        out["figures_with_facts"] = {name: informed[name] for name in kept}
    return out


def _headline_figures(rows: Table, points: Mapping[str, Any], modality: str) -> dict[str, Figure | None]:
    names = list(rows.classes)
    everyone = np.ones(len(rows.answers), bool)
    melanoma = next(i for i, name in enumerate(names) if rows.classes[name] == ("melanoma",))
    top = rows.shares.max(axis=1)
    out = {
        "balanced_accuracy": rows.figure(lambda i: metrics.balanced_accuracy(rows.truth[i], rows.predicted[i])),
        "melanoma_auc": rows.auc(rows.truth == melanoma, rows.shares[:, melanoma], everyone),
        "malignant_auc": rows.auc(rows.malignant, rows.score, everyone),
    }
    for aim in sorted(points, reverse=True):
        reached, percent = rows.score >= points[aim]["value"], round(100 * float(aim))
        out[f"sensitivity_at_{percent}"] = rows.share(reached, rows.malignant)
        out[f"specificity_at_{percent}"] = rows.share(~reached, ~rows.malignant)
    out |= {
        "malignant_not_reassured": rows.share(rows.levels(*NOT_REASSURED), rows.malignant),
        "malignant_referred": rows.share(rows.levels("urgent", "refer"), rows.malignant),
        "benign_in_watch": rows.share(rows.levels("watch"), rows.benign),
        "benign_referred": rows.share(rows.levels("urgent", "refer"), rows.benign),
        "calibration_error": rows.figure(
            lambda i: metrics.expected_calibration_error(top[i], (rows.predicted == rows.truth)[i]),
            rows.answered,
        ),
        "brier": rows.figure(lambda i: metrics.brier(rows.shares[i], rows.truth[i]), rows.answered),
        "modality_recognised": rows.share(np.array([a.modality == modality for a in rows.answers]), rows.answered),
        "lesion_judged": rows.share(rows.answered),
    }
    return out | _overlap_figures(rows)


def _overlap_figures(rows: Table) -> dict[str, Figure | None]:
    masked = np.array([a.overlap is not None for a in rows.answers], bool)
    outlined = np.array([a.dice is not None for a in rows.answers], bool)
    found = np.array([(a.overlap or 0.0) >= FOUND_IOU for a in rows.answers], bool)
    proposed = np.array([(a.proposed or 0.0) >= FOUND_IOU for a in rows.answers], bool)
    overlap = np.array([a.dice or 0.0 for a in rows.answers], float)
    return {
        "lesion_found": rows.share(found, masked),
        "lesion_proposed": rows.share(proposed, masked),
        "mask_dice": rows.figure(lambda i: float(overlap[i].mean()), outlined),
    }


def _class_figures(rows: Table, index: int) -> dict[str, Any]:
    of_class = rows.truth == index
    everyone = np.ones(len(rows.answers), bool)
    levels = Counter(a.level for a, here in zip(rows.answers, of_class, strict=True) if here)
    return {
        "recall": rows.share(rows.predicted == index, of_class),
        "auc": rows.auc(of_class, rows.shares[:, index], everyone),
        "levels": dict(sorted(levels.items())),
    }


def _subgroups(rows: Table, fact: str) -> dict[str, Any]:
    values = np.array([_subgroup(a.photo.facts.get(fact), fact) for a in rows.answers])
    known = sorted(set(values.tolist()) - {NOT_STATED})
    out: dict[str, Any] = {}
    for value in [*known, *([NOT_STATED] if NOT_STATED in values else [])]:
        here = values == value
        out[value] = {
            "photographs": int(here.sum()),
            "lesions": len({rows.answers[i].photo.lesion for i in np.flatnonzero(here)}),
            "malignant_lesions": len({rows.answers[i].photo.lesion for i in np.flatnonzero(here & rows.malignant)}),
            "malignant_auc": rows.auc(rows.malignant, rows.score, here),
            "malignant_not_reassured": rows.share(rows.levels(*NOT_REASSURED), here & rows.malignant),
            "benign_in_watch": rows.share(rows.levels("watch"), here & rows.benign),
        }
    return out


def _subgroup(value: str | None, fact: str) -> str:
    if not value:
        return NOT_STATED
    if fact == "fitzpatrick":
        return ("I", "II", "III", "IV", "V", "VI")[int(float(value)) - 1]
    if fact == "age":
        low, high = next(band for band in AGE_BANDS if float(value) <= band[1])
        return f"{low}-{high}" if high < AGE_BANDS[-1][1] else f"{low}+"
    return value


def _another_camera(answers: Sequence[Answer], conditions: Sequence[Condition], split: str) -> dict[str, Any]:
    rows = table(answers, conditions)
    everyone = np.ones(len(answers), bool)
    return {
        "collection": "isic2017",
        "split": split,
        "photographs": len(answers),
        "lesions": len(answers),
        "figures": {
            "melanoma_auc": rows.auc(rows.malignant, rows.score, everyone),
            "melanoma_not_reassured": rows.share(rows.levels(*NOT_REASSURED), rows.malignant),
            "modality_recognised": rows.share(
                np.array([a.modality == "dermoscopy" for a in answers], bool), rows.answered
            ),
            "lesion_judged": rows.share(rows.answered),
        },
    }


def _negatives(answers: Sequence[Answer], split: str) -> dict[str, Any]:
    boxed = np.array([bool(a.boxes or a.refused) for a in answers], bool)
    verdict = np.array([a.level not in ("no-lesion", "unclear") for a in answers], bool)

    def shares(among: NDArray[np.bool_] | None = None) -> dict[str, Figure | None]:
        return {
            "with_box": figure(answers, lambda i: float(boxed[i].mean()), among),
            "with_verdict": figure(answers, lambda i: float(verdict[i].mean()), among),
        }

    labels = np.array([a.photo.label for a in answers])
    return {
        "collection": "negatives",
        "split": split,
        "photographs": len(answers),
        "figures": shares(),
        "kinds": {kind: shares(labels == kind) for kind in sorted(set(labels.tolist()))},
    }
