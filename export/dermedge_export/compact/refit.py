"""Refits the phone's vectors to the finished tower, on augmented training crops; kept where validation says so.

The tower is trained on thirty times as many dermatoscope photographs as phone photographs. What it learns first
separates the phone's lesions better than the vectors that learned beside it say: they can be solved for afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from .. import metrics
from .augment import AugmentSettings, photometric, random_crop
from .calibrate import CalibrationSettings, cross_fitted_logits
from .data import PAD_LABELS, Photo, Pixels, evaluation_crop
from .validate import MALIGNANT, class_index, group_probabilities, is_malignant, mass, softmax
from .views import Vectors, unit
from .vocabulary import Vocabulary

DERMOSCOPY, PHONE = 0, 1


@dataclass(frozen=True)
class RefitSettings:
    augmented: int = 4
    """Random views of each photograph, beside the crop that the runtime would make."""
    dermatoscope: int = 70
    """Photographs of each class: what the phone's are told from."""
    modality_pull: float = 1e-3
    prompt_pull: float = 0.03
    """Towards the trained vectors; a weaker pull changed little more."""
    seed: int = 5


Embed = Callable[[Pixels], Vectors]


def embeddings(photos: Sequence[Photo], size: int, embed: Embed, settings: RefitSettings) -> Vectors:
    """Each photograph as the runtime sees it, and some random views: [1 + augmented, photographs, dimension]."""
    rng, generator = np.random.default_rng(settings.seed), torch.Generator().manual_seed(settings.seed)
    rows = [embed(np.stack([evaluation_crop(photo, size) for photo in photos]))]
    for _ in range(settings.augmented):
        crops = np.stack([random_crop(photo, size, rng, AugmentSettings()) for photo in photos])
        parts = [torch.from_numpy(crops[i : i + 64]).permute(0, 3, 1, 2).float() for i in range(0, len(crops), 64)]
        light = torch.cat([photometric(part, generator, AugmentSettings()) for part in parts])
        rows.append(embed(light.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()))
    return np.stack(rows)


def refit_modalities(vocabulary: Vocabulary, dermoscopy: Vectors, phone: Vectors, pull: float) -> Vocabulary:
    """Logistic regression through the origin, both modalities weighing alike, by Newton's method."""
    start = vocabulary.modality_scale * (vocabulary.modalities[PHONE] - vocabulary.modalities[DERMOSCOPY])
    start = start.astype(np.float64)
    seen = np.concatenate([dermoscopy, phone]).astype(np.float64)
    truth = np.concatenate([np.zeros(len(dermoscopy)), np.ones(len(phone))])
    weight = np.where(truth > 0, 0.5 / len(phone), 0.5 / len(dermoscopy))
    axis = start.copy()
    for _ in range(30):
        chance = 1 / (1 + np.exp(-seen @ axis))
        gradient = seen.T @ (weight * (chance - truth)) + 2 * pull * (axis - start)
        bend = (seen.T * (weight * chance * (1 - chance))) @ seen + 2 * pull * np.eye(len(axis))
        axis -= np.linalg.solve(bend, gradient)
    length = float(np.linalg.norm(axis))
    direction = (axis / length).astype(np.float32)
    # Only the difference of the two counts; opposite vectors of length 1 say it exactly.
    return replace(vocabulary, modalities=np.stack([-direction, direction]), modality_scale=length / 2)


