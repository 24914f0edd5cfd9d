"""Labelled collections in the layout of the real ones, drawn in the tiny pack's colours."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tiny_pack

HAM = {
    "mel": "melanoma",
    "nv": "melanocytic-nevus",
    "bkl": "seborrheic-keratosis",
    "bcc": "basal-cell-carcinoma",
    "akiec": "squamous-cell-carcinoma",
    "vasc": "vascular-lesion",
    "df": "dermatofibroma",
}
PAD = {
    "MEL": "melanoma",
    "BCC": "basal-cell-carcinoma",
    "SCC": "squamous-cell-carcinoma",
    "ACK": "actinic-keratosis",
    "NEV": "melanocytic-nevus",
    "SEK": "seborrheic-keratosis",
}
ISIC = {
    "melanoma": "melanoma",
    "nevus": "melanocytic-nevus",
    "seborrheic_keratosis": "seborrheic-keratosis",
}
SIDE = 192
FRAME = (200, 150)
"""Of the real HAM10000 frames, whose centre square is there at 224 pixels too."""
Row = dict[str, Any]


def build(folder: Path, a_class: int = 2, *, train: int = 0) -> Path:
    """All four collections as zips: `a_class` lesions of each class, the first of them photographed twice.

    With `train`, as many lesions of each class again to train on, the dermatoscope's in the size of the real frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ham = [
        lesion("HAM", label, i, "dermoscopy", HAM[label], split="test" if i < a_class else "val", view=view)
        for label in HAM
        for i in range(2 * a_class)
        for view in range(1 + (i == 0))
    ]
    pad = [
        lesion("PAT", label, i, "phone", PAD[label], split="val")
        | {"patient_id": f"PAT_{label}_{i // 2}", "fitzpatrick": "2.0" if i else "", "site": "FACE"}
        for label in PAD
        for i in range(a_class)
    ]
    isic = [
        lesion("ISIC", label, i, "dermoscopy", spot, split="val")
        for label, spot in (("melanoma", "melanoma"), ("not_melanoma(nevus_or_sk)", "melanocytic-nevus"))
        for i in range(a_class)
    ]
    negatives = [
        {"image_id": f"{label}_{i}", "label": label, "split": "val", "picture": picture}
        for label, picture in (
            ("hand", tiny_pack.skin_with_spots(size=(SIDE, SIDE))),
            ("object", tiny_pack.plain((60, 120, 200), (SIDE, SIDE))),
        )
        for i in range(a_class)
    ]
    ham += [
        lesion("HAM", label, 100 + i, "dermoscopy", HAM[label], split="train", view=view, frame=FRAME)
        for label in HAM
        for i in range(train)
        for view in range(1 + (i == 0))
    ]
    pad += [
        lesion("PAT", label, 100 + i, "phone", PAD[label], split="train")
        | {"patient_id": f"PAT_{label}_{100 + i // 2}", "fitzpatrick": "", "site": "FACE"}
        for label in PAD
        for i in range(train)
    ]
    isic += [
        lesion("ISIC", label, 100 + i, "dermoscopy", spot, split="train")
        for label, spot in ISIC.items()
        for i in range(train)
    ]
    negatives += [
        {"image_id": f"{label}_{100 + i}", "label": label, "split": "train", "picture": picture}
        for label, picture in (
            ("hand", tiny_pack.skin_with_spots(size=(SIDE, SIDE))),
            ("object", tiny_pack.plain((60, 120, 200), (SIDE, SIDE))),
            ("scene", tiny_pack.plain((80, 170, 80), (SIDE, 144))),
        )
        for i in range(train)
    ]
    for name, rows in (("ham10000", ham), ("pad_ufes", pad), ("isic2017", isic), ("negatives", negatives)):
        _write(folder / f"{name}.zip", rows, masks=name in ("ham10000", "pad_ufes"))
    return folder


