"""What each condition and each of its descriptions is worth zero-shot, on labelled photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge.result import MODALITIES

from ..metrics import auc
from .labelled import Labelled
from .prompts import Prompts, PromptVectors


def worth(
    photos: tuple[Labelled, ...], embeddings: NDArray[np.float32], prompts: Prompts, vectors: PromptVectors
) -> dict[str, Any]:
    """By modality and condition: AUC against all others, recall, and the AUC of each description alone.

    A description well below its condition's AUC is better dropped; so is a condition near .5.
    """
    ids = [c.id for c in prompts.conditions]
    found: dict[str, Any] = {}
    for row, modality in enumerate(MODALITIES):
        here = [i for i, p in enumerate(photos) if p.modality == modality and p.label in ids]
        if not here:
            continue
        labels = np.array([ids.index(photos[i].label) for i in here])
        seen = embeddings[here].astype(np.float64)
        cosines = seen @ vectors.prompts[row].T.astype(np.float64)
        chosen = cosines.argmax(axis=1)
        found[modality] = {}
        for place in np.unique(labels).tolist():
            positive, condition = labels == place, prompts.conditions[place]
            single = seen @ vectors.single[f"{condition.id}, {modality}"].T.astype(np.float64)
            found[modality][condition.id] = {
                "auc": _rounded(auc(positive, cosines[:, place])),
                "recall": _rounded(float((chosen[positive] == place).mean())),
                "photographs": int(positive.sum()),
                "descriptions": {
                    text: _rounded(auc(positive, single[:, i])) for i, text in enumerate(condition.texts[modality])
                },
            }
    return found


def _rounded(value: float) -> float:
    return round(0.5 if np.isnan(value) else value, 4)
