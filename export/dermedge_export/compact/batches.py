"""Random training batches: which photographs, how often, and what they are asked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from dermedge import MODALITIES

from .augment import AugmentSettings, photometric, random_crop, view
from .data import CONDITIONS, REJECTS, Photo, Pixels, bare_skin_square


@dataclass(frozen=True)
class BatchSettings:
    batch: int = 48
    # Shares of a batch. The phone world is small: at twice this share its photographs are known by heart half
    # way through, and what was learnt about new ones is lost again.
    ham: float = 0.69
    isic: float = 0.18
    pad: float = 0.06
    negative: float = 0.04
    skin: float = 0.03
    # Classes are drawn with their count to this power; logit adjustment makes up for the rest.
    balance: float = 0.5
    # Standing in for the prior of conditions a modality has no photograph of.
    unseen_prior: float = 0.004


@dataclass(frozen=True)
class Batch:
    crops: Tensor
    allowed: Tensor
    modality: Tensor
    reject: Tensor


class Sampler:
    """Chooses photographs of one source, classes reweighted."""

    def __init__(self, photos: list[Photo], balance: float) -> None:
        self.photos = photos
        counts = Counter(photo.label for photo in photos)
        weights = np.array([counts[photo.label] ** (balance - 1) for photo in photos])
        self.weights: NDArray[np.float64] = weights / weights.sum()

    def draw(self, rng: np.random.Generator, count: int) -> list[Photo]:
        return [self.photos[i] for i in rng.choice(len(self.photos), count, p=self.weights)]


def sampled_priors(samplers: dict[str, Sampler], settings: BatchSettings) -> NDArray[np.float32]:
    """How often each condition is drawn, per modality: [modalities, conditions]."""
    mass = np.zeros((len(MODALITIES), len(CONDITIONS)))
    for source, share in (("ham", settings.ham), ("isic", settings.isic), ("pad", settings.pad)):
        if source not in samplers:
            continue
        for photo, weight in zip(samplers[source].photos, samplers[source].weights, strict=True):
            for condition in photo.conditions:
                mass[photo.modality, condition] += share * weight / len(photo.conditions)
    mass /= np.maximum(mass.sum(1, keepdims=True), 1e-9)
    priors = np.maximum(mass, settings.unseen_prior)
    return np.asarray(priors / priors.sum(1, keepdims=True), np.float32)


class TrainingBatches(IterableDataset[Batch]):
    """An endless, reproducible stream of augmented batches."""

    def __init__(
        self, photos: list[Photo], size: int, seed: int, settings: BatchSettings, augment: AugmentSettings
    ) -> None:
        super().__init__()
        self.size, self.seed, self.settings, self.augment = size, seed, settings, augment
        lesions = ("ham", "isic", "pad", "negative")
        found = {s: [p for p in photos if p.source == s] for s in lesions}
        self.samplers = {
            s: Sampler(members, 0.7 if s == "negative" else settings.balance) for s, members in found.items() if members
        }
        self.skin = [p for p in photos if p.source in ("ham", "pad")]

    def priors(self) -> NDArray[np.float32]:
        return sampled_priors(self.samplers, self.settings)

    def _sizes(self) -> dict[str, int]:
        settings = self.settings
        shares = {"isic": settings.isic, "pad": settings.pad, "negative": settings.negative}
        sizes = {s: round(settings.batch * share) for s, share in shares.items() if s in self.samplers}
        sizes["skin"] = round(settings.batch * settings.skin)
        if "ham" in self.samplers:
            sizes["ham"] = settings.batch - sum(sizes.values())
        return sizes

    def __iter__(self) -> Iterator[Batch]:
        # The loader's process must not compete with the optimiser's threads.
        torch.set_num_threads(1)
        if torch.utils.data.get_worker_info() is not None:
            os.nice(1)
        rng = np.random.default_rng(self.seed)
        generator = torch.Generator().manual_seed(self.seed)
        sizes = self._sizes()
        while True:
            yield self._batch(sizes, rng, generator)

    def _batch(self, sizes: dict[str, int], rng: np.random.Generator, generator: torch.Generator) -> Batch:
        crops: list[Pixels] = []
        allowed: list[tuple[int, ...]] = []
        modality: list[int] = []
        reject: list[int] = []
        for source, count in sizes.items():
            if source == "skin":
                continue
            for photo in self.samplers[source].draw(rng, count):
                crops.append(random_crop(photo, self.size, rng, self.augment))
                allowed.append(photo.conditions)
                modality.append(photo.modality if photo.reject < 0 else int(rng.integers(len(MODALITIES))))
                reject.append(photo.reject)
        for _ in range(sizes["skin"]):
            pixels, world = self._nothing(rng)
            crops.append(pixels)
            allowed.append(())
            modality.append(world)
            reject.append(REJECTS.index("skin"))
        mask = torch.zeros(len(crops), len(CONDITIONS))
        for row, conditions in enumerate(allowed):
            mask[row, list(conditions)] = 1
        pixels_tensor = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
        light = photometric(pixels_tensor, generator, self.augment)
        return Batch(light.round().to(torch.uint8), mask, torch.tensor(modality), torch.tensor(reject))

    def _nothing(self, rng: np.random.Generator) -> tuple[Pixels, int]:
        """Skin beside a lesion, or now and then an empty frame (lens cap, blank wall)."""
        photo = self.skin[int(rng.integers(len(self.skin)))]
        square = bare_skin_square(photo, rng)
        if square is None or rng.random() < 0.15:
            shade = rng.uniform(0, 255, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0, 40))
            noise = rng.normal(0, rng.uniform(0, 12), (self.size, self.size, 3))
            return np.clip(shade + noise, 0, 255).astype(np.uint8), int(rng.integers(len(MODALITIES)))
        return view(photo.pixels, square, self.size, rng, self.augment, self.augment.stretch), photo.modality
