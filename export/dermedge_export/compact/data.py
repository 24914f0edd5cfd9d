"""Photographs as the compact tower's training holds them: pixels in memory, the lesion's box, what its label allows."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermedge import MODALITIES, UsageError
from dermedge.crop import cut, square_around
from dermedge.result import Box as Rectangle
from dermedge.result import Photo as Picture

from ..photos import CLASSES, MODALITY, Collection, LabelledPhoto, Stored, find_collections

CONDITIONS = (
    "melanoma",
    "basal-cell-carcinoma",
    "squamous-cell-carcinoma",
    "actinic-keratosis",
    "melanocytic-nevus",
    "seborrheic-keratosis",
    "dermatofibroma",
    "vascular-lesion",
)
REJECTS = ("hand", "object", "scene", "skin")
SOURCES: Mapping[str, Collection] = {
    "ham": "ham10000",
    "pad": "pad_ufes",
    "isic": "isic2017",
    "negative": "negatives",
}

MEL, BCC, SCC, ACK, NEV, SEK, DFB, VAS = range(8)


def _labels(name: Collection) -> dict[str, tuple[int, ...]]:
    return {label: tuple(CONDITIONS.index(c) for c in allowed) for label, allowed in CLASSES[name].items()}


# One dataset label may name several conditions at once: the label is then a set, and training only asks
# that the true condition is somewhere in it.
LABELS = {source: _labels(name) for source, name in SOURCES.items()}
HAM_LABELS, PAD_LABELS = LABELS["ham"], LABELS["pad"]

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
SIZE, VIEWS = 160, 8
"""Of the crop that the shipped tower looks at, and how often it is turned and mirrored."""
CONTEXT = 1.4
PADDING = (128, 128, 128)
RESAMPLE: Literal["bicubic"] = "bicubic"
WORKING_SIDE = 300
"""The most that is kept of a photograph's shorter side: the published originals are many times what a crop shows."""
CENTRE = 0.65
"""Of the shorter side: the square that stands for the lesion where nobody outlined it."""
# HAM10000's 224 px crops are the central square of the whole frame, which is 200 x 150 in its zip.
SHARP_SCALE = 224 / 150
SHARP_LEFT = 25


@dataclass(frozen=True)
class Photo:
    """One photograph with the box of its lesion and what is known about it."""

    source: str
    image_id: str
    split: str
    label: str
    pixels: Pixels
    box: Box
    conditions: tuple[int, ...]
    modality: int
    group: str
    reject: int = -1
    # A second, sharper rendering of the same lesion with its own box.
    sharp: Pixels | None = field(default=None, repr=False)
    sharp_box: Box | None = None

    @property
    def frame(self) -> tuple[int, int]:
        return int(self.pixels.shape[1]), int(self.pixels.shape[0])


def square_for_box(box: Box, width: int, height: int, context: float = CONTEXT) -> Box:
    """The square shown to the tower, by the runtime's rule."""
    square = square_around(Rectangle(*box), width, height, context)
    return square.x0, square.y0, square.x1, square.y1


def evaluation_crop(photo: Photo, size: int, context: float = CONTEXT) -> Pixels:
    """The crop the runtime makes of this photograph, given its lesion's box."""
    width, height = photo.frame
    picture = Picture(photo.image_id, photo.pixels, width, height, 1.0, "pixels")
    square = square_around(Rectangle(*photo.box), width, height, context)
    return cut(picture, square, size, RESAMPLE, PADDING).pixels


def opened(photo: LabelledPhoto) -> tuple[Pixels, float]:
    """A photograph's pixels, no larger than training needs them, and the factor they were scaled by."""
    found = photo.open()
    image = Image.open(io.BytesIO(found)) if isinstance(found, bytes) else found
    width, height = image.size
    factor = min(1.0, WORKING_SIDE / min(width, height))
    if factor < 1:
        # Not the same as resize(): a JPEG is decoded at a fraction of its size first.
        image.thumbnail((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)
    return np.asarray(image.convert("RGB")), image.width / width


def scaled(box: Box, factor: float) -> Box:
    x0, y0, x1, y1 = box
    return x0 * factor, y0 * factor, x1 * factor, y1 * factor


def centre_square(width: int, height: int) -> Box:
    half = CENTRE * min(width, height) / 2
    return width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half


def sharp_pixels(stored: Stored) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(stored.read())).convert("RGB"))


def on_sharp(box: Box) -> Box:
    """A box of a prepared HAM10000 frame on the sharper rendering of its centre; it may reach beyond that."""
    x0, y0, x1, y1 = box
    return scaled((x0 - SHARP_LEFT, y0, x1 - SHARP_LEFT, y1), SHARP_SCALE)


def read_photos(folder: Path, sources: tuple[str, ...], splits: tuple[str, ...]) -> list[Photo]:
    """The photographs of those splits, and no other, read into memory."""
    found = find_collections(folder)
    missing = [SOURCES[source] for source in sources if SOURCES[source] not in found]
    if missing:
        raise UsageError(f"{folder}: {', '.join(missing)} missing; put the collection beside the others")
    listed = ((source, photo) for source in sources for photo in found[SOURCES[source]].photos)
    return [in_memory(source, photo) for source, photo in listed if photo.split in splits]


def in_memory(source: str, photo: LabelledPhoto) -> Photo:
    pixels, factor = opened(photo)
    height, width = pixels.shape[:2]
    nothing = source == "negative"
    if outlined := photo.lesion_box():
        box = scaled(outlined, factor)
    else:
        box = (0.0, 0.0, float(width), float(height)) if nothing else centre_square(width, height)
    sharp, sharp_box = None, None
    if photo.sharp is not None and photo.split == "train":
        sharp = sharp_pixels(photo.sharp)
        x0, y0, x1, y1 = on_sharp(box)
        side = float(sharp.shape[1])
        sharp_box = min(max(x0, 0.0), side), y0, min(max(x1, 0.0), side), y1
    return Photo(
        source,
        photo.id,
        photo.split,
        photo.label,
        pixels,
        box,
        () if nothing else LABELS[source][photo.label],
        MODALITIES.index(MODALITY[photo.collection]),
        photo.group,
        REJECTS.index(photo.label) if nothing else -1,
        sharp,
        sharp_box,
    )


def bare_skin_square(photo: Photo, rng: np.random.Generator, tries: int = 12) -> Box | None:
    """A square of the photograph that does not touch the lesion's box, if one is found."""
    width, height = photo.frame
    x0, y0, x1, y1 = photo.box
    margin = 0.05 * max(x1 - x0, y1 - y0)
    for _ in range(tries):
        side = rng.uniform(0.15, 0.5) * min(width, height)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        apart_x = left + side < x0 - margin or left > x1 + margin
        apart_y = top + side < y0 - margin or top > y1 + margin
        if apart_x or apart_y:
            return left, top, left + side, top + side
    return None
