"""Every stage of the compact pack in order; each leaves its results in the working folder.

Started again after a crash or a reboot, a build goes on from the last checkpoint of the stage that it was in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import assemble, detect, export_tower, left_out, measure_detector, soup, train
from .augment import AugmentSettings
from .batches import BatchSettings
from .data import SOURCES
from .detect import DetectorSettings
from .export_tower import ExportSettings
from .measure_detector import MeasureSettings
from .network import NetworkSettings, imagenet_weights
from .soup import SoupSettings
from .train import TrainSettings

DERMATOSCOPE_ALONE = ("ham", "negative")
# Minutes on two cores with bfloat16, photographs as small as the prepared ones.
SCENES, DETECTOR_EPOCH, EXPORT, MEASURING, ASSEMBLING = 8, 9, 8, 6, 5


# A trunk stops at a third of its schedule, its rate still high; branches end the schedule, each in an order of its own,
# and are averaged. Short ones stop before the photographs are known by heart, which is better for phones and rare
# classes; long ones are better for melanoma and for other cameras; their average is better than either.
TRUNK = TrainSettings(epochs=49, sizes=((1.0, 128),), until=0.35)
LONG = TrainSettings(epochs=32, sizes=((0.25, 128), (1.0, 160)), freeze_after=0.0, rate=5e-4, head_rate=1.5e-3)
SHORT = replace(LONG, epochs=12, sizes=((1.0, 160),))


@dataclass(frozen=True)
class Places:
    """Where a build takes what, and leaves what."""

    data: Path
    work: Path
    coco: Path
    samples: Path
    out: Path


@dataclass(frozen=True)
class Recipe:
    """The settings of every stage."""

    network: NetworkSettings = field(default_factory=NetworkSettings)
    batches: BatchSettings = field(default_factory=BatchSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    trunk: TrainSettings = TRUNK
    branches: tuple[TrainSettings, ...] = (LONG, LONG, SHORT, SHORT)
    averaging: SoupSettings = field(default_factory=SoupSettings)
    # The cheapest network will do to tell how the recipe takes to cameras that it never saw.
    left_out_network: NetworkSettings = field(default_factory=lambda: NetworkSettings("lite0"))
    left_out: TrainSettings | None = field(default_factory=TrainSettings)
    export: ExportSettings = field(default_factory=ExportSettings)
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    measuring: MeasureSettings = field(default_factory=MeasureSettings)
    bf16: bool = True


def within(recipe: Recipe, minutes: float) -> Recipe:
    """The tower's runs planned by time, each by its share of the epochs; a trunk's is told as if it ran to its end."""
    runs = (recipe.trunk, *recipe.branches)
    epochs = sum(run.epochs * run.until for run in runs)
    trunk, *branches = (replace(run, minutes=minutes * run.epochs / epochs) for run in runs)
    return replace(recipe, trunk=trunk, branches=tuple(branches))


@dataclass(frozen=True)
class Stage:
    name: str
    minutes: float | None
    """On two cores; None where it depends on the machine alone."""
    result: Path | None
    """Written last and at once; a stage whose result is younger than all it was made from is not done again."""
    sources: tuple[Path, ...]
    work: Callable[[], object]

    def done(self) -> bool:
        if self.result is None or not self.result.exists():
            return False
        made = self.result.stat().st_mtime_ns
        return all(source.exists() and source.stat().st_mtime_ns <= made for source in self.sources)


def stages(places: Places, recipe: Recipe, *, release: str, workers: int) -> list[Stage]:
    data, work = places.data, places.work
    trunk, tower, other = work / "trunk" / "last.pt", work / "tower.pt", work / "left-out" / "last.pt"
    branches = [work / f"branch-{number}" / "last.pt" for number, _ in enumerate(recipe.branches, 1)]
    tower_pack, detector_pack, detector = work / "tower-pack", work / "detector-pack", work / "detector"
    unseen = work / "left-out.json" if recipe.left_out else None
    dataset, best = detector / "scenes" / "data.yaml", detector / "run" / "weights" / "best.pt"

    def trained(out: Path, network: NetworkSettings, settings: TrainSettings, sources: tuple[str, ...]) -> None:
        weights = imagenet_weights(network.variant)
        train.train(data, out, weights, network, recipe.batches, recipe.augment, settings, sources, recipe.bf16)

    def write_unseen() -> None:
        assert unseen is not None
        unseen.write_text(json.dumps(left_out.measure(other, data), indent=1) + "\n")

    def branch(out: Path, settings: TrainSettings, seed: int) -> Callable[[], None]:
        return lambda: trained(out, recipe.network, replace(settings, start_from=trunk, seed=seed), tuple(SOURCES))

    plan = [
        # The trainings know themselves what is left of them.
        Stage("trunk: train", _minutes(recipe.trunk), None, (),
              lambda: trained(trunk.parent, recipe.network, recipe.trunk, tuple(SOURCES))),
        *(Stage(f"{path.parent.name}: train", _minutes(settings), None, (),
                branch(path.parent, settings, recipe.trunk.seed + number))
          for number, (path, settings) in enumerate(zip(branches, recipe.branches, strict=True), 1)),
        Stage("tower: average the branches", None, tower, tuple(branches),
              lambda: soup.cook(data, branches, tower, recipe.averaging)),
        Stage("tower: quantize and calibrate", EXPORT, tower_pack / "scoring.json", (tower,),
              lambda: export_tower.export(data, tower, tower_pack, recipe.export)),
    ]  # fmt: skip
    if settings := recipe.left_out:
        plan += [
            Stage("left-out tower: train", settings.minutes, None, (),
                  lambda: trained(other.parent, recipe.left_out_network, settings, DERMATOSCOPE_ALONE)),
            Stage("left-out tower: measure", MEASURING, unseen, (other,), write_unseen),
        ]  # fmt: skip
    return [
        *plan,
        Stage("detector: compose scenes", SCENES, dataset, (),
              lambda: detect.write_dataset(data, dataset.parent, recipe.detector)),
        Stage("detector: train", DETECTOR_EPOCH * recipe.detector.epochs, None, (),
              lambda: detect.train(dataset, places.coco, detector, recipe.detector)),
        Stage("detector and segmenter: measure", MEASURING, detector_pack / "segmenter.json", (best,),
              lambda: measure_detector.deliver(data, best, detector_pack, recipe.measuring)),
        Stage("pack: choose the cuts, measure, write", ASSEMBLING, None, (),
              lambda: assemble.assemble(tower_pack, detector_pack, data, places.samples, places.out, release=release,
                                        workers=workers, left_out=unseen)),
    ]  # fmt: skip


def _minutes(settings: TrainSettings) -> float | None:
    return None if settings.minutes is None else settings.minutes * settings.until


def make(places: Places, recipe: Recipe, *, release: str, workers: int) -> None:
    """Train tower and detector, quantize, calibrate, choose the cuts, measure, write the pack."""
    places.work.mkdir(parents=True, exist_ok=True)
    plan = stages(places, recipe, release=release, workers=workers)
    for stage in plan:
        estimate = "by its epochs" if stage.minutes is None else f"about {stage.minutes:.0f} minutes"
        print(f"{stage.name:40} {'done' if stage.done() else estimate}")
    left = sum(stage.minutes or 0 for stage in plan if not stage.done())
    print(f"at most {left / 60:.1f} hours on two cores; what a training has behind it is not done again", flush=True)
    for stage in plan:
        if stage.done():
            continue
        start = time.monotonic()
        stage.work()
        print(f"{stage.name}: {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
