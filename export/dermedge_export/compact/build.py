"""`dermedge-export compact`: the compact pack's whole recipe, from labelled photographs to `artifacts/compact`.

`compact-reopen` is the way back, to go on from a finished pack.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from dermedge import UsageError

from .assemble import SAMPLES

COCO = "yolov8n_coco_folded.safetensors"
PACK = Path(__file__).parents[3] / "artifacts" / "compact"
TOWER_MINUTES, LEFT_OUT_MINUTES = 330.0, 100.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="the labelled collections")
    parser.add_argument("--coco", type=Path, help=f"YOLOv8n's COCO weights (default: DATA/../weights/{COCO})")
    parser.add_argument("--work", type=Path, default=Path("build/compact"), help="checkpoints, kept (%(default)s)")
    parser.add_argument("--out", type=Path, default=PACK, help="the pack's folder; replaced whole (%(default)s)")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="golden photographs (%(default)s)")
    parser.add_argument("--minutes", type=float, default=TOWER_MINUTES, help="for the tower's training (%(default)s)")
    parser.add_argument(
        "--left-out-minutes",
        type=float,
        default=LEFT_OUT_MINUTES,
        help="for the training that leaves cameras out, to say in the card how it does on them; 0 to do without "
        "(%(default)s)",
    )
    parser.add_argument("--release", default="1.0.0", help="the pack's version (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes that measure (%(default)s)")


def run(options: argparse.Namespace) -> int:
    coco = options.coco or options.data.resolve().parent / "weights" / COCO
    if not coco.is_file():
        raise UsageError(f"{coco}: no COCO weights for YOLOv8n there; name the file with --coco")
    # Not at the top: measuring and packing work where no training library is installed.
    from .recipe import Places, Recipe, make, within
    from .train import TrainSettings

    left_out = replace(TrainSettings(), minutes=options.left_out_minutes) if options.left_out_minutes else None
    recipe = replace(within(Recipe(), options.minutes), left_out=left_out)
    places = Places(options.data, options.work, coco, options.samples, options.out)
    make(places, recipe, release=options.release, workers=options.workers)
    return 0


def add_reopen_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pack", type=Path, default=PACK, help="a compact pack (%(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="the labelled collections")
    parser.add_argument("--out", type=Path, required=True, help="folder for tower.pt, detector-pack and left-out.json")


def run_reopen(options: argparse.Namespace) -> int:
    from .reopen import reopen

    reopen(options.pack, options.data, options.out)
    print(f"{options.out}: tower.pt to train from, the rest for compact-assemble")
    return 0
