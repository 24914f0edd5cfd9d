"""Trains the compact tower; resumes from its last checkpoint when started again.

python -m dermedge_export.compact.train --data DATA --out RUN
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from .augment import AugmentSettings
from .batches import BatchSettings, TrainingBatches
from .data import SOURCES, Photo, evaluation_crop, read_photos
from .losses import LossSettings, batch_loss
from .network import NetworkSettings, Tower, early_layers, imagenet_weights, load_imagenet
from .tower_graph import load_tower
from .validate import Outputs, figures


@dataclass(frozen=True)
class TrainSettings:
    epochs: int = 24
    steps: int = 128
    # When set, the schedule runs over this time instead of a number of epochs (for a shared machine).
    minutes: float | None = None
    # Share of the schedule at which the run ends: a trunk stops while its rate is still high, for branches to go on.
    until: float = 1.0
    # (share of the run, crop size): small crops first, the size of the runtime last. 192 px gain nothing on
    # photographs as small as these, and a tower learns half as much again at 160 in the same time.
    sizes: tuple[tuple[float, int], ...] = ((0.4, 128), (1.0, 160))
    # From this share of the run on the early layers stay as they are: they work on the largest maps, cost
    # 40 % of a step and settle first.
    freeze_after: float = 0.18
    rate: float = 6e-4
    head_rate: float = 2e-3
    decay: float = 0.03
    warmup: int = 200
    average: float = 0.998
    loss: LossSettings = field(default_factory=LossSettings)
    evaluate_every: int = 2
    seed: int = 1
    threads: int = 1
    start_from: Path | None = None
    teachers: tuple[Path, ...] = ()
    # Teachers cost a third of a step; the end of a run is where a tower begins to know its photographs by heart.
    teach_after: float = 0.82


@torch.no_grad()
def average_into(average: Tower, tower: Tower, decay: float) -> None:
    for kept, fresh in zip(average.state_dict().values(), tower.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(fresh, 1 - decay)
        else:
            kept.copy_(fresh)


@torch.no_grad()
def predict(tower: Tower, photos: list[Photo], size: int, bf16: bool) -> Outputs:
    tower.eval()
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(photos), 64):
        part = photos[start : start + 64]
        crops = torch.from_numpy(np.stack([evaluation_crop(p, size) for p in part])).permute(0, 3, 1, 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            embedding = tower.embed(crops.float().contiguous(memory_format=torch.channels_last))
        rows.append(tower.logits(embedding.float(), torch.tensor([p.modality for p in part])))
    return Outputs(*(torch.cat(column).double().numpy() for column in zip(*rows, strict=True)))


def optimiser_for(tower: Tower, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW without decay on norms, biases and the class vectors; the new head learns faster."""
    decayed, plain, head = [], [], []
    for name, parameter in tower.named_parameters():
        if not name.startswith("backbone"):
            head.append(parameter)
        elif parameter.ndim > 1:
            decayed.append(parameter)
        else:
            plain.append(parameter)
    return torch.optim.AdamW(
        [
            {"params": decayed, "peak": settings.rate, "weight_decay": settings.decay},
            {"params": plain, "peak": settings.rate, "weight_decay": 0.0},
            {"params": head, "peak": settings.head_rate, "weight_decay": 0.0},
        ],
        lr=settings.rate,
        betas=(0.9, 0.99),
    )


def rate_factor(step: int, progress: float, settings: TrainSettings) -> float:
    warm = min(1.0, (step + 1) / settings.warmup)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def size_at(progress: float, settings: TrainSettings) -> int:
    return next((size for share, size in settings.sizes if progress < share), settings.sizes[-1][1])


@dataclass
class Clock:
    """How far the run is: by epochs, or by the time spent in all its sittings."""

    settings: TrainSettings
    spent: float
    started: float

    def seconds(self) -> float:
        return self.spent + time.time() - self.started

    def progress(self, step: int) -> float:
        if self.settings.minutes is not None:
            return self.seconds() / (60 * self.settings.minutes)
        return step / (self.settings.epochs * self.settings.steps)


@torch.no_grad()
def freeze_first(tower: Tower, average: Tower, layers: int) -> None:
    """Stop training the first layers, at their averaged weights."""
    if tower.frozen < layers:
        tower.backbone[:layers].load_state_dict(average.backbone[:layers].state_dict())
        tower.frozen = layers


