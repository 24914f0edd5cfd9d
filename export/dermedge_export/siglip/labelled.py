"""A folder of labelled photographs to calibrate on: pictures and a `labels.csv`.

Columns: `file`, `label` (a condition's id, or `no-lesion`) and `modality` (`dermoscopy` or `phone`); where
known `x`, `y`, `width`, `height` of the lesion's box in pixels, and `lesion`: what the same lesion or patient
has in common.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermedge.crop import cut, square_around
from dermedge.errors import PhotoError, UsageError
from dermedge.pack.manifest import TowerSpec
from dermedge.photo import read_photo
from dermedge.result import MODALITIES, Box

LABELS = "labels.csv"
NO_LESION = "no-lesion"
NEEDED = ("file", "label", "modality")
BOX = ("x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class Labelled:
    path: Path
    label: str
    modality: str
    box: tuple[float, float, float, float] | None
    lesion: str


def read(folder: Path, known: Sequence[str]) -> tuple[Labelled, ...]:
    """Every row, checked before anything is computed."""
    table = folder / LABELS
    try:
        rows = list(csv.DictReader(table.read_text().splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{table}: cannot be read ({error}); it needs the columns {', '.join(NEEDED)}") from None
    if not rows or not set(NEEDED) <= rows[0].keys():
        raise UsageError(f"{table}: has no rows or lacks a column; it needs {', '.join(NEEDED)}") from None
    unknown = sorted({row["label"] for row in rows} - {*known, NO_LESION})
    if unknown:
        raise UsageError(f"{table}: unknown label {unknown[0]!r}; there are {', '.join((*known, NO_LESION))}")
    return tuple(_row(folder, number, row) for number, row in enumerate(rows, start=2))


def _row(folder: Path, number: int, row: dict[str, str]) -> Labelled:
    where = f"{folder / LABELS}, line {number}"
    path = folder / row["file"]
    if not path.is_file():
        raise UsageError(f"{where}: {row['file']} is not in the folder")
    if row["modality"] not in MODALITIES:
        raise UsageError(f"{where}: modality {row['modality']!r} is neither {' nor '.join(MODALITIES)}")
    box: tuple[float, float, float, float] | None = None
    if row.get("width"):
        try:
            x, y, width, height = (float(row[name]) for name in BOX)
        except (KeyError, ValueError):
            raise UsageError(f"{where}: the box needs a number each for {', '.join(BOX)}") from None
        box = (x, y, width, height)
    return Labelled(path, row["label"], row["modality"], box, row.get("lesion") or row["file"])


def crop_of(photo: Labelled, spec: TowerSpec) -> NDArray[np.uint8]:
    """Cut as the runtime cuts; without a box the whole photograph is the lesion."""
    try:
        picture = read_photo(photo.path)
    except PhotoError as error:
        raise UsageError(f"{photo.path}: {error}") from None
    x, y, width, height = photo.box or (0.0, 0.0, float(picture.width), float(picture.height))
    region = square_around(Box(x, y, x + width, y + height), picture.width, picture.height, spec.context)
    return cut(picture, region, spec.size, spec.resample, spec.padding).pixels


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` places out of `count`, evenly spread."""
    return [i * count // wanted for i in range(wanted)] if wanted < count else list(range(count))