def refit_prompts(vocabulary: Vocabulary, seen: Vectors, truth: NDArray[np.int64], pull: float) -> Vocabulary:
    """The phone's prompts of the conditions in `truth`: class-balanced cross-entropy, held near the trained ones."""
    shown, place = np.unique(truth, return_inverse=True)
    trained = torch.from_numpy(vocabulary.prompts[PHONE][shown]).double()
    points, classes = torch.from_numpy(seen).double(), torch.from_numpy(place)
    weight = 1 / (len(shown) * torch.bincount(classes).double())
    moved = torch.zeros_like(trained, requires_grad=True)
    optimiser = torch.optim.LBFGS([moved], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = vocabulary.scale * points @ F.normalize(trained + moved, dim=1).T
        entropy = (weight[classes] * F.cross_entropy(logits, classes, reduction="none")).sum()
        total = entropy + pull * moved.square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    prompts = vocabulary.prompts.copy()
    prompts[PHONE, shown] = F.normalize(trained + moved.detach(), dim=1).float().numpy()
    return replace(vocabulary, prompts=prompts)


def recognised(vocabulary: Vocabulary, embedding: Vectors, worlds: NDArray[np.int64]) -> tuple[float, float]:
    """The share of each modality's lesions that is taken for what it is."""
    right = vocabulary.outputs(embedding).modalities.argmax(1) == worlds
    return float(right[worlds == DERMOSCOPY].mean()), float(right[worlds == PHONE].mean())


def phone_figures(vocabulary: Vocabulary, embedding: Vectors, photos: Sequence[Photo]) -> tuple[float, float]:
    """Balanced accuracy and malignant AUC of lesions whose bias was fitted on other patients."""
    classes = list(PAD_LABELS.values())
    truth = class_index(list(photos), list(PAD_LABELS))
    logits = vocabulary.outputs(embedding, PHONE).conditions
    crossed = cross_fitted_logits(logits, truth, classes, [p.group for p in photos], CalibrationSettings())
    probabilities = softmax(crossed)
    balanced = metrics.balanced_accuracy(truth, group_probabilities(probabilities, classes).argmax(1))
    return balanced, metrics.auc(is_malignant(list(photos)), mass(probabilities, MALIGNANT))


def refit(
    vocabulary: Vocabulary,
    training: Sequence[Photo],
    validation: Sequence[Photo],
    validation_embedding: Vectors,
    size: int,
    embed: Embed,
    settings: RefitSettings,
) -> tuple[Vocabulary, dict[str, Any]]:
    """The vocabulary with what helped validation photographs, and the figures that decided."""
    phone = [p for p in training if p.source == "pad"]
    by_label: dict[str, list[Photo]] = {}
    for photo in training:
        if photo.source == "ham":
            by_label.setdefault(photo.label, []).append(photo)
    order = np.random.default_rng(settings.seed)
    chosen = [group[i] for group in by_label.values() for i in order.permutation(len(group))[: settings.dermatoscope]]
    views = embeddings(phone, size, embed, settings)
    others = embeddings(chosen, size, embed, replace(settings, augmented=min(1, settings.augmented)))

    lesion = np.array([p.source in ("ham", "pad") for p in validation])
    worlds = np.array([p.modality for p in validation])[lesion]
    told = refit_modalities(vocabulary, _rows(others), _rows(views), settings.modality_pull)
    before, after = (recognised(v, validation_embedding[lesion], worlds) for v in (vocabulary, told))
    mine = np.array([p.source == "pad" for p in validation])
    members = [p for p in validation if p.source == "pad"]
    # One phone photograph more or less is no reason to change anything; two are.
    least = 1.5 / len(members)
    report = {"modality": _verdict(("dermoscopy", "phone"), before, after, least)}
    if report["modality"]["kept"]:
        vocabulary = told
    truth = np.tile([p.conditions[0] for p in phone], len(views)).astype(np.int64)
    asked = refit_prompts(vocabulary, _rows(views), truth, settings.prompt_pull)
    before, after = (phone_figures(v, validation_embedding[mine], members) for v in (vocabulary, asked))
    report["phone_prompts"] = _verdict(("balanced_accuracy", "malignant_auc"), before, after, least)
    return (asked if report["phone_prompts"]["kept"] else vocabulary), report


def _rows(views: Vectors) -> Vectors:
    return unit(views.reshape(-1, views.shape[-1]))


def _verdict(
    names: tuple[str, str], before: tuple[float, float], after: tuple[float, float], least: float
) -> dict[str, Any]:
    return {
        "kept": sum(after) - sum(before) > least,
        "trained": {name: round(value, 4) for name, value in zip(names, before, strict=True)},
        "refitted": {name: round(value, 4) for name, value in zip(names, after, strict=True)},
    }
