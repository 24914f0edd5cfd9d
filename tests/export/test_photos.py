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
from dermedge_export.photos import Collection, LabelledPhoto, find_collections, split_of


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


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.originals(tmp_path_factory.mktemp("originals"))


def test_the_public_originals_are_read_with_what_their_tables_say(published: Path) -> None:
    found = find_collections(published)
    assert set(found) == {"ham10000", "pad_ufes", "isic2017", "negatives"}
    mole = next(p for p in found["ham10000"].photos if p.label == "nv")
    assert mole.box is None
    assert mole.lesion_box() == pytest.approx((56, 56, 124, 124), abs=1)
    assert mole.facts["site"] == "back"
    assert found["pad_ufes"].photos[0].facts["fitzpatrick"] == "3.0"
    assert all(p.mask is None for p in found["pad_ufes"].photos)
    assert found["isic2017"].photos[0].facts == {"age": "55", "sex": "male"}
    for name, collection in found.items():
        assert {p.label for p in collection.photos} == set(
            {"ham10000": tiny_collections.HAM, "pad_ufes": tiny_collections.PAD, "isic2017": tiny_collections.ISIC}.get(
                name, ("hand", "object", "scene")
            )
        )
        assert len({p.id for p in collection.photos}) == len(collection.photos)
        data = collection.photos[0].open()
        assert isinstance(data, bytes)
        assert Image.open(io.BytesIO(data)).size == (tiny_collections.SIDE, tiny_collections.SIDE)


def test_originals_are_split_by_lesion_or_patient_and_isic_as_its_challenge_did(published: Path) -> None:
    found = find_collections(published)
    assert {name for name in found if found[name].split_by == "hash"} == {"ham10000", "pad_ufes", "negatives"}
    for name in ("ham10000", "pad_ufes", "negatives"):
        assert all(p.split == split_of(name, p.group) for p in found[name].photos)
    assert len({p.group for p in found["pad_ufes"].photos}) == len(found["pad_ufes"].photos) / 2
    assert {(p.id.split("_")[1], p.split) for p in found["isic2017"].photos} == {
        ("Training", "train"), ("Validation", "val"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "val", "test"), [("ham10000", 0.1, 0.1), ("pad_ufes", 0.2, 0.0), ("negatives", 0.2, 0.0)]
)
def test_the_hash_split_holds_out_a_fifth(name: Collection, val: float, test: float) -> None:
    splits = [split_of(name, f"HAM_{i:07d}") for i in range(4000)]
    assert splits.count("val") / 4000 == pytest.approx(val, abs=0.02)
    assert splits.count("test") / 4000 == pytest.approx(test, abs=0.02)


def test_a_folder_without_photographs_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected ham10000\.zip"):
        find_collections(tmp_path)


def test_a_photograph_that_is_listed_and_not_there_is_an_error(zips: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(zips / "negatives.zip").extractall(tmp_path / "negatives")
    (tmp_path / "negatives" / "images" / "hand_0.jpg").unlink()
    with pytest.raises(UsageError, match=r"hand_0\.jpg"):
        find_collections(tmp_path)
