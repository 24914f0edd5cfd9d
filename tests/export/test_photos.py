"""Collections are found in every layout in which they exist, and photographs of one lesion stay together."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_collections
from dermedge import UsageError
from dermedge_export.photos import LabelledPhoto, find_collections, split_of


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"))


def as_seen(photo: LabelledPhoto) -> tuple[object, ...]:
    return photo.id, photo.label, photo.split, photo.group, photo.box, dict(photo.facts), photo.image.read()


def test_zips_and_the_same_unzipped_are_the_same(zips: Path, tmp_path: Path) -> None:
    for path in zips.glob("*.zip"):
        zipfile.ZipFile(path).extractall(tmp_path / path.stem)
    packed, unpacked = find_collections(zips), find_collections(tmp_path)
    assert set(packed) == set(unpacked) == {"ham10000", "pad_ufes", "isic2017", "negatives"}
    for name, found in packed.items():
        assert found.split_by == "labels"
        assert [as_seen(p) for p in found.photos] == [as_seen(p) for p in unpacked[name].photos]


def test_phone_photographs_go_together_by_patient_and_the_others_by_lesion(zips: Path) -> None:
    found = find_collections(zips)
    assert {p.group for p in found["pad_ufes"].photos} == {f"PAT_{label}_0" for label in tiny_collections.PAD}
    assert all(p.group == p.lesion for p in found["ham10000"].photos)
    assert len({p.group for p in found["ham10000"].photos}) < len(found["ham10000"].photos)


def test_facts_are_lower_case_and_what_is_not_known_is_absent(zips: Path) -> None:
    photos = find_collections(zips)["pad_ufes"].photos
    assert {p.facts["site"] for p in photos} == {"face"}
    assert {"fitzpatrick" in p.facts for p in photos} == {True, False}


def test_squashed_frames_get_their_shape_back(zips: Path) -> None:
    picture = find_collections(zips)["isic2017"].photos[0].open()
    assert isinstance(picture, Image.Image)
    assert picture.size == (round(tiny_collections.SIDE * 4 / 3), tiny_collections.SIDE)


def test_a_mask_and_its_box_agree(zips: Path) -> None:
    photo = find_collections(zips)["ham10000"].photos[0]
    mask, box = photo.open_mask(), photo.lesion_box()
    assert mask is not None
    assert box is not None
    rows = np.flatnonzero(mask.any(axis=1))
    assert abs(rows[0] - box[1]) <= 1
    assert abs(rows[-1] + 1 - box[3]) <= 1


def test_the_public_originals_are_read_and_split_by_lesion_or_patient(tmp_path: Path) -> None:
    ham = [
        tiny_collections.lesion("ISIC", "mel", i, "dermoscopy", "melanoma", split="", view=v)
        for i in range(3)
        for v in range(2)
    ]
    (tmp_path / "HAM10000_images_part_1").mkdir()
    (tmp_path / "masks").mkdir()
    for row in ham:
        row |= {"dx": row["label"], "localization": "back"}
        name = f"{row['image_id']}.jpg"
        (tmp_path / "HAM10000_images_part_1" / name).write_bytes(tiny_collections.encoded(row["picture"], "JPEG"))
        mask = tmp_path / "masks" / f"{row['image_id']}_segmentation.png"
        mask.write_bytes(tiny_collections.encoded(row["mask"], "PNG"))
    (tmp_path / "HAM10000_metadata.csv").write_text(tiny_collections.table(ham))

    pad = [tiny_collections.lesion("PAT", "NEV", i, "phone", "melanocytic-nevus", split="") for i in range(3)]
    (tmp_path / "pad" / "imgs_part_1").mkdir(parents=True)
    for i, row in enumerate(pad):
        row |= {
            "patient_id": f"PAT_{i // 2}",
            "diagnostic": "NEV",
            "img_id": f"PAT_{i}.png",
            "region": "ARM",
            "gender": "FEMALE",
            "fitspatrick": "3.0",
            "biopsied": "False",
        }
        path = tmp_path / "pad" / "imgs_part_1" / row["img_id"]
        path.write_bytes(tiny_collections.encoded(row["picture"], "PNG"))
    (tmp_path / "pad" / "metadata.csv").write_text(tiny_collections.table(pad))

    found = find_collections(tmp_path)
    assert set(found) == {"ham10000", "pad_ufes"}
    assert {found[name].split_by for name in found} == {"hash"}
    photo = found["ham10000"].photos[0]
    expected = [float(ham[0][k]) for k in ("x0", "y0", "x1", "y1")]
    assert photo.box is None
    assert photo.lesion_box() == pytest.approx(expected, abs=1)
    assert photo.facts["site"] == "back"
    assert {p.group for p in found["pad_ufes"].photos} == {"PAT_0", "PAT_1"}
    assert found["pad_ufes"].photos[0].facts["fitzpatrick"] == "3.0"
    for collection in found.values():
        assert all(p.split == split_of(p.group) for p in collection.photos)
        data = collection.photos[0].open()
        assert isinstance(data, bytes)
        assert Image.open(io.BytesIO(data)).size == (tiny_collections.SIDE, tiny_collections.SIDE)


def test_the_hash_split_keeps_about_a_tenth_each_for_validation_and_test() -> None:
    splits = [split_of(f"HAM_{i:07d}") for i in range(4000)]
    assert splits.count("val") / 4000 == pytest.approx(0.1, abs=0.02)
    assert splits.count("test") / 4000 == pytest.approx(0.1, abs=0.02)


def test_a_folder_without_photographs_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected ham10000\.zip"):
        find_collections(tmp_path)


def test_a_photograph_that_is_listed_and_not_there_is_an_error(zips: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(zips / "negatives.zip").extractall(tmp_path / "negatives")
    (tmp_path / "negatives" / "images" / "hand_0.jpg").unlink()
    with pytest.raises(UsageError, match=r"hand_0\.jpg"):
        find_collections(tmp_path)
