"""Labelled photographs for the compact tower, read from the public archives into memory."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
MODALITIES = ("dermoscopy", "phone")
REJECTS = ("hand", "object", "scene", "skin")

MEL, BCC, SCC, ACK, NEV, SEK, DFB, VAS = range(8)
# One dataset label may name several conditions at once: the label is then a set, and training only asks
# that the true condition is somewhere in it.
HAM_LABELS = {
    "mel": (MEL,),
    "bcc": (BCC,),
    "akiec": (SCC, ACK),
    "nv": (NEV,),
    "bkl": (SEK,),
    "df": (DFB,),
    "vasc": (VAS,),
}
PAD_LABELS = {"MEL": (MEL,), "BCC": (BCC,), "SCC": (SCC,), "ACK": (ACK,), "NEV": (NEV,), "SEK": (SEK,)}
ISIC_LABELS = {
    "melanoma": (MEL,),
    "nevus": (NEV,),
    "seborrheic_keratosis": (SEK,),
    # The validation split only says "no melanoma".
    "not_melanoma(nevus_or_sk)": (NEV, SEK),
}

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
CONTEXT = 1.4
PADDING = (128, 128, 128)
# ISIC-2017 frames were squashed from about 4:3 to a square.
ISIC_ASPECT = 4 / 3
# HAM10000's 224 px crops are the central square of the whole frame, whose height is 150 px here.
HAM_CROP_SCALE = 224 / 150
HAM_CROP_LEFT = 25


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
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def frame(self) -> tuple[int, int]:
        return int(self.pixels.shape[1]), int(self.pixels.shape[0])


def square_for_box(box: Box, width: int, height: int, context: float = CONTEXT) -> Box:
    """The square shown to the tower: the box with context, kept inside the photograph where it fits."""
    x0, y0, x1, y1 = box
    longest = max(x1 - x0, y1 - y0, 1.0)
    side = max(longest, min(context * longest, float(min(width, height))))
    left = _inside((x0 + x1 - side) / 2, side, width)
    top = _inside((y0 + y1 - side) / 2, side, height)
    return left, top, left + side, top + side


def _inside(start: float, side: float, limit: int) -> float:
    if side >= limit:
        return (limit - side) / 2
    return min(max(start, 0.0), limit - side)


def crop_square(pixels: Pixels, square: Box, size: int) -> Pixels:
    """Cut a square (padded where it leaves the photograph) and bring it to size x size."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = square
    image = Image.fromarray(pixels)
    pad = int(np.ceil(max(0.0, -left, -top, right - width, bottom - height)))
    if pad:
        canvas = Image.new("RGB", (width + 2 * pad, height + 2 * pad), PADDING)
        canvas.paste(image, (pad, pad))
        image = canvas
    region = (left + pad, top + pad, right + pad, bottom + pad)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=region))


def evaluation_crop(photo: Photo, size: int, context: float = CONTEXT) -> Pixels:
    """The crop the runtime would make of this photograph, given its lesion's box."""
    return crop_square(photo.pixels, square_for_box(photo.box, *photo.frame, context), size)


def _rows(archive: zipfile.ZipFile) -> Iterator[dict[str, str]]:
    with archive.open("labels.csv") as handle:
        yield from csv.DictReader(io.TextIOWrapper(handle, "utf-8"))


def _pixels(archive: zipfile.ZipFile, member: str) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(archive.read(member))).convert("RGB"))


def _box(row: dict[str, str]) -> Box:
    return float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"])


def _facts(row: dict[str, str]) -> tuple[tuple[str, str], ...]:
    names = ("age", "sex", "site", "fitzpatrick", "dx_type", "biopsied")
    return tuple((name, row[name]) for name in names if row.get(name))


def read_ham(path: Path, splits: tuple[str, ...]) -> Iterator[Photo]:
    with zipfile.ZipFile(path) as archive:
        for row in _rows(archive):
            if row["split"] not in splits:
                continue
            box = _box(row)
            sharp, sharp_box = None, None
            if row["has_crop224"] == "1" and row["split"] == "train":
                sharp = _pixels(archive, f"crops224/{row['image_id']}.jpg")
                sharp_box = _to_sharp(box)
            yield Photo(
                "ham",
                row["image_id"],
                row["split"],
                row["label"],
                _pixels(archive, f"images/{row['image_id']}.jpg"),
                box,
                HAM_LABELS[row["label"]],
                0,
                row["lesion_id"],
                sharp=sharp,
                sharp_box=sharp_box,
                facts=_facts(row),
            )


def _to_sharp(box: Box) -> Box:
    x0, y0, x1, y1 = box
    left, right = ((min(max(x - HAM_CROP_LEFT, 0), 150)) * HAM_CROP_SCALE for x in (x0, x1))
    return left, y0 * HAM_CROP_SCALE, right, y1 * HAM_CROP_SCALE


def read_pad(path: Path, splits: tuple[str, ...]) -> Iterator[Photo]:
    with zipfile.ZipFile(path) as archive:
        for row in _rows(archive):
            if row["split"] in splits:
                yield Photo(
                    "pad",
                    row["image_id"],
                    row["split"],
                    row["label"],
                    _pixels(archive, f"images/{row['image_id']}.jpg"),
                    _box(row),
                    PAD_LABELS[row["label"]],
                    1,
                    row["patient_id"],
                    facts=_facts(row),
                )


def read_isic(path: Path, splits: tuple[str, ...]) -> Iterator[Photo]:
    """ISIC-2017 has no boxes here: the central part of the frame stands for the lesion."""
    with zipfile.ZipFile(path) as archive:
        for row in _rows(archive):
            if row["split"] not in splits:
                continue
            image = Image.open(io.BytesIO(archive.read(f"images/{row['image_id']}.jpg"))).convert("RGB")
            width, height = round(image.width * ISIC_ASPECT), image.height
            wide = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
            half = 0.325 * height
            box = (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
            yield Photo(
                "isic",
                row["image_id"],
                row["split"],
                row["label"],
                wide,
                box,
                ISIC_LABELS[row["label"]],
                0,
                row["image_id"],
                facts=_facts(row),
            )


def read_negatives(path: Path, splits: tuple[str, ...]) -> Iterator[Photo]:
    with zipfile.ZipFile(path) as archive:
        for row in _rows(archive):
            if row["split"] in splits:
                pixels = _pixels(archive, f"images/{row['image_id']}.jpg")
                height, width = pixels.shape[:2]
                yield Photo(
                    "negative",
                    row["image_id"],
                    row["split"],
                    row["label"],
                    pixels,
                    (0.0, 0.0, float(width), float(height)),
                    (),
                    1,
                    row["image_id"],
                    reject=REJECTS.index(row["label"]),
                )


READERS = {
    "ham": ("ham10000.zip", read_ham),
    "pad": ("pad_ufes.zip", read_pad),
    "isic": ("isic2017.zip", read_isic),
    "negative": ("negatives.zip", read_negatives),
}


def read_photos(folder: Path, sources: tuple[str, ...], splits: tuple[str, ...]) -> list[Photo]:
    photos: list[Photo] = []
    for source in sources:
        name, reader = READERS[source]
        photos.extend(reader(folder / name, splits))
    return photos


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
