"""Crops are cut as the runtime cuts them, and nothing that is measured on is ever read for training."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tiny_collections
from dermedge.crop import cut, square_around
from dermedge.photo import read_photo
from dermedge.result import Box
from dermedge_export.compact import data
from dermedge_export.compact.assemble import RESAMPLE
from dermedge_export.compact.data import CONTEXT, PADDING, REJECTS, Photo, read_photos

SOURCES = ("ham", "pad", "isic", "negative")
SPLITS = ("train", "val", "test")
SIZE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=2, train=2)


@pytest.fixture(scope="module")
def training(folder: Path) -> list[Photo]:
    return read_photos(folder, SOURCES, ("train",))


def soft(width: int, height: int) -> Image.Image:
    """A picture without hard edges: half a pixel of shift changes its values little."""
    coarse = np.random.default_rng(width * 1000 + height).integers(40, 216, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@st.composite
def boxes_on_photographs(draw: st.DrawFn) -> tuple[int, int, tuple[float, float, float, float]]:
    width, height = draw(st.integers(80, 320)), draw(st.integers(80, 320))
    w, h = draw(st.floats(4, width)), draw(st.floats(4, height))
    x0, y0 = draw(st.floats(0, width - w)), draw(st.floats(0, height - h))
    return width, height, (x0, y0, x0 + w, y0 + h)


@given(boxes_on_photographs(), st.floats(1.0, 3.0))
def test_the_square_around_a_box_is_the_runtimes(
    case: tuple[int, int, tuple[float, float, float, float]], context: float
) -> None:
    width, height, box = case
    runtime = square_around(Box(*box), width, height, context)
    assert data.square_for_box(box, width, height, context) == pytest.approx(
        (runtime.x0, runtime.y0, runtime.x1, runtime.y1), abs=1e-6
    )


@settings(max_examples=60)
@given(boxes_on_photographs())
def test_the_crop_around_a_box_shows_the_runtimes_pixels(
    case: tuple[int, int, tuple[float, float, float, float]],
) -> None:
    width, height, box = case
    picture = soft(width, height)
    photo = Photo("ham", "x", "train", "nv", np.asarray(picture), box, (data.NEV,), 0, "x")
    region = square_around(Box(*box), width, height, CONTEXT)
    seen = cut(read_photo(picture, name="soft"), region, SIZE, RESAMPLE, PADDING).pixels.astype(int)
    trained = data.evaluation_crop(photo, SIZE).astype(int)
    away = np.abs(seen - trained)
    beside = max(0.0, -region.x0, -region.y0) * SIZE / region.width
    if beside == 0:
        assert away.max() <= 3
        return
    # Where the square leaves the photograph, its edge lies between two pixels: the runtime rounds, training blends.
    place = np.arange(SIZE) + 0.5
    clear = np.minimum(abs(place - beside), abs(place - (SIZE - beside))) > 1.5
    across = away.max((0 if region.x0 < 0 else 1, 2))
    assert across[clear].max() <= 16
    assert away.mean() < 2


def test_no_lesion_and_no_patient_is_in_two_splits(folder: Path) -> None:
    for source in SOURCES:
        groups = {split: {p.group for p in read_photos(folder, (source,), (split,))} for split in SPLITS}
        assert groups["train"]
        assert not groups["train"] & (groups["val"] | groups["test"]), source
    ham, pad = (read_photos(folder, (s,), ("train",)) for s in ("ham", "pad"))
    assert len({p.group for p in ham}) < len(ham), "a lesion's photographs share its group"
    assert len({p.group for p in pad}) < len(pad), "a patient's photographs share their group"


def test_training_opens_no_photograph_of_another_split(training: list[Photo], folder: Path, tmp_path: Path) -> None:
    """The archives hold the training photographs alone: to touch any other would fail."""
    wanted = {p.image_id for p in training}
    for name in ("ham10000", "pad_ufes", "isic2017", "negatives"):
        source = folder / f"{name}.zip"
        with zipfile.ZipFile(source) as full, zipfile.ZipFile(tmp_path / source.name, "w") as bare:
            for member in full.namelist():
                if member == "labels.csv" or Path(member).stem in wanted:
                    bare.writestr(member, full.read(member))
    assert {p.split for p in read_photos(tmp_path, SOURCES, ("train",))} == {"train"}
    with pytest.raises(KeyError):
        read_photos(tmp_path, SOURCES, ("val",))


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
        height, width = photo.sharp.shape[:2]
        again = data.crop_square(photo.sharp, data.square_for_box(photo.sharp_box, width, height), SIZE)
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
    with pytest.raises(FileNotFoundError, match=r"pad_ufes\.zip"):
        read_photos(tmp_path, ("ham", "pad"), ("train",))
