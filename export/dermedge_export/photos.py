"""Labelled photographs for measuring: the project's zips, the same unzipped, or the public originals."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermedge.errors import UsageError
from dermedge.result import Modality

Collection = Literal["ham10000", "pad_ufes", "isic2017", "negatives"]
COLLECTIONS: tuple[Collection, ...] = ("ham10000", "pad_ufes", "isic2017", "negatives")

Classes = Mapping[str, tuple[str, ...]]
HAM_CLASSES: Classes = {
    "mel": ("melanoma",),
    "nv": ("melanocytic-nevus",),
    "bkl": ("seborrheic-keratosis",),
    "bcc": ("basal-cell-carcinoma",),
    "akiec": ("actinic-keratosis", "squamous-cell-carcinoma"),
    "vasc": ("vascular-lesion",),
    "df": ("dermatofibroma",),
}
PAD_CLASSES: Classes = {
    "MEL": ("melanoma",),
    "BCC": ("basal-cell-carcinoma",),
    "SCC": ("squamous-cell-carcinoma",),
    "ACK": ("actinic-keratosis",),
    "NEV": ("melanocytic-nevus",),
    "SEK": ("seborrheic-keratosis",),
}
ISIC_CLASSES: Classes = {
    "melanoma": ("melanoma",),
    "not_melanoma(nevus_or_sk)": ("melanocytic-nevus", "seborrheic-keratosis"),
}
CLASSES: Mapping[Collection, Classes] = {
    "ham10000": HAM_CLASSES,
    "pad_ufes": PAD_CLASSES,
    "isic2017": ISIC_CLASSES,
    "negatives": {},
}
MALIGNANT: Mapping[Collection, frozenset[str]] = {
    "ham10000": frozenset({"mel", "bcc", "akiec"}),
    "pad_ufes": frozenset({"MEL", "BCC", "SCC"}),
    "isic2017": frozenset({"melanoma"}),
    "negatives": frozenset(),
}
MODALITY: Mapping[Collection, Modality] = {
    "ham10000": "dermoscopy",
    "pad_ufes": "phone",
    "isic2017": "dermoscopy",
    "negatives": "phone",
}
FACTS = ("age", "sex", "site", "fitzpatrick")

ISIC_ASPECT = 4 / 3
"""The zip's ISIC-2017 frames were squashed to squares; the originals are close to 4:3."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a picture's bytes are: a file, or a member of a zip."""

    path: Path
    member: str | None = None

    def read(self) -> bytes:
        return self.path.read_bytes() if self.member is None else _archive(self.path).read(self.member)


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photograph, what is on it, and which others show the same lesion or patient."""

    collection: Collection
    id: str
    label: str
    split: str
    group: str
    """What is resampled as one: the lesion (dermatoscope) or the patient (phone)."""
    lesion: str
    image: Stored
    mask: Stored | None
    box: tuple[float, float, float, float] | None
    """x0, y0, x1, y1 of the mask, in the photograph's pixels."""
    facts: Mapping[str, str]
    squashed: bool = False

    @property
    def malignant(self) -> bool:
        return self.label in MALIGNANT[self.collection]

    def open(self) -> bytes | Image.Image:
        """The bytes as a person would hand them over; a squashed frame is first brought back to its shape."""
        data = self.image.read()
        if not self.squashed:
            return data
        squashed = Image.open(io.BytesIO(data)).convert("RGB")
        return squashed.resize((round(squashed.height * ISIC_ASPECT), squashed.height), Image.Resampling.BICUBIC)

    def open_mask(self) -> NDArray[np.bool_] | None:
        if self.mask is None:
            return None
        return np.asarray(Image.open(io.BytesIO(self.mask.read())).convert("L")) > 127

    def lesion_box(self) -> tuple[float, float, float, float] | None:
        """The mask's box, read off the mask where the labels do not give it."""
        if self.box is not None:
            return self.box
        mask = self.open_mask()
        if mask is None or not mask.any():
            return None
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@dataclass(frozen=True, slots=True)
class Found:
    """One collection as found in a folder."""

    photos: tuple[LabelledPhoto, ...]
    split_by: Literal["labels", "hash"]
    """`hash`: the public originals name no split, so lesions or patients were split by `split_of`."""


def find_collections(folder: Path) -> dict[Collection, Found]:
    """Every collection that lies in `folder`; none at all is an error."""
    found = {name: photos for name in COLLECTIONS if (photos := _find(folder, name)) is not None}
    if not found:
        raise UsageError(
            f"{folder}: no photographs found; expected ham10000.zip, pad_ufes.zip, isic2017.zip, "
            f"negatives.zip, the same "
            "unzipped, or the public originals of HAM10000 or PAD-UFES-20"
        )
    return found


