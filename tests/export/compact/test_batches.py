"""Batches hold the shares they were asked for, in the same order for the same seed."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

import tiny_collections
from dermedge_export.compact import data
from dermedge_export.compact.augment import AugmentSettings
from dermedge_export.compact.batches import BatchSettings, Sampler, TrainingBatches
from dermedge_export.compact.data import Photo, read_photos

SETTINGS = BatchSettings(batch=24, negative=0.1, skin=0.1)
SIZE = 32


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    folder = tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=1, train=2)
    return read_photos(folder, ("ham", "pad", "isic", "negative"), ("train",))


def stream(photos: list[Photo], seed: int = 1, settings: BatchSettings = SETTINGS) -> TrainingBatches:
    return TrainingBatches(photos, SIZE, seed, settings, AugmentSettings())


def test_a_batch_asks_what_is_known_of_each_photograph(photos: list[Photo]) -> None:
    for batch in islice(stream(photos), 4):
        assert batch.crops.shape == (24, 3, SIZE, SIZE)
        assert batch.crops.dtype == torch.uint8
        lesion = batch.reject < 0
        assert int((~lesion).sum()) == round(24 * 0.1) + round(24 * 0.1)
        assert (batch.allowed[lesion].sum(1) >= 1).all()
        assert (batch.allowed[~lesion] == 0).all()
        assert set(batch.modality.tolist()) <= {0, 1}
        assert int((lesion & (batch.modality == 1)).sum()) == round(24 * SETTINGS.pad)
        both = batch.allowed[:, [data.SCC, data.ACK]].sum(1) == 2
        assert (batch.modality[both] == 0).all(), "only a dermatoscope's label may mean either keratosis or carcinoma"


def test_a_seed_gives_the_same_batches_and_another_gives_others(photos: list[Photo]) -> None:
    one, two, other = (list(islice(stream(photos, seed), 2)) for seed in (5, 5, 6))
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.crops, b.crops)
        assert torch.equal(a.allowed, b.allowed)
        assert torch.equal(a.reject, b.reject)
    assert not torch.equal(one[0].crops, other[0].crops)
    assert not torch.equal(one[0].crops, one[1].crops)


def test_a_source_that_is_not_there_leaves_its_share_to_the_dermatoscope(photos: list[Photo]) -> None:
    few = [p for p in photos if p.source in ("ham", "pad")]
    batch = next(iter(stream(few)))
    assert len(batch.crops) == 24
    assert int((batch.reject >= 0).sum()) == round(24 * SETTINGS.skin)


@pytest.mark.parametrize(("balance", "expected"), [(0.0, 0.5), (1.0, 0.1), (0.5, 1 / 4)])
def test_balance_moves_draws_from_common_to_rare_classes(photos: list[Photo], balance: float, expected: float) -> None:
    nevus = next(p for p in photos if p.label == "nv")
    melanoma = next(p for p in photos if p.label == "mel")
    sampler = Sampler([nevus] * 90 + [melanoma] * 10, balance)
    assert sampler.weights[90:].sum() == pytest.approx(expected)
    drawn = sampler.draw(np.random.default_rng(0), 4000)
    assert np.mean([p.label == "mel" for p in drawn]) == pytest.approx(expected, abs=0.03)


def test_priors_are_how_often_conditions_are_drawn(photos: list[Photo]) -> None:
    source = stream(photos, settings=BatchSettings(batch=96, ham=0.5, pad=0.25))
    priors = source.priors()
    assert priors.shape == (2, 8)
    np.testing.assert_allclose(priors.sum(1), 1, rtol=1e-5)
    unseen = [data.DFB, data.VAS]
    assert (priors[1, unseen] < 0.01).all()
    assert (priors[1, unseen] > 0).all()
    counts = np.zeros((2, 8))
    for batch in islice(source, 25):
        share = batch.allowed / batch.allowed.sum(1, keepdim=True).clamp(min=1)
        for world in (0, 1):
            counts[world] += share[batch.modality == world].sum(0).numpy()
    drawn = counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(drawn, priors, atol=0.05)
