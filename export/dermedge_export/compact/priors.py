"""What age, sex and body site say about a lesion, learned on the training lesions' labels.

A fact's shift is the logarithm of how much commoner each condition is among the lesions with that fact than among all.
The facts are not independent, so adding their shifts whole would count the same hint twice: one strength for
all of them is chosen on validation lesions, and 0 (no priors at all) wins unless another measures better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dermedge.pack.manifest import Condition, Prior
from dermedge.result import Modality
from dermedge.scorer import in_band, softmax

from ..answers import Answer
from ..photos import CLASSES, MODALITY, LabelledPhoto

Fact = Literal["age", "sex", "site"]

AGE_BANDS = ("0-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+")
FEWEST = 25
"""Lesions with a fact below which nothing is learned from it."""
SMOOTHING = 20.0
"""Lesions' worth of the overall shares mixed into each fact's: what a fact says must outweigh them."""
FURTHEST = 1.5
"""No fact may argue a condition away, or into being, by more than a factor of 4.5 in its odds."""
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST_GAIN = 0.002
"""Of the mean log-loss: less is noise, and a prior that nobody needs is left out."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The strength chosen, and the validation log-loss at each."""

    strength: float
    losses: Mapping[float, float]

    def as_json(self) -> dict[str, object]:
        losses = {f"{strength:.2f}": round(loss, 4) for strength, loss in self.losses.items()}
        return {"strength": self.strength, "validation_log_loss": losses}


def learn(photos: Iterable[LabelledPhoto], conditions: Sequence[Condition]) -> tuple[Prior, ...]:
    """A full-strength shift for every fact that enough training lesions have."""
    ids = [condition.id for condition in conditions]
    overall: dict[Modality, NDArray[np.float64]] = defaultdict(lambda: np.zeros(len(ids)))
    among: dict[tuple[Modality, Fact, str], NDArray[np.float64]] = defaultdict(lambda: np.zeros(len(ids)))
    for photo in {photo.lesion: photo for photo in photos}.values():
        share = np.zeros(len(ids))
        labels = CLASSES[photo.collection][photo.label]
        share[[ids.index(label) for label in labels]] = 1 / len(labels)
        modality = MODALITY[photo.collection]
        overall[modality] += share
        for fact, value in facts_of(photo):
            among[modality, fact, value] += share
    priors = []
    for (modality, fact, value), counts in sorted(among.items()):
        if counts.sum() < FEWEST:
            continue
        usual = (overall[modality] + 0.5) / (overall[modality] + 0.5).sum()
        here = (counts + SMOOTHING * usual) / (counts.sum() + SMOOTHING)
        # A condition that no training lesion had is unknown there, not unlikely.
        hint = np.where(overall[modality] > 0, np.log(here / usual), 0.0).clip(-FURTHEST, FURTHEST)
        shift = tuple(round(float(s), 4) for s in hint)
        priors.append(Prior(modality, fact, value, shift, round(float(counts.sum()))))
    return tuple(priors)


def choose_strength(answers: Sequence[Answer], priors: Sequence[Prior], temperatures: Mapping[str, float],
                    conditions: Sequence[Condition]) -> Choice:
    """Mean log-loss of each modality's validation lesions at each strength, the modalities weighing alike."""
    losses = {}
    for strength in STRENGTHS:
        by_modality: dict[str, list[float]] = defaultdict(list)
        for answer in answers:
            if answer.probabilities is None:
                continue
            modality = MODALITY[answer.photo.collection]
            logits = np.log(np.array([max(answer.probabilities[c.id], 1e-9) for c in conditions]))
            for prior in matching(answer.photo, priors):
                logits += strength * np.array(prior.shift) / temperatures[modality]
            shares = dict(zip((c.id for c in conditions), softmax(logits).tolist(), strict=True))
            right = sum(shares[c] for c in CLASSES[answer.photo.collection][answer.photo.label])
            by_modality[modality].append(-float(np.log(max(right, 1e-9))))
        losses[strength] = float(np.mean([np.mean(loss) for loss in by_modality.values()]))
    best = min(STRENGTHS, key=lambda strength: losses[strength])
    return Choice(best if losses[0.0] - losses[best] >= LEAST_GAIN else 0.0, losses)


def at_strength(priors: Iterable[Prior], strength: float) -> tuple[Prior, ...]:
    """The priors as the pack carries them; none at strength 0."""
    if strength == 0:
        return ()
    return tuple(replace(p, shift=tuple(round(strength * s, 4) for s in p.shift)) for p in priors)


def matching(photo: LabelledPhoto, priors: Iterable[Prior]) -> list[Prior]:
    stated = set(facts_of(photo))
    return [p for p in priors if p.modality == MODALITY[photo.collection] and (p.fact, p.value) in stated]


def facts_of(photo: LabelledPhoto) -> list[tuple[Fact, str]]:
    """The labels' facts as priors name them: ages by band, sex and site as plain words."""
    facts: list[tuple[Fact, str]] = []
    if age := photo.facts.get("age"):
        facts += [("age", band) for band in AGE_BANDS if in_band(int(float(age)), band)]
    for fact in ("sex", "site"):
        if value := photo.facts.get(fact):
            facts.append((fact, value))
    return facts
