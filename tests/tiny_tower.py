"""A tower that knows the tiny collections: ImageNet's backbone, and a head solved for the colours of their spots."""

from __future__ import annotations

import numpy as np
import torch

from dermedge import MODALITIES
from dermedge_export.compact.data import CONDITIONS, REJECTS, Photo, evaluation_crop
from dermedge_export.compact.network import NetworkSettings, Tower, imagenet_weights, load_imagenet

DIMENSION = 16
SIZE = 64


def taught(photos: list[Photo], size: int = SIZE, ridge: float = 0.02) -> Tower:
    """Ridge regression from the features of `photos` to one axis for each condition, reject and modality."""
    torch.manual_seed(0)
    tower = Tower(NetworkSettings("lite0", dimension=DIMENSION)).eval()
    load_imagenet(tower.backbone, imagenet_weights("lite0"))
    axes = torch.eye(DIMENSION)
    rejects, modalities = len(CONDITIONS), len(CONDITIONS) + len(REJECTS)
    with torch.no_grad():
        crops = torch.from_numpy(np.stack([evaluation_crop(p, size) for p in photos])).permute(0, 3, 1, 2).float()
        features = tower.features(crops).mean((2, 3))
        wanted = torch.stack([
            (axes[list(p.conditions)].mean(0) if p.reject < 0 else axes[rejects + p.reject])
            + 0.7 * axes[modalities + p.modality]
            for p in photos
        ])  # fmt: skip
        middle, aim = features.mean(0), wanted.mean(0)
        centred = features - middle
        kernel = centred @ centred.T
        # Held down enough that the head does not live on what rounding to int8 takes away.
        solved = torch.linalg.solve(kernel + ridge * kernel.diagonal().mean() * torch.eye(len(photos)), wanted - aim)
        tower.projection.weight.copy_((centred.T @ solved).T)
        tower.projection.bias.copy_(aim - tower.projection.weight @ middle)
        tower.shared.copy_(axes[: len(CONDITIONS)])
        tower.reject_vectors.copy_(axes[rejects : rejects + len(REJECTS)])
        tower.modality_vectors.copy_(axes[modalities : modalities + len(MODALITIES)])
    return tower
