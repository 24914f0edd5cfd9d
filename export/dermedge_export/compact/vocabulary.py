"""The vectors that an embedding is compared with, and the logits that come of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .network import Tower
from .validate import Outputs
from .views import Vectors


@dataclass(frozen=True)
class Vocabulary:
    """Prompts [modalities, conditions, dimension]; rejects and modalities [.., dimension]; all of length 1."""

    prompts: Vectors
    rejects: Vectors
    modalities: Vectors
    scale: float
    modality_scale: float

    @staticmethod
    def of(tower: Tower) -> Vocabulary:
        def plain(value: Tensor) -> Vectors:
            return np.asarray(value.detach().numpy(), np.float32)

        return Vocabulary(
            plain(tower.prompts()),
            plain(tower.rejects()),
            plain(tower.modality_axes()),
            tower.scale().item(),
            tower.modality_scale().item(),
        )

    def outputs(self, embedding: Vectors, world: int | None = None) -> Outputs:
        """Logits as the runtime computes them: the conditions under the modality it recognised, or under `world`."""
        e = embedding.astype(np.float64)
        modality = self.modality_scale * e @ self.modalities.T
        chosen = self.prompts[modality.argmax(1) if world is None else np.full(len(e), world)]
        conditions = self.scale * np.einsum("nd,ncd->nc", e, chosen)
        return Outputs(conditions, self.scale * e @ self.rejects.T, modality)
