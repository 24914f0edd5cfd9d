"""The crops that int8 is fitted to, and those on which graphs are compared with the float32 model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermedge.crop import cut
from dermedge.errors import UsageError
from dermedge.pack.manifest import TowerSpec
from dermedge.photo import read_photo
from dermedge.result import Box
from dermedge.tower import VIEWS, turned

from .labelled import Labelled, crop_of, spread

SAMPLES = Path(__file__).parents[3] / "artifacts" / "samples"
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
CLOSER = 0.6
"""Side of a corner's square, in short sides of the photograph."""
OBSERVED_EVERY, OBSERVED = 6, 8
"""Every so many crops, and no more than so many, int8 is fitted to one, which then is not compared on."""


def pictures(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES) if folder.is_dir() else []
    if not found:
        raise UsageError(f"{folder}: no photographs there; give some with --samples")
    return found


def unlabelled(photographs: Sequence[Path], spec: TowerSpec, wanted: int) -> NDArray[np.uint8]:
    """The whole of each photograph first, then its corners, each turned another way."""
    cuts: list[NDArray[np.uint8]] = []
    opened = [read_photo(path) for path in photographs]
    for turn in range(-(-wanted // len(opened))):
        for photo in opened:
            short = float(min(photo.width, photo.height))
            side = short if turn % 5 == 0 else CLOSER * short
            right, low = (turn % 5 in (2, 4)), (turn % 5 in (3, 4))
            x, y = ((photo.width - side) * right, (photo.height - side) * low)
            crop = cut(photo, Box(x, y, x + side, y + side), spec.size, spec.resample, spec.padding)
            cuts.append(turned(crop.pixels, VIEWS[turn % len(VIEWS)]))
    return np.ascontiguousarray(np.stack(cuts[:wanted]))


@dataclass(frozen=True, slots=True)
class Shown:
    """What int8 is fitted to, and other crops to compare its answers on."""

    observed: NDArray[np.uint8]
    compared: NDArray[np.uint8]
    labels: NDArray[np.intp] | None
    """Of the compared crops."""


def show(
    photos: tuple[Labelled, ...], samples: list[Path], spec: TowerSpec, wanted: int, ids: tuple[str, ...]
) -> Shown:
    count = wanted + -(-wanted // (OBSERVED_EVERY - 1))
    if photos:
        chosen = [photos[i] for i in spread(len(photos), count)]
        crops = np.stack([crop_of(photo, spec) for photo in chosen])
        labels = np.array([ids.index(p.label) if p.label in ids else -1 for p in chosen])
    else:
        crops, labels = unlabelled(samples, spec, count), None
    observed = np.arange(len(crops)) % OBSERVED_EVERY == 0
    return Shown(crops[observed][:OBSERVED], crops[~observed], None if labels is None else labels[~observed])
