"""The average of several runs is a tower of its own, with statistics of its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_collections
from dermedge import UsageError
from dermedge_export.compact import soup
from dermedge_export.compact.network import NetworkSettings, Tower, imagenet_weights, load_imagenet
from dermedge_export.compact.tower_graph import load_tower

LITE0 = NetworkSettings("lite0", dimension=8)


def state(seed: int, network: NetworkSettings = LITE0, sources: tuple[str, ...] = ("ham",)) -> dict[str, Any]:
    torch.manual_seed(seed)
    tower = Tower(network)
    load_imagenet(tower.backbone, imagenet_weights(network.variant))
    return {
        "average": tower.state_dict(), "network": asdict(network), "epoch": seed, "priors": torch.ones(2, 8) / 8,
        "size": 64, "sources": list(sources),
    }  # fmt: skip


def test_weights_are_averaged_and_networks_are_not_confused() -> None:
    one, two = state(1), state(2)
    mean = soup.averaged_weights([one, two])
    torch.testing.assert_close(mean["shared"], (one["average"]["shared"] + two["average"]["shared"]) / 2)
    assert all(torch.equal(v, one["average"][k]) for k, v in soup.averaged_weights([one, one]).items())
    with pytest.raises(UsageError, match="different networks"):
        soup.averaged_weights([one, state(3, NetworkSettings("lite0", dimension=16))])
    with pytest.raises(UsageError, match="two checkpoints"):
        soup.averaged_weights([one])


def test_statistics_are_those_of_the_batches_that_were_shown() -> None:
    tower = Tower(LITE0)
    batches = [torch.randint(0, 256, (6, 3, 32, 32), generator=torch.manual_seed(i)).float() for i in range(3)]
    momentum = tower.backbone[1].momentum
    soup.reestimate(tower, batches)
    seen = [tower.backbone[0]((batch - 127) / 128) for batch in batches]
    wanted = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    torch.testing.assert_close(tower.backbone[1].running_mean, wanted.detach(), atol=1e-5, rtol=1e-4)
    assert not tower.training
    assert tower.backbone[1].momentum == momentum


def test_a_soup_opens_as_a_tower_and_knows_all_that_its_parts_were_trained_on(tmp_path: Path) -> None:
    data = tiny_collections.build(tmp_path / "data", a_class=1, train=1)
    for seed, sources in ((1, ("ham", "negative")), (2, ("ham", "pad"))):
        torch.save(state(seed, sources=sources), tmp_path / f"{seed}.pt")
    out = tmp_path / "soup.pt"
    soup.cook(data, [tmp_path / "1.pt", tmp_path / "2.pt"], out, soup.SoupSettings(size=32, batches=2))
    made = torch.load(out, weights_only=True)
    assert made["sources"] == ["ham", "negative", "pad"]
    assert made["averaged"] == 2
    assert torch.isfinite(load_tower(out).embed(torch.zeros(1, 3, 64, 64))).all()
