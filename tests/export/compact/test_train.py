"""A training that is killed goes on where it was; its parts do what their names say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_collections
from dermedge_export.compact import train
from dermedge_export.compact.augment import AugmentSettings
from dermedge_export.compact.batches import BatchSettings
from dermedge_export.compact.network import NetworkSettings, Tower, early_layers, imagenet_weights
from dermedge_export.compact.tower_graph import load_tower
from dermedge_export.compact.train import TrainSettings

SOURCES = ("ham", "pad", "isic", "negative")
SETTINGS = TrainSettings(
    epochs=4, steps=2, sizes=((0.5, 32), (1.0, 64)), freeze_after=0.25, warmup=2, evaluate_every=4, seed=3
)


def run(data: Path, out: Path, settings: TrainSettings = SETTINGS) -> None:
    network, batches = NetworkSettings("lite0", dimension=16), BatchSettings(batch=12)
    weights = imagenet_weights("lite0")
    train.train(data, out, weights, network, batches, AugmentSettings(), settings, SOURCES, bf16=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=1, train=1)


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    run(data, out)
    return out


def killed_after_its_first_checkpoint(data: Path, out: Path) -> int:
    """The epoch that the checkpoint of the killed run holds."""
    environment = os.environ | {"PYTHONPATH": str(Path(tiny_collections.__file__).parent)}
    process = subprocess.Popen([sys.executable, __file__, str(data), str(out)], env=environment)
    while not (out / "last.pt").exists():
        assert process.poll() is None, "the training ended before its first checkpoint"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return int(torch.load(out / "last.pt", weights_only=True)["epoch"])


def same(one: object, two: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and torch.equal(one, two)
    if isinstance(one, dict):
        return isinstance(two, dict) and list(one) == list(two) and all(same(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))  # type: ignore[arg-type]
    return one == two


def test_a_killed_training_ends_in_the_very_state_of_an_uninterrupted_one(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    assert killed_after_its_first_checkpoint(data, tmp_path) < SETTINGS.epochs
    run(data, tmp_path)
    whole, resumed = (torch.load(p / "last.pt", weights_only=True) for p in (uninterrupted, tmp_path))
    assert resumed["epoch"] == whole["epoch"] == SETTINGS.epochs
    for part in ("tower", "average", "optimiser", "network", "priors", "size"):
        assert same(whole[part], resumed[part]), part
    last = [json.loads((p / "log.jsonl").read_text().splitlines()[-1]) for p in (uninterrupted, tmp_path)]
    assert last[0]["loss"] == last[1]["loss"]
    assert last[0]["ham_balanced"] == last[1]["ham_balanced"]


def test_a_finished_training_started_again_changes_nothing(data: Path, uninterrupted: Path) -> None:
    before = (uninterrupted / "last.pt").read_bytes()
    run(data, uninterrupted)
    assert (uninterrupted / "last.pt").read_bytes() == before


def test_what_training_leaves_opens_as_a_tower_for_export(uninterrupted: Path) -> None:
    entries = [json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines()]
    assert [e["size"] for e in entries] == [32, 32, 64, 64]
    assert all(np.isfinite(e["loss"]) for e in entries)
    state = torch.load(uninterrupted / "last.pt", weights_only=True)
    tower = load_tower(uninterrupted / "last.pt")
    assert all(torch.equal(value, state["average"][name]) for name, value in tower.state_dict().items())
    assert not all(torch.equal(v, state["average"][k]) for k, v in state["tower"].items())
    assert not list(uninterrupted.glob("*.partial"))


def test_the_first_layers_stay_at_their_averages_once_frozen(uninterrupted: Path) -> None:
    state = torch.load(uninterrupted / "last.pt", weights_only=True)
    layers = early_layers("lite0")
    frozen = [k for k in state["tower"] if k.startswith("backbone.") and int(k.split(".")[1]) < layers]
    assert frozen
    for name in frozen:
        torch.testing.assert_close(state["tower"][name], state["average"][name], atol=1e-6, rtol=1e-5)


def test_a_run_answers_to_its_teachers_too_and_says_what_it_was_trained_on(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    short = replace(SETTINGS, epochs=1)
    teachers = (uninterrupted / "last.pt",)
    losses = {}
    for name, settings in {
        "alone": short,
        "taught": replace(short, teachers=teachers, teach_after=0.0),
        "not yet": replace(short, teachers=teachers, teach_after=0.9),
    }.items():
        run(data, tmp_path / name, settings)
        losses[name] = json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[0])["loss"]
    assert losses["taught"] > losses["alone"] + 0.001
    assert losses["not yet"] == losses["alone"]
    assert torch.load(tmp_path / "taught" / "last.pt", weights_only=True)["sources"] == list(SOURCES)


def test_a_trunk_ends_early_in_its_schedule_and_a_branch_goes_on_from_it(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "trunk", replace(SETTINGS, until=0.5))
    trunk = torch.load(tmp_path / "trunk" / "last.pt", weights_only=True)
    assert trunk["epoch"] == 2
    assert trunk["optimiser"]["param_groups"][0]["lr"] > 0.5 * SETTINGS.rate
    still = replace(SETTINGS, epochs=1, rate=0.0, head_rate=0.0, start_from=tmp_path / "trunk" / "last.pt")
    run(data, tmp_path / "branch", still)
    branch = torch.load(tmp_path / "branch" / "last.pt", weights_only=True)
    torch.testing.assert_close(branch["average"]["projection.weight"], trunk["average"]["projection.weight"])


@pytest.mark.parametrize(
    ("step", "progress", "factor"), [(0, 0.0, 0.1), (9, 0.0, 1.0), (50, 0.5, 0.505), (99, 1.0, 0.01), (120, 1.4, 0.01)]
)
def test_the_rate_warms_up_and_falls_as_a_cosine(step: int, progress: float, factor: float) -> None:
    assert train.rate_factor(step, progress, TrainSettings(warmup=10)) == pytest.approx(factor)


@pytest.mark.parametrize(("progress", "size"), [(0.0, 128), (0.39, 128), (0.4, 160), (1.0, 160), (2, 160)])
def test_crops_grow_over_the_run(progress: float, size: int) -> None:
    assert train.size_at(progress, TrainSettings()) == size


def test_every_parameter_is_trained_once_and_only_kernels_decay() -> None:
    tower = Tower(NetworkSettings("lite0", dimension=8))
    groups = train.optimiser_for(tower, TrainSettings()).param_groups
    listed = [id(p) for g in groups for p in g["params"]]
    assert sorted(listed) == sorted(id(p) for p in tower.parameters())
    decayed = {id(p) for g in groups if g["weight_decay"] > 0 for p in g["params"]}
    kernels = {id(p) for n, p in tower.named_parameters() if n.startswith("backbone") and p.ndim > 1}
    assert decayed == kernels


def test_an_average_moves_by_its_share_and_copies_counters() -> None:
    average, tower = Tower(NetworkSettings("lite0", dimension=8)), Tower(NetworkSettings("lite0", dimension=8))
    with torch.no_grad():
        average.shared.fill_(0.0)
        tower.shared.fill_(1.0)
        tower.backbone[1].num_batches_tracked.fill_(7)
    train.average_into(average, tower, 0.9)
    torch.testing.assert_close(average.shared.detach(), torch.full_like(average.shared, 0.1))
    assert average.backbone[1].num_batches_tracked == 7


def test_a_run_by_time_counts_earlier_sittings() -> None:
    clock = train.Clock(TrainSettings(minutes=10), spent=300.0, started=time.time())
    assert clock.progress(0) == pytest.approx(0.5, abs=0.01)
    assert train.Clock(TrainSettings(epochs=4, steps=5), 0.0, 0.0).progress(5) == 0.25


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