def split_of(group: str) -> str:
    """train, val or test (80 : 10 : 10) by a hash of the lesion or patient: the same on every machine."""
    place = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") % 10
    return {0: "val", 1: "test"}.get(place, "train")


def _find(folder: Path, name: Collection) -> Found | None:
    zipped, unzipped = folder / f"{name}.zip", folder / name
    if zipped.is_file():
        members = frozenset(_archive(zipped).namelist())
        text = _archive(zipped).read("labels.csv").decode()
        return Found(tuple(_labelled(name, text, lambda m: Stored(zipped, m) if m in members else None)), "labels")
    if (unzipped / "labels.csv").is_file():
        text = (unzipped / "labels.csv").read_text()
        return Found(
            tuple(_labelled(name, text, lambda m: Stored(unzipped / m) if (unzipped / m).is_file() else None)),
            "labels",
        )
    original = {"ham10000": _ham_original, "pad_ufes": _pad_original}.get(name)
    photos = tuple(original(folder)) if original else ()
    return Found(photos, "hash") if photos else None


def _labelled(name: Collection, text: str, stored: Callable[[str], Stored | None]) -> Iterator[LabelledPhoto]:
    for row in csv.DictReader(io.StringIO(text)):
        key = row["image_id"]
        image = stored(f"images/{key}.jpg")
        if image is None:
            raise UsageError(f"{name}: images/{key}.jpg is in labels.csv and not in the collection; fetch it again")
        lesion = row.get("lesion_id") or key
        yield LabelledPhoto(
            collection=name,
            id=key,
            label=row["label"],
            split=row["split"],
            group=row.get("patient_id") or lesion,
            lesion=lesion,
            image=image,
            mask=stored(f"masks/{key}.png"),
            facts=_facts(row),
            box=tuple(float(row[k]) for k in ("x0", "y0", "x1", "y1")) if row.get("x1") else None,  # type: ignore[arg-type]
            squashed=name == "isic2017",
        )


def _ham_original(folder: Path) -> Iterator[LabelledPhoto]:
    """HAM10000 as published: a metadata table, images in two parts, masks in their own folder."""
    table = next((p for p in sorted(folder.rglob("HAM10000_metadata*")) if p.is_file()), None)
    if table is None:
        return
    images = {p.stem: p for p in folder.rglob("ISIC_*.jpg")}
    masks = {p.stem.removesuffix("_segmentation"): p for p in folder.rglob("ISIC_*_segmentation.png")}
    for row in csv.DictReader(io.StringIO(table.read_text())):
        key = row["image_id"]
        if key in images:
            yield LabelledPhoto(
                collection="ham10000",
                id=key,
                label=row["dx"],
                split=split_of(row["lesion_id"]),
                group=row["lesion_id"],
                lesion=row["lesion_id"],
                image=Stored(images[key]),
                box=None,
                mask=Stored(masks[key]) if key in masks else None,
                facts=_facts({**row, "site": row["localization"]}),
            )


def _pad_original(folder: Path) -> Iterator[LabelledPhoto]:
    """PAD-UFES-20 as published: metadata.csv and images in three parts; it has no masks."""
    for table in sorted(folder.rglob("metadata.csv")):
        rows = list(csv.DictReader(io.StringIO(table.read_text())))
        if not rows or "img_id" not in rows[0]:
            continue
        images = {p.name: p for p in table.parent.rglob("PAT_*.png")}
        for row in rows:
            if row["img_id"] in images:
                facts = {
                    **row,
                    "site": row["region"],
                    "sex": row["gender"],
                    "fitzpatrick": row["fitspatrick"],
                }
                yield LabelledPhoto(
                    collection="pad_ufes",
                    id=Path(row["img_id"]).stem,
                    label=row["diagnostic"],
                    split=split_of(row["patient_id"]),
                    group=row["patient_id"],
                    lesion=row["lesion_id"],
                    image=Stored(images[row["img_id"]]),
                    mask=None,
                    box=None,
                    facts=_facts(facts),
                )
        return


def _facts(row: Mapping[str, str]) -> dict[str, str]:
    facts = {fact: row[fact].strip().lower() for fact in FACTS if row.get(fact)}
    return {fact: value for fact, value in facts.items() if value not in ("", "unknown", "unk")}


@lru_cache(maxsize=8)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