def save(path: Path, state: dict[str, object]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def train(
    data: Path,
    out: Path,
    weights: Path,
    network: NetworkSettings,
    batches: BatchSettings,
    augment: AugmentSettings,
    settings: TrainSettings,
    sources: tuple[str, ...],
    bf16: bool,
) -> None:
    torch.set_num_threads(settings.threads)
    out.mkdir(parents=True, exist_ok=True)
    photos = read_photos(data, sources, ("train",))
    held_out = read_photos(data, tuple(SOURCES), ("val",))
    torch.manual_seed(settings.seed)
    tower = Tower(network).to(memory_format=torch.channels_last)
    if settings.start_from is None:
        load_imagenet(tower.backbone, weights)
    else:
        # A further cycle of the learning rate, from another run's averaged weights.
        tower.load_state_dict(torch.load(settings.start_from, weights_only=True)["average"])
    average = copy.deepcopy(tower)
    teachers = [load_tower(path).to(memory_format=torch.channels_last) for path in settings.teachers]
    optimiser = optimiser_for(tower, settings)
    epoch, spent, checkpoint = 0, 0.0, out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        tower.load_state_dict(state["tower"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        epoch, spent = int(state["epoch"]), float(state.get("spent", 0.0))
    clock = Clock(settings, spent, time.time())
    log = (out / "log.jsonl").open("a", buffering=1)
    while clock.progress(epoch * settings.steps) < settings.until:
        size, start, losses = size_at(clock.progress(epoch * settings.steps), settings), time.time(), []
        np.random.seed(settings.seed * 1000 + epoch)
        torch.manual_seed(settings.seed * 1000 + epoch)
        stream = TrainingBatches(photos, size, settings.seed * 1000 + epoch, batches, augment)
        priors = torch.from_numpy(stream.priors())
        loader = iter(DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=4))
        if clock.progress(epoch * settings.steps) >= settings.freeze_after:
            freeze_first(tower, average, early_layers(network.variant))
        tower.train()
        for index in range(settings.steps):
            step = epoch * settings.steps + index
            progress = clock.progress(step)
            if progress >= settings.until:
                break
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate_factor(step, progress, settings)
            present = teachers if progress >= settings.teach_after else []
            loss = batch_loss(tower, next(loader), priors, settings.loss, bf16, present)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tower.parameters(), 2.0)
            optimiser.step()
            average_into(average, tower, min(settings.average, (1 + step) / (10 + step)))
            losses.append(float(loss.detach()))
        del loader
        epoch += 1
        entry: dict[str, object] = {"epoch": epoch, "size": size, "loss": round(float(np.mean(losses)), 4)}
        entry |= {"seconds": round(time.time() - start), "progress": round(progress, 3)}
        if epoch % settings.evaluate_every == 0 or progress >= settings.until:
            found = figures(held_out, predict(average, held_out, size, bf16))
            entry |= {k: round(v, 4) for k, v in found.items()}
        log.write(json.dumps(entry) + "\n")
        save(
            checkpoint,
            {
                "tower": tower.state_dict(),
                "average": average.state_dict(),
                "epoch": epoch,
                "spent": clock.seconds(),
                "optimiser": optimiser.state_dict(),
                "network": asdict(network),
                "priors": priors,
                "size": size,
                "sources": list(sources),
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="ImageNet weights of the variant (default: its package's)")
    parser.add_argument("--start-from", type=Path, help="checkpoint of a finished run, for another cycle")
    parser.add_argument("--teacher", type=Path, action="append", default=[], help="checkpoint to learn from too")
    parser.add_argument("--teach-after", type=float, default=TrainSettings.teach_after, help="share of the run")
    parser.add_argument("--rate", type=float, default=TrainSettings.rate)
    parser.add_argument("--head-rate", type=float, default=TrainSettings.head_rate)
    parser.add_argument("--variant", default=NetworkSettings.variant)
    parser.add_argument("--sources", nargs="+", choices=tuple(SOURCES), default=list(SOURCES))
    parser.add_argument("--epochs", type=int, default=TrainSettings.epochs)
    parser.add_argument("--minutes", type=float, help="run the schedule over this time instead of epochs")
    parser.add_argument("--steps", type=int, default=TrainSettings.steps)
    parser.add_argument("--threads", type=int, default=TrainSettings.threads)
    parser.add_argument("--seed", type=int, default=TrainSettings.seed)
    parser.add_argument("--float32", action="store_true", help="for CPUs without bfloat16 arithmetic")
    given = parser.parse_args()
    settings = replace(
        TrainSettings(),
        epochs=given.epochs,
        steps=given.steps,
        minutes=given.minutes,
        threads=given.threads,
        seed=given.seed,
        rate=given.rate,
        head_rate=given.head_rate,
        start_from=given.start_from,
        teachers=tuple(given.teacher),
        teach_after=given.teach_after,
    )
    if given.start_from is not None:
        settings = replace(settings, sizes=settings.sizes[-1:], freeze_after=0.0)
    train(
        given.data,
        given.out,
        given.weights or imagenet_weights(given.variant),
        replace(NetworkSettings(), variant=given.variant),
        BatchSettings(),
        AugmentSettings(),
        settings,
        tuple(given.sources),
        not given.float32,
    )


if __name__ == "__main__":
    main()
