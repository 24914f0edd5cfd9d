"""Crops are cut as the runtime cuts them, and nothing that is measured on is ever read for training."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

import tiny_collections
import tiny_pack
from dermedge import UsageError
from dermedge.crop import cut, square_around
from dermedge.photo import read_photo
from dermedge.result import Box
from dermedge_export.compact import data
from dermedge_export.compact.data import CONTEXT, PADDING, REJECTS, RESAMPLE, Photo, read_photos

SOURCES = ("ham", "pad", "isic", "negative")
SPLITS = ("train", "val", "test")
SIZE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=2, train=2)


@pytest.fixture(scope="module")
def training(folder: Path) -> list[Photo]:
    return read_photos(folder, SOURCES, ("train",))


@st.composite
def boxes_on_photographs(draw: st.DrawFn) -> tuple[int, int, tuple[float, float, float, float]]:
    width, height = draw(st.integers(80, 320)), draw(st.integers(80, 320))
    w, h = draw(st.floats(4, width)), draw(st.floats(4, height))
    x0, y0 = draw(st.floats(0, width - w)), draw(st.floats(0, height - h))
    return width, height, (x0, y0, x0 + w, y0 + h)


@settings(max_examples=60)
@given(boxes_on_photographs())
def test_the_crop_around_a_box_is_the_runtimes(case: tuple[int, int, tuple[float, float, float, float]]) -> None:
    width, height, box = case
    pixels = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), np.uint8)
    photo = Photo("ham", "x", "train", "nv", pixels, box, (data.NEV,), 0, "x")
    region = square_around(Box(*box), width, height, CONTEXT)
    seen = cut(read_photo(pixels, name="noise"), region, SIZE, RESAMPLE, PADDING).pixels
    np.testing.assert_array_equal(data.evaluation_crop(photo, SIZE), seen)
    assert data.square_for_box(box, width, height) == (region.x0, region.y0, region.x1, region.y1)


def test_no_lesion_and_no_patient_is_in_two_splits(folder: Path) -> None:
    for source in SOURCES:
        groups = {split: {p.group for p in read_photos(folder, (source,), (split,))} for split in SPLITS}
        assert groups["train"]
        assert not groups["train"] & (groups["val"] | groups["test"]), source
    ham, pad = (read_photos(folder, (s,), ("train",)) for s in ("ham", "pad"))
    assert len({p.group for p in ham}) < len(ham), "a lesion's photographs share its group"
    assert len({p.group for p in pad}) < len(pad), "a patient's photographs share their group"


def test_training_opens_no_photograph_of_another_split(training: list[Photo], folder: Path, tmp_path: Path) -> None:
    """Every other photograph is spoiled: to open one would fail."""
    wanted = {p.image_id for p in training}
    for name in ("ham10000", "pad_ufes", "isic2017", "negatives"):
        source = folder / f"{name}.zip"
        with zipfile.ZipFile(source) as full, zipfile.ZipFile(tmp_path / source.name, "w") as spoiled:
            for member in full.namelist():
                whole = member == "labels.csv" or Path(member).stem in wanted
                spoiled.writestr(member, full.read(member) if whole else b"spoiled")
    assert {p.split for p in read_photos(tmp_path, SOURCES, ("train",))} == {"train"}
    with pytest.raises(UnidentifiedImageError):
        read_photos(tmp_path, SOURCES, ("val",))


def test_the_public_originals_are_read_as_well_and_no_larger_than_needed(tmp_path: Path) -> None:
    folder = tiny_collections.originals(tmp_path)
    large = tiny_pack.skin_with_spots(("melanoma", 900, 600, 300), size=(1800, 1200))
    mask = np.zeros((1200, 1800), bool)
    mask[300:900, 600:1200] = True
    for path in folder.rglob("ISIC_mel_*.jpg"):
        large.save(path)
        Image.fromarray(mask).save(folder / "HAM10000_segmentations" / f"{path.stem}_segmentation.png")
    photos = read_photos(folder, SOURCES, SPLITS)
    assert {p.source for p in photos} == set(SOURCES)
    melanoma = next(p for p in photos if (p.source, p.label) == ("ham", "mel"))
    assert melanoma.frame == (450, 300)
    assert melanoma.box == pytest.approx((150, 75, 300, 225))
    phone = next(p for p in photos if p.source == "pad")
    assert phone.box == data.centre_square(*phone.frame), "nobody outlined it: its centre stands for the lesion"
    assert all(p.sharp is None for p in photos)


@pytest.mark.parametrize(
    ("source", "label", "conditions"),
    [
        ("ham", "akiec", {data.SCC, data.ACK}),
        ("ham", "mel", {data.MEL}),
        ("pad", "ACK", {data.ACK}),
        ("pad", "SCC", {data.SCC}),
        ("isic", "nevus", {data.NEV}),
        ("negative", "hand", set()),
    ],
)
def test_a_label_allows_every_condition_that_it_may_mean(
    training: list[Photo], source: str, label: str, conditions: set[int]
) -> None:
    found = [p for p in training if (p.source, p.label) == (source, label)]
    assert found
    assert all(set(p.conditions) == conditions for p in found)


def test_the_validation_labels_of_isic_only_rule_melanoma_out(folder: Path) -> None:
    photos = {p.label: p for p in read_photos(folder, ("isic",), ("val",))}
    assert set(photos["not_melanoma(nevus_or_sk)"].conditions) == {data.NEV, data.SEK}


def test_every_modality_and_reject_is_known(training: list[Photo]) -> None:
    assert {(p.source, p.modality) for p in training} == {("ham", 0), ("isic", 0), ("pad", 1), ("negative", 1)}
    assert {REJECTS[p.reject] for p in training if p.source == "negative"} == {"hand", "object", "scene"}
    assert all(p.reject == -1 for p in training if p.source != "negative")


def test_squashed_frames_are_brought_back_to_their_shape(training: list[Photo]) -> None:
    frame = next(p for p in training if p.source == "isic").frame
    assert frame == (round(tiny_collections.SIDE * 4 / 3), tiny_collections.SIDE)


def test_the_sharper_rendering_shows_the_same_lesion_and_is_for_training_alone(
    training: list[Photo], folder: Path
) -> None:
    sharp = [p for p in training if p.sharp is not None]
    assert {p.source for p in sharp} == {"ham"}
    assert 0 < len(sharp) < len([p for p in training if p.source == "ham"])
    for photo in sharp:
        assert photo.sharp is not None
        assert photo.sharp_box is not None
        again = data.evaluation_crop(replace(photo, pixels=photo.sharp, box=photo.sharp_box), SIZE)
        away = np.abs(again.astype(int) - data.evaluation_crop(photo, SIZE))
        assert away.mean() < 4, photo.image_id
    assert all(p.sharp is None for p in read_photos(folder, SOURCES, ("val",)))


def test_bare_skin_never_touches_the_lesion(training: list[Photo]) -> None:
    rng = np.random.default_rng(0)
    found = 0
    for photo in [p for p in training if p.source in ("ham", "pad")] * 3:
        square = data.bare_skin_square(photo, rng)
        if square is None:
            continue
        found += 1
        left, top, right, bottom = square
        x0, y0, x1, y1 = photo.box
        assert right - left == pytest.approx(bottom - top)
        assert right <= x0 or left >= x1 or bottom <= y0 or top >= y1
        assert left >= 0 <= top
        assert right <= photo.frame[0]
        assert bottom <= photo.frame[1]
    assert found > 10


def test_no_bare_skin_is_found_where_the_lesion_fills_the_photograph(training: list[Photo]) -> None:
    photo = next(p for p in training if p.source == "negative")
    assert data.bare_skin_square(photo, np.random.default_rng(0)) is None


def test_a_missing_collection_is_an_error(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "ham10000.zip", tmp_path)
    with pytest.raises(UsageError, match=r"pad_ufes missing"):
        read_photos(tmp_path, ("ham", "pad"), ("train",))
