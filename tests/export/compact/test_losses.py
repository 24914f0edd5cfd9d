"""What the tower is asked to learn from a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny_collections
from dermedge_export.compact import losses
from dermedge_export.compact.augment import AugmentSettings
from dermedge_export.compact.batches import Batch, BatchSettings, TrainingBatches
from dermedge_export.compact.data import read_photos
from dermedge_export.compact.losses import LossSettings, partial_loss
from dermedge_export.compact.network import NetworkSettings, Tower, imagenet_weights, load_imagenet
from dermedge_export.compact.train import TrainSettings, optimiser_for

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5]])
UNMIXED = LossSettings(mixup=(0.0, 0.0))


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> TrainingBatches:
    folder = tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=1, train=1)
    photos = read_photos(folder, ("ham", "pad", "isic", "negative"), ("train",))
    return TrainingBatches(photos, 64, 1, BatchSettings(batch=16, pad=0.3, negative=0.1), AugmentSettings())


@pytest.fixture(scope="module")
def batch(stream: TrainingBatches) -> Batch:
    return next(iter(stream))


def tower() -> Tower:
    torch.manual_seed(0)
    made = Tower(NetworkSettings("lite0", dimension=16, dropout=0.0, drop_path=0.0))
    load_imagenet(made.backbone, imagenet_weights("lite0"))
    return made


def test_the_loss_of_a_set_asks_only_that_the_truth_is_somewhere_in_it() -> None:
    one = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(
        partial_loss(LOGITS, one, 0.0),
        torch.nn.functional.cross_entropy(LOGITS, torch.tensor([1, 0]), reduction="none"),
    )
    pair = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    chance = LOGITS.softmax(1)
    wanted = -torch.stack([chance[0, 1] + chance[0, 2], chance[1, 0] + chance[1, 1]]).log()
    torch.testing.assert_close(partial_loss(LOGITS, pair, 0.0), wanted)
    torch.testing.assert_close(partial_loss(LOGITS, torch.ones(2, 3), 0.0), torch.zeros(2), atol=1e-6, rtol=0)


def test_smoothing_asks_a_little_of_every_class() -> None:
    certain = torch.tensor([[9.0, 0.0, 0.0]])
    truth = torch.tensor([[1.0, 0.0, 0.0]])
    assert partial_loss(certain, truth, 0.1) > 0.1 > partial_loss(certain, truth, 0.0)


def test_only_lesions_of_one_modality_are_mixed_and_mostly_stay_themselves(batch: Batch) -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    partner, own = losses.mixing(batch, LossSettings(mixup=(1.0, 1.0)))
    assert torch.equal(batch.modality[partner], batch.modality)
    lesion = batch.reject < 0
    assert lesion[partner[lesion]].all()
    assert (own[~lesion] == 1).all()
    assert (own >= 0.5).all()
    assert (own[lesion] < 1).any()
    assert (losses.mixing(batch, UNMIXED)[1] == 1).all()


def test_steps_on_one_batch_lower_its_loss(stream: TrainingBatches, batch: Batch) -> None:
    network, priors, seen = tower(), torch.from_numpy(stream.priors()), []
    optimiser = optimiser_for(network.train(), TrainSettings())
    for _ in range(8):
        loss = losses.batch_loss(network, batch, priors, UNMIXED, bf16=False)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(float(loss.detach()))
    assert seen[-1] < 0.8 * seen[0]


@pytest.mark.parametrize("world", [0, 1])
def test_a_rare_condition_is_held_up_where_the_adjustment_is_strong(batch: Batch, world: int) -> None:
    """With priors that make the truth rare, a stronger adjustment asks for more."""
    network = tower().eval()
    members = torch.nonzero((batch.reject >= 0) | (batch.modality == world)).flatten()
    allowed = batch.allowed[members].clone()
    lesion = batch.reject[members] < 0
    allowed[lesion] = torch.eye(8)[0]
    part = Batch(batch.crops[members], allowed, batch.modality[members], batch.reject[members])
    priors = torch.full((2, 8), 0.99 / 7)
    priors[:, 0] = 0.01
    found = []
    for strength in (0.0, 1.0, 1.5):
        pair = (strength, 0.0) if world == 0 else (0.0, strength)
        with torch.no_grad():
            settings = replace(UNMIXED, adjustment=pair)
            found.append(float(losses.batch_loss(network, part, priors, settings, bf16=False)))
    assert found[0] < found[1] < found[2]


def opinionated(seed: int) -> Tower:
    """A teacher that is sure of something, whatever the labels say."""
    torch.manual_seed(seed)
    made = tower()
    with torch.no_grad():
        made.projection.weight.normal_(0, 0.3)
        made.shared.normal_()
        made.deltas.normal_()
    return made.eval().requires_grad_(False)


def distances(network: Tower, batch: Batch, wanted: torch.Tensor) -> float:
    with torch.no_grad():
        crops = batch.crops.float()
        logits = network.eval().logits(network.embed(crops), batch.modality)[0]
    return float(losses.distance_to(wanted, logits, 2.0)[batch.reject < 0].mean())


@pytest.mark.parametrize(("weight", "nearer"), [(1.0, True), (0.0, False)])
def test_a_teacher_pulls_the_student_towards_what_it_says(
    stream: TrainingBatches, batch: Batch, weight: float, nearer: bool
) -> None:
    teachers = [opinionated(1), opinionated(2)]
    said = [torch.clone(teacher.shared) for teacher in teachers]
    wanted = losses.taught(teachers, batch.crops.float(), batch.modality, 2.0, bf16=False)
    student, priors = tower(), torch.from_numpy(stream.priors())
    before = distances(student, batch, wanted)
    optimiser = optimiser_for(student.train(), TrainSettings())
    settings = replace(UNMIXED, teacher_weight=weight)
    for _ in range(8):
        loss = losses.batch_loss(student, batch, priors, settings, bf16=False, teachers=teachers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (distances(student, batch, wanted) < 0.6 * before) is nearer
    assert all(torch.equal(old, teacher.shared) for old, teacher in zip(said, teachers, strict=True))


def test_several_teachers_speak_with_one_voice_under_each_crops_own_modality(batch: Batch) -> None:
    one, two = opinionated(1), opinionated(2)
    crops = batch.crops.float()
    alone = [losses.taught([t], crops, batch.modality, 2.0, bf16=False) for t in (one, two)]
    torch.testing.assert_close(losses.taught([one, two], crops, batch.modality, 2.0, bf16=False), sum(alone) / 2)
    with torch.no_grad():
        swapped = losses.taught([one], crops, 1 - batch.modality, 2.0, bf16=False)
    assert not torch.allclose(swapped, alone[0])


def test_a_student_that_says_the_same_is_at_no_distance() -> None:
    same = losses.distance_to((LOGITS / 3).softmax(1), LOGITS, 3.0)
    torch.testing.assert_close(same, torch.zeros(2), atol=1e-6, rtol=0)
    assert losses.distance_to(LOGITS.softmax(1), -LOGITS, 1.0)[0] > 1
