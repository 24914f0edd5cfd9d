"""A tower that knows the tiny collections: ImageNet's backbone, and a head solved for the colours of their spots."""

from __future__ import annotations

import numpy as np
import torch

from dermedge import MODALITIES
from dermedge.tower import views_of
from dermedge_export.compact.data import CONDITIONS, REJECTS, RESAMPLE, Photo, looked_at
from dermedge_export.compact.network import NetworkSettings, Tower, imagenet_weights, load_imagenet

DIMENSION = 16
SIZE = 64


def taught(photos: list[Photo], size: int = SIZE, ridge: float = 0.02) -> Tower:
    """Ridge regression from features of `photos`, whole and close, to one axis a condition, reject and modality."""
    torch.manual_seed(0)
    tower = Tower(NetworkSettings("lite0", dimension=DIMENSION)).eval()
    load_imagenet(tower.backbone, imagenet_weights("lite0"))
    axes = torch.eye(DIMENSION)
    rejects, modalities = len(CONDITIONS), len(CONDITIONS) + len(REJECTS)
    with torch.no_grad():
        looks = [views_of(crop.pixels, crop.close, 2, RESAMPLE) for crop in (looked_at(p, size) for p in photos)]
        crops = torch.from_numpy(np.concatenate(looks)).permute(0, 3, 1, 2).float()
        features = tower.features(crops).mean((2, 3))
        wanted = torch.stack([
            (axes[list(p.conditions)].mean(0) if p.reject < 0 else axes[rejects + p.reject])
            + 0.7 * axes[modalities + p.modality]
            for p in photos for _ in range(2)
        ])  # fmt: skip
        middle, aim = features.mean(0), wanted.mean(0)
        centred = features - middle
        kernel = centred @ centred.T
        # Held down enough that the head does not live on what rounding to int8 takes away.
        solved = torch.linalg.solve(kernel + ridge * kernel.diagonal().mean() * torch.eye(len(features)), wanted - aim)
        tower.projection.weight.copy_((centred.T @ solved).T)
        tower.projection.bias.copy_(aim - tower.projection.weight @ middle)
        tower.shared.copy_(axes[: len(CONDITIONS)])
        tower.reject_vectors.copy_(axes[rejects : rejects + len(REJECTS)])
        tower.modality_vectors.copy_(axes[modalities : modalities + len(MODALITIES)])
    return tower
