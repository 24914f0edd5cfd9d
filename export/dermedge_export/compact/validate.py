"""What a tower does on the validation photographs, from logits however they were computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics import auc, balanced_accuracy
from .data import ACK, BCC, HAM_LABELS, MEL, PAD_LABELS, SCC, Photo

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MALIGNANT = (MEL, BCC, SCC)
REFERRAL = (MEL, BCC, SCC, ACK)


@dataclass(frozen=True)
class Outputs:
    """Condition logits under each photograph's true modality, reject logits, modality logits."""

    conditions: NDArray[np.float64]
    rejects: NDArray[np.float64]
    modalities: NDArray[np.float64]


def group_probabilities(probabilities: Floats, groups: list[tuple[int, ...]]) -> Floats:
    """Sum the conditions' probabilities into a dataset's own classes."""
    return np.stack([probabilities[:, list(group)].sum(1) for group in groups], 1)


def softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def rejection_mass(conditions: Floats, rejects: Floats) -> Floats:
    both = softmax(np.concatenate([conditions, rejects], 1))
    return np.asarray(both[:, conditions.shape[1] :].sum(1))


def mass(probabilities: Floats, conditions: tuple[int, ...]) -> Floats:
    return np.asarray(probabilities[:, list(conditions)].sum(1))


def is_malignant(photos: list[Photo]) -> NDArray[np.bool_]:
    """Malignant as each dataset counts it: HAM10000's akiec holds Bowen's disease and counts as a whole."""
    return np.array([p.label in ("mel", "bcc", "akiec", "melanoma", "MEL", "BCC", "SCC") for p in photos])


def class_index(photos: list[Photo], names: list[str]) -> NDArray[np.int64]:
    return np.array([names.index(p.label) for p in photos])


def figures(photos: list[Photo], outputs: Outputs) -> dict[str, float]:
    """The validation figures of every source that is present."""
    source = np.array([p.source for p in photos])
    probabilities = softmax(outputs.conditions)
    result: dict[str, float] = {}
    for name, labels in (("ham", HAM_LABELS), ("pad", PAD_LABELS)):
        chosen = source == name
        if not chosen.any():
            continue
        members = [p for p in photos if p.source == name]
        p = probabilities[chosen]
        truth = class_index(members, list(labels))
        grouped = group_probabilities(p, list(labels.values()))
        result[f"{name}_balanced"] = balanced_accuracy(truth, grouped.argmax(1))
        result[f"{name}_melanoma_auc"] = auc(np.array([m.label.lower() == "mel" for m in members]), p[:, MEL])
        wanted = REFERRAL if name == "ham" else MALIGNANT
        result[f"{name}_malignant_auc"] = auc(is_malignant(members), mass(p, wanted))
    chosen = source == "isic"
    if chosen.any():
        truth_melanoma = np.array([p.label == "melanoma" for p in photos if p.source == "isic"])
        result["isic_melanoma_auc"] = auc(truth_melanoma, probabilities[chosen, MEL])
    negative = source == "negative"
    if negative.any():
        result["reject_auc"] = auc(negative, rejection_mass(outputs.conditions, outputs.rejects))
    lesion = ~negative
    world = np.array([p.modality for p in photos])
    result["modality"] = float((outputs.modalities.argmax(1) == world)[lesion].mean())
    return result
