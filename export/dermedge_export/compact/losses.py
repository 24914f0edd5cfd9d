"""What the tower is trained to do with a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .batches import Batch
from .network import Tower


@dataclass(frozen=True)
class LossSettings:
    """Pairs are per modality: dermoscopy, phone."""

    smoothing: float = 0.05
    # Strength of the logit adjustment. The few phone photographs are soon known by heart, and then a strength
    # of 1 no longer holds the rare conditions up on new ones.
    adjustment: tuple[float, float] = (1.0, 1.5)
    mixup: tuple[float, float] = (0.15, 0.6)
    mixup_shape: float = 0.3
    reject_weight: float = 0.3
    modality_weight: float = 0.2
    # Phone photographs are a tenth of the lesions drawn.
    modality_balance: tuple[float, float] = (1.0, 4.0)
    # Beside the labels: what teachers say of the same crop, at a temperature that shows their second thoughts.
    teacher_weight: float = 1.0
    teacher_temperature: float = 2.0


def partial_loss(logits: Tensor, allowed: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy against a set of allowed classes, per crop."""
    logs = F.log_softmax(logits, 1)
    hit = torch.logsumexp(logs.masked_fill(allowed == 0, -1e4), 1)
    return -(1 - smoothing) * hit - smoothing * logs.mean(1)


def mixing(batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor]:
    """A partner of the same modality for each lesion, and how much of the lesion itself remains."""
    count = len(batch.crops)
    partner, own = torch.arange(count), torch.ones(count)
    for world, probability in enumerate(settings.mixup):
        members = ((batch.reject < 0) & (batch.modality == world)).nonzero().flatten()
        partner[members] = members[torch.randperm(len(members))]
        share = np.random.beta(settings.mixup_shape, settings.mixup_shape, len(members))
        chosen = np.random.random(len(members)) < probability
        own[members] = torch.from_numpy(np.where(chosen, np.maximum(share, 1 - share), 1.0)).float()
    return partner, own


@torch.no_grad()
def taught(teachers: Sequence[Tower], crops: Tensor, modality: Tensor, temperature: float, bf16: bool) -> Tensor:
    """The teachers' mean probabilities of the conditions, under each crop's own modality."""
    said = []
    for teacher in teachers:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            embedding = teacher.embed(crops).float()
        said.append(F.softmax(teacher.logits(embedding, modality)[0] / temperature, 1))
    return torch.stack(said).mean(0)


def distance_to(probabilities: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence per crop; its gradient is as strong at every temperature."""
    logs = F.log_softmax(logits / temperature, 1)
    return temperature**2 * F.kl_div(logs, probabilities, reduction="none").sum(1)


def batch_loss(
    tower: Tower, batch: Batch, priors: Tensor, settings: LossSettings, bf16: bool, teachers: Sequence[Tower] = ()
) -> Tensor:
    lesion = batch.reject < 0
    partner, own = mixing(batch, settings)
    crops = batch.crops.float()
    share = own.view(-1, 1, 1, 1)
    crops = (share * crops + (1 - share) * crops[partner]).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        embedding = tower.embed(crops).float()
    conditions, rejects, modality = tower.logits(embedding, batch.modality)
    strength = torch.tensor(settings.adjustment)[batch.modality].unsqueeze(1)
    adjusted = conditions + strength * priors[batch.modality].log()
    main = own * partial_loss(adjusted, batch.allowed, settings.smoothing)
    main = main + (1 - own) * partial_loss(adjusted, batch.allowed[partner], settings.smoothing)
    if teachers:
        # Neither teachers nor student are adjusted here: their logits speak of balanced classes alike.
        temperature = settings.teacher_temperature
        wanted = taught(teachers, crops, batch.modality, temperature, bf16)
        main = main + settings.teacher_weight * distance_to(wanted, conditions, temperature)
    joint = F.log_softmax(torch.cat([conditions, rejects], 1), 1)
    kept = -torch.logsumexp(joint[:, : conditions.shape[1]], 1)[lesion]
    thrown = F.nll_loss(joint[~lesion], batch.reject[~lesion] + conditions.shape[1], reduction="none")
    reject = torch.cat([kept, thrown]).mean()
    balance = torch.tensor(settings.modality_balance)
    world = F.cross_entropy(modality[lesion], batch.modality[lesion], weight=balance)
    return main[lesion].mean() + settings.reject_weight * reject + settings.modality_weight * world
