"""Averages the weights of several finished runs or cycles of one network: often better than any, and no slower.

python -m dermedge_export.compact.soup --data DATA --out soup.pt RUN1/last.pt RUN2/last.pt
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dermedge import UsageError

from .augment import AugmentSettings
from .batches import BatchSettings, TrainingBatches
from .data import SIZE, read_photos
from .network import NetworkSettings, Tower


@dataclass(frozen=True)
class SoupSettings:
    size: int = SIZE
    batches: int = 40
    seed: int = 11


def averaged_weights(states: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """The mean of the runs' averaged weights; all must be of the same network."""
    if len(states) < 2:
        raise UsageError("an average needs two checkpoints at least")
    first = states[0]
    if any(state["network"] != first["network"] for state in states):
        raise UsageError("the checkpoints are of different networks; only weights of one can be averaged")
    return {
        name: torch.stack([s["average"][name] for s in states]).mean(0) if value.is_floating_point() else value
        for name, value in first["average"].items()
    }


@torch.no_grad()
def reestimate(tower: Tower, batches: Iterable[Tensor]) -> None:
    """Batch-norm statistics of the averaged weights: the mean of several runs' statistics belongs to none of them."""
    norms = [module for module in tower.modules() if isinstance(module, nn.BatchNorm2d)]
    momentum = [norm.momentum for norm in norms]
    tower.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for crops in batches:
        tower.features(crops.float().contiguous(memory_format=torch.channels_last))
    for norm, kept in zip(norms, momentum, strict=True):
        norm.momentum = kept
    tower.eval()


def cook(data: Path, checkpoints: Sequence[Path], out: Path, settings: SoupSettings) -> None:
    """Write a checkpoint that exports, and that another cycle can start from."""
    states = [torch.load(path, map_location="cpu", weights_only=True) for path in checkpoints]
    weights = averaged_weights(states)
    tower = Tower(NetworkSettings(**states[0]["network"])).to(memory_format=torch.channels_last)
    tower.load_state_dict(weights)
    sources = sorted(set().union(*(state["sources"] for state in states)))
    photos = read_photos(data, tuple(sources), ("train",))
    stream = TrainingBatches(photos, settings.size, settings.seed, BatchSettings(), AugmentSettings())
    reestimate(tower, (batch.crops for batch in islice(stream, settings.batches)))
    partial = out.with_suffix(".partial")
    kept = {name: states[0][name] for name in ("network", "epoch", "priors", "size")}
    torch.save({**kept, "average": tower.state_dict(), "sources": sources, "averaged": len(states)}, partial)
    partial.replace(out)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=SoupSettings.batches)
    given = parser.parse_args(arguments)
    cook(given.data, given.checkpoints, given.out, SoupSettings(batches=given.batches))


if __name__ == "__main__":
    main()
