"""Labelled photographs, to train on and to measure with: prepared zips, the same unzipped, or public originals."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
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
    "nevus": ("melanocytic-nevus",),
    "seborrheic_keratosis": ("seborrheic-keratosis",),
    # All that the prepared validation split says.
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
    sharp: Stored | None = None
    """The centre square of the frame at a higher resolution."""

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
        return box_of(mask) if mask is not None and mask.any() else None


def box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of what a mask covers, which is something."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@dataclass(frozen=True, slots=True)
class Found:
    """One collection as found in a folder."""

    photos: tuple[LabelledPhoto, ...]
    split_by: Literal["labels", "hash"]
    """`hash`: these originals name no split, so lesions or patients were split by `split_of`."""


def find_collections(folder: Path) -> dict[Collection, Found]:
    """Every collection that lies in `folder`; none at all is an error."""
    found = {name: photos for name in COLLECTIONS if (photos := _find(folder, name)) is not None}
    if not found:
        raise UsageError(
            f"{folder}: no photographs found; expected ham10000.zip, pad_ufes.zip, isic2017.zip, negatives.zip, "
            "the same unzipped, or the public originals of HAM10000, PAD-UFES-20 and ISIC-2017 with a folder "
            "negatives/ of hand/, object/ and scene/"
        )
    return found


def split_of(name: Collection, group: str) -> str:
    """A split by a hash of the lesion or patient: the same on every machine, whatever else the collection holds.

    HAM10000 80 : 10 : 10 into train, val and test; the others, whose val is what they are measured on, 80 : 20.
    """
    place = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") % 10
    held_out = ("val", "test") if name == "ham10000" else ("val", "val")
    return held_out[place] if place < 2 else "train"


def _find(folder: Path, name: Collection) -> Found | None:
    zipped, unzipped = folder / f"{name}.zip", folder / name
    if zipped.is_file():
        members = frozenset(_archive(zipped).namelist())
        text = _archive(zipped).read("labels.csv").decode()
        return Found(tuple(_labelled(name, text, lambda m: Stored(zipped, m) if m in members else None)), "labels")
    if (unzipped / "labels.csv").is_file():
        text = (unzipped / "labels.csv").read_text()
        stored = _labelled(name, text, lambda m: Stored(unzipped / m) if (unzipped / m).is_file() else None)
        return Found(tuple(stored), "labels")
    photos = tuple(ORIGINALS[name](folder))
    return Found(photos, "labels" if name == "isic2017" else "hash") if photos else None


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
            sharp=stored(f"crops224/{key}.jpg"),
        )


def _ham_original(folder: Path) -> Iterator[LabelledPhoto]:
    """HAM10000 as published: a metadata table, images in two parts, masks in their own folder."""
    table = next((p for p in sorted(folder.rglob("HAM10000_metadata*")) if p.is_file()), None)
    if table is None:
        return
    images = {p.stem: p for p in folder.rglob("ISIC_*.jpg")}
    masks = {p.stem.removesuffix("_segmentation"): p for p in folder.rglob("ISIC_*_segmentation.png")}
    for row in _table(table):
        key, lesion = row["image_id"], row["lesion_id"]
        if key in images:
            mask = Stored(masks[key]) if key in masks else None
            facts = _facts({**row, "site": row["localization"]})
            yield _original("ham10000", images[key], row["dx"], lesion, lesion, facts, mask)


def _pad_original(folder: Path) -> Iterator[LabelledPhoto]:
    """PAD-UFES-20 as published: metadata.csv and images in three parts; it has no masks."""
    for table in sorted(folder.rglob("metadata.csv")):
        rows = _table(table)
        if not rows or "img_id" not in rows[0]:
            continue
        images = {p.name: p for p in table.parent.rglob("PAT_*.png")}
        for row in rows:
            if row["img_id"] in images:
                facts = {**row, "site": row["region"], "sex": row["gender"], "fitzpatrick": row["fitspatrick"]}
                patient, lesion = row["patient_id"], row["lesion_id"]
                yield _original("pad_ufes", images[row["img_id"]], row["diagnostic"], patient, lesion, _facts(facts))
        return


def _isic_original(folder: Path) -> Iterator[LabelledPhoto]:
    """ISIC-2017 as published: a folder and a table of ground truth for each of the challenge's own splits."""
    images = {p.stem: p for p in folder.rglob("ISIC_*.jpg")}
    for part, split in (("Training", "train"), ("Validation", "val"), ("Test_v2", "test")):
        truth = next(iter(sorted(folder.rglob(f"ISIC-2017_{part}_Part3_GroundTruth.csv"))), None)
        known = {r["image_id"]: r for p in folder.rglob(f"ISIC-2017_{part}_Data_metadata.csv") for r in _table(p)}
        for row in _table(truth) if truth else ():
            key, melanoma = row["image_id"], float(row["melanoma"]) > 0
            other = "seborrheic_keratosis" if float(row["seborrheic_keratosis"]) > 0 else "nevus"
            if key in images:
                stated = known.get(key, {})
                facts = _facts({**stated, "age": stated.get("age_approximate", "")})
                photo = _original("isic2017", images[key], "melanoma" if melanoma else other, key, key, facts)
                yield replace(photo, split=split)


def _negatives_original(folder: Path) -> Iterator[LabelledPhoto]:
    """Photographs of nothing, in a folder for each kind of it."""
    for label in ("hand", "object", "scene"):
        for path in sorted((folder / "negatives" / label).glob("*")):
            if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
                key = f"{label}_{path.stem}"
                yield replace(_original("negatives", path, label, key, key, {}), id=key)


ORIGINALS: Mapping[Collection, Callable[[Path], Iterator[LabelledPhoto]]] = {
    "ham10000": _ham_original,
    "pad_ufes": _pad_original,
    "isic2017": _isic_original,
    "negatives": _negatives_original,
}


def _original(
    name: Collection, path: Path, label: str, group: str, lesion: str, facts: Mapping[str, str],
    mask: Stored | None = None,
) -> LabelledPhoto:
    split = split_of(name, group)
    return LabelledPhoto(name, path.stem, label, split, group, lesion, Stored(path), mask, None, facts)


def _table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def _facts(row: Mapping[str, str]) -> dict[str, str]:
    facts = {fact: row[fact].strip().lower() for fact in FACTS if row.get(fact)}
    return {fact: value for fact, value in facts.items() if value not in ("", "unknown", "unk")}


@lru_cache(maxsize=8)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
