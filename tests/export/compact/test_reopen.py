"""The embedded pack in parts again: its tower answers as its graph does, and training goes on from it."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import tiny_collections
import tiny_pack
from dermedge.pack import verify
from dermedge_export import cli
from dermedge_export.compact import soup, train
from dermedge_export.compact.augment import AugmentSettings
from dermedge_export.compact.batches import BatchSettings, TrainingBatches
from dermedge_export.compact.data import SOURCES, evaluation_crop, read_photos
from dermedge_export.compact.network import Tower
from dermedge_export.compact.reopen import convolutions, fill, reopen, weights_of
from dermedge_export.compact.tower_graph import load_tower
from dermedge_export.compact.views import session, unit
from dermedge_export.compact.vocabulary import Vocabulary
from dermedge_export.results import unseen_in_words

COMPACT = Path(__file__).parents[3] / "artifacts" / "compact"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=1, train=1)


@pytest.fixture(scope="module")
def checkpoint(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reopened")
    reopen(COMPACT, data, out, batches=2)
    return out / "tower.pt"


def embedded(tower: Tower, crops: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(tower.embed(torch.from_numpy(crops).permute(0, 3, 1, 2).float()))


def test_the_reopened_tower_answers_as_the_packs_graph(data: Path, checkpoint: Path) -> None:
    photos = read_photos(data, tuple(SOURCES), ("val",))
    crops = np.stack([evaluation_crop(photo, 160) for photo in photos])
    wanted = session(COMPACT / "tower.onnx").run(["embedding"], {"crop": crops})[0]
    tower = load_tower(checkpoint)
    found = embedded(tower, crops)
    middle = wanted.mean(0)
    assert np.linalg.norm(wanted - middle, axis=1).min() > 0.05, "every crop looks the same to this tower"
    assert (unit(wanted - middle) * unit(found - middle)).sum(1).min() > 0.97
    vocabulary = Vocabulary.of(tower)
    for kind in ("prompts", "rejects", "modalities"):
        np.testing.assert_allclose(getattr(vocabulary, kind), np.load(COMPACT / f"{kind}.npy"), atol=1e-6)
    manifest = verify(COMPACT).manifest
    assert [entry.scale for entry in manifest.scoring.values()] == pytest.approx([vocabulary.scale] * 2)
    assert manifest.vectors.modality_scale == pytest.approx(vocabulary.modality_scale)


def test_its_norms_see_what_they_expect_and_change_nothing(data: Path, checkpoint: Path) -> None:
    folded = load_tower(checkpoint)
    fill(folded, onnx.load(COMPACT / "tower.onnx"))
    crops = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3)).astype(np.uint8)
    np.testing.assert_allclose(embedded(folded, crops), embedded(load_tower(checkpoint), crops), atol=1e-3)
    photos = read_photos(data, tuple(SOURCES), ("train",))
    stream = TrainingBatches(photos, 160, soup.SoupSettings.seed, BatchSettings(), AugmentSettings())
    shown = torch.cat([batch.crops for batch in islice(stream, 2)]).float()
    _, conv, norm = next(convolutions(load_tower(checkpoint)))
    seen = conv((shown - 127) / 128).detach()
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(norm.running_var, seen.var((0, 2, 3), unbiased=False), atol=1e-4, rtol=1e-3)


def test_training_goes_on_from_it_and_averages_with_it(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = train.TrainSettings(epochs=1, steps=1, sizes=((1.0, 64),), freeze_after=0.0, rate=1e-5, head_rate=1e-5,
                                   evaluate_every=9, start_from=checkpoint)  # fmt: skip
    network = load_tower(checkpoint).settings
    batches, augment = BatchSettings(batch=12), AugmentSettings()
    train.train(data, tmp_path, checkpoint, network, batches, augment, settings, tuple(SOURCES), bf16=False)
    before, after = load_tower(checkpoint), load_tower(tmp_path / "last.pt")
    torch.testing.assert_close(after.projection.weight, before.projection.weight, atol=1e-3, rtol=0)
    assert not torch.equal(after.projection.weight, before.projection.weight)
    parts = [checkpoint, tmp_path / "last.pt"]
    soup.cook(data, parts, tmp_path / "soup.pt", soup.SoupSettings(size=64, batches=1))
    assert torch.isfinite(load_tower(tmp_path / "soup.pt").embed(torch.zeros(1, 3, 64, 64))).all()


def test_its_detector_and_segmenter_can_be_put_into_another_pack(checkpoint: Path) -> None:
    taken = checkpoint.parent / "detector-pack"
    for name in ("detector.onnx", "encoder.onnx", "decoder.onnx"):
        assert (taken / name).read_bytes() == (COMPACT / name).read_bytes()
    manifest = verify(COMPACT).manifest
    for part in ("detector", "segmenter"):
        found = json.loads((taken / f"{part}.json").read_text())
        assert found["size"] == getattr(manifest, part).size
        assert found["ham10000_val"] == manifest.metrics[part]["ham10000_val"]


def test_what_its_recipe_did_on_unseen_cameras_can_be_told_by_another_pack(checkpoint: Path) -> None:
    carried = json.loads((checkpoint.parent / "left-out.json").read_text())
    assert unseen_in_words(carried) in (COMPACT / "MODEL_CARD.md").read_text()


def test_kernels_are_rounded_to_a_scale_for_each_channel() -> None:
    graph = onnx.load(COMPACT / "tower.onnx")
    last = next(node for node in graph.graph.node if node.name == "backbone.24")
    kernel = weights_of(graph)[last.input[1]]
    steps = [len(channel.unique()) for channel in kernel.flatten(1)]
    assert 30 < max(steps) <= 128, "seven bits"


def test_another_kind_of_tower_is_refused_in_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack, out = tiny_pack.build(tmp_path / "tiny"), tmp_path / "out"
    assert cli.main(["compact-reopen", "--pack", str(pack), "--data", str(data), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "only an EfficientNet-Lite can be reopened" in said
    assert not out.exists()
