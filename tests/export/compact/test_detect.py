"""The detector's scenes come from training photographs alone, and its training goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, UnidentifiedImageError

import tiny_collections
from dermedge_export.compact import detect
from dermedge_export.compact.detect import DetectorSettings, Sources, write_dataset
from dermedge_export.photos import box_of, find_collections
from dermedge_export.yolo import load_checkpoint

SETTINGS = DetectorSettings(
    side=96, dermoscopy=8, phone=6, close=2, composed=3, negatives=7, bare=2, blank=2, validation_dermoscopy=4,
    validation_composed=2, epochs=1, batch=8, bfloat16=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=1, train=2)


@pytest.fixture(scope="module")
def dataset(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(data, tmp_path_factory.mktemp("scenes"), SETTINGS)


def kinds(dataset: Path, split: str) -> Counter[str]:
    return Counter(path.name.split("_")[0] for path in (dataset.parent / "images" / split).iterdir())


def test_every_kind_of_scene_is_written_as_often_as_asked(dataset: Path) -> None:
    assert kinds(dataset, "train") == {
        "derm": 8, "phone": 6, "close": 2, "composed": 3, "negative": 7, "bare": 2, "blank": 2,
    }  # fmt: skip
    assert kinds(dataset, "val") == {"derm": 4, "phone": 6, "composed": 2, "negative": 2}


def test_lesions_have_labels_inside_their_frame_and_nothing_else_has(dataset: Path) -> None:
    for image in sorted((dataset.parent / "images").rglob("*.jpg")):
        label = dataset.parent / "labels" / image.parent.name / f"{image.stem}.txt"
        lines = label.read_text().splitlines()
        kind = image.name.split("_")[0]
        assert bool(lines) is (kind in ("derm", "phone", "close", "composed")), image.name
        assert max(Image.open(image).size) <= SETTINGS.side
        for line in lines:
            number, x, y, w, h = map(float, line.split())
            assert number == 0
            assert min(x - w / 2, y - h / 2) >= -1e-5
            assert max(x + w / 2, y + h / 2) <= 1 + 1e-5
            assert min(w, h) > 0


def test_a_validation_scene_is_the_photograph_with_its_own_box(data: Path, dataset: Path) -> None:
    photo = Sources(data).of("pad_ufes", "val")[0]
    label = (dataset.parent / "labels" / "val" / "phone_00004.txt").read_text()
    _, x, y, w, h = map(float, label.split())
    corners = [(x - w / 2), (y - h / 2), (x + w / 2), (y + h / 2)]
    assert photo.box is not None
    wanted = [edge / tiny_collections.SIDE for edge in photo.box]
    assert corners == pytest.approx(wanted, abs=1e-4)


def test_scenes_are_written_once(data: Path, dataset: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in dataset.parent.rglob("*") if p.is_file()}
    assert write_dataset(data, dataset.parent, replace(SETTINGS, dermoscopy=99)) == dataset
    assert {p: p.stat().st_mtime_ns for p in dataset.parent.rglob("*") if p.is_file()} == before
    assert json.loads(dataset.read_text())["names"] == {"0": "lesion"}


def test_training_scenes_hold_nothing_of_other_splits(data: Path, tmp_path: Path) -> None:
    """Every other photograph is spoiled: to open one would fail."""
    for name in ("ham10000", "pad_ufes", "negatives"):
        wanted = {photo.id for photo in find_collections(data)[name].photos if photo.split == "train"}
        with zipfile.ZipFile(data / f"{name}.zip") as full, zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as spoiled:
            for member in full.namelist():
                whole = member == "labels.csv" or Path(member).stem in wanted
                spoiled.writestr(member, full.read(member) if whole else b"spoiled")
    made = Counter(kind for kind, _ in detect._scenes(Sources(tmp_path), SETTINGS, "train"))
    assert made["composed"] == SETTINGS.composed
    with pytest.raises(UnidentifiedImageError):
        list(detect._scenes(Sources(tmp_path), SETTINGS, "val"))


def test_the_sharper_square_of_a_frame_comes_with_the_box_on_its_lesion(data: Path) -> None:
    sources = Sources(data)
    found = next(p for p in sources.of("ham10000", "train") if p.sharp is not None and p.label == "mel")
    photo = sources.crop(found)
    assert photo is not None
    assert photo.box is not None
    ys, xs = np.nonzero(photo.rgb.max(2) < 120)
    assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == pytest.approx(photo.box, abs=2.5)
    assert sources.crop(replace(found, box=(10, 50, 90, 100))) is None
    assert sources.crop(replace(found, sharp=None)) is None


def test_photographs_published_without_masks_get_theirs_drawn(tmp_path: Path) -> None:
    sources = Sources(tiny_collections.originals(tmp_path, 1))
    dark = next(p for p in sources.of("pad_ufes", "train") if p.label == "MEL")
    photo = sources.photo(dark)
    assert photo.mask is not None
    assert photo.mask[90 - 20 : 90 + 20, 90 - 20 : 90 + 20].all()
    assert photo.box == box_of(photo.mask)
    assert sources.photo(dark).mask is photo.mask, "it was drawn again"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folded weights with COCO's eighty classes in the layout of the real file, untrained."""
    from safetensors.torch import save_file

    from dermedge_export.torchvision_absent import prepare_ultralytics

    prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", ch=3, nc=80, verbose=False).eval()
    model.fuse(verbose=False)
    path = tmp_path_factory.mktemp("weights") / "folded.safetensors"
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, path)
    return path


def test_a_training_leaves_a_lesion_detector_and_started_again_goes_on_where_it_stopped(
    dataset: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beside the run lies a newer checkpoint of something else, as the tower's does in a build.
    monkeypatch.chdir(tmp_path)
    out, results = tmp_path / "detector", tmp_path / "detector" / "run" / "results.csv"
    best = detect.train(dataset, weights, out, SETTINGS)
    assert dict(load_checkpoint(best).names) == {0: "lesion"}
    assert len(results.read_text().splitlines()) == 2

    first = out / "run" / "weights" / "epoch0.pt"
    before, finished = first.read_bytes(), best.read_bytes()
    assert detect.train(dataset, weights, out, SETTINGS) == best
    assert best.read_bytes() == finished, "a finished run was trained again"

    # What a run that was killed after its first epoch leaves.
    shutil.copy(first, out / "run" / "weights" / "last.pt")
    torch.save({"epoch": 3}, tmp_path / "last.pt")
    assert detect.train(dataset, weights, out, replace(SETTINGS, epochs=2)) == best
    assert len(results.read_text().splitlines()) == 3
    assert first.read_bytes() == before, "the first epoch was trained again"