def originals(folder: Path, a_class: int = 3) -> Path:
    """The four as their authors publish them: folders and tables, no masks of the phone photographs."""
    ham = [
        lesion("ISIC", label, i, "dermoscopy", HAM[label], split="", view=view) | {"dx": label, "localization": "back"}
        for label in HAM
        for i in range(a_class)
        for view in range(1 + (i == 0))
    ]
    for row in ham:
        _save(folder / "HAM10000_images_part_1" / f"{row['image_id']}.jpg", row["picture"])
        _save(folder / "HAM10000_segmentations" / f"{row['image_id']}_segmentation.png", row["mask"])
    (folder / "HAM10000_metadata.csv").write_text(table(ham))

    pad = [lesion("PAT", label, i, "phone", PAD[label], split="") for label in PAD for i in range(a_class)]
    for i, row in enumerate(pad):
        row |= {
            "patient_id": f"PAT_{i // 2}",
            "diagnostic": row["label"],
            "img_id": f"{row['image_id']}.png",
            "region": "ARM",
            "gender": "FEMALE",
            "fitspatrick": "3.0",
        }
        _save(folder / "pad" / "imgs_part_1" / row["img_id"], row["picture"])
    (folder / "pad" / "metadata.csv").write_text(table(pad))

    for part, count in (("Training", 2 * a_class), ("Validation", a_class)):
        isic = [
            lesion(f"ISIC_{part}", label, i, "dermoscopy", ISIC[label], split="") for label in ISIC
            for i in range(count)
        ]
        for row in isic:
            row |= {name: str(float(row["label"] == name)) for name in ("melanoma", "seborrheic_keratosis")}
            _save(folder / f"ISIC-2017_{part}_Data" / f"{row['image_id']}.jpg", row["picture"])
        (folder / f"ISIC-2017_{part}_Part3_GroundTruth.csv").write_text(table(isic))
        known = [{"image_id": row["image_id"], "age_approximate": "55", "sex": "male"} for row in isic]
        (folder / f"ISIC-2017_{part}_Data_metadata.csv").write_text(table(known))

    hand, thing = tiny_pack.skin_with_spots(size=(SIDE, SIDE)), tiny_pack.plain((60, 120, 200), (SIDE, SIDE))
    for label, picture in (("hand", hand), ("object", thing), ("scene", tiny_pack.plain((80, 170, 80), (SIDE, 144)))):
        for i in range(4 * a_class):
            _save(folder / "negatives" / label / f"{i}.jpg", picture)
    return folder


def _save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture, "JPEG" if path.suffix == ".jpg" else "PNG"))


def lesion(
    prefix: str,
    label: str,
    i: int,
    modality: str,
    spot: str,
    *,
    split: str,
    view: int = 0,
    frame: tuple[int, int] = (SIDE, SIDE),
) -> Row:
    """A row of labels.csv with its picture and its mask; whole frames of a dermatoscope have their centre square."""
    down, radius = 90 + 8 * (i % 2) + 4 * view, 34 + 3 * (i % 3)
    if frame != (SIDE, SIDE):
        down, radius = frame[1] // 2 + 4 * (i % 2) + 2 * view, 24 + 2 * (i % 3)
    across = down + (frame[0] - frame[1]) // 2
    picture = tiny_pack.skin_with_spots((spot, across, down, radius), size=frame, modality=modality, seed=10 * i + view)
    y, x = np.mgrid[0 : frame[1], 0 : frame[0]] + 0.5
    mask = np.hypot(x - across, y - down) <= radius
    crop = None
    if frame == FRAME and view == 0:
        edge = (FRAME[0] - FRAME[1]) // 2
        crop = picture.resize((224, 224), Image.Resampling.BICUBIC, box=(edge, 0, edge + FRAME[1], FRAME[1]))
    key = label.replace("(", "_").replace(")", "_")
    return {
        "image_id": f"{prefix}_{key}_{i}_{view}",
        "lesion_id": f"{prefix}_{key}_{i}",
        "label": label,
        "split": split,
        "age": str(30 + 20 * (i % 3)),
        "sex": ("male", "female")[i % 2],
        "site": "back",
        "x0": across - radius,
        "y0": down - radius,
        "x1": across + radius,
        "y1": down + radius,
        "has_crop224": str(int(crop is not None)),
        "crop": crop,
        "picture": picture,
        "mask": Image.fromarray(mask),
    }


def encoded(picture: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **({"quality": 95} if format == "JPEG" else {}))
    return buffer.getvalue()


def table(rows: list[Row]) -> str:
    columns = [name for name in rows[0] if name not in ("picture", "mask", "crop")]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, rows: list[Row], *, masks: bool) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.csv", table(rows))
        for row in rows:
            archive.writestr(f"images/{row['image_id']}.jpg", encoded(row["picture"], "JPEG"))
            if row.get("crop") is not None:
                archive.writestr(f"crops224/{row['image_id']}.jpg", encoded(row["crop"], "JPEG"))
            if masks:
                archive.writestr(f"masks/{row['image_id']}.png", encoded(row["mask"], "PNG"))
