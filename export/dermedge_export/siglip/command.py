"""The commands `medsiglip` and `prompts`: arguments in, one line for each thing that can go wrong."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable
from pathlib import Path

from dermedge import DermedgeError, UsageError

from . import prompts
from .crops import SAMPLES
from .interruption import heeded
from .load import Checkpoint, load

MODEL = "google/medsiglip-448"
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the pack's folder, replaced whole (artifacts/NAME)")
    parser.add_argument("--id", help="the pack's id (the model's name)")
    parser.add_argument("--release", default="1.0.0", help="the pack's version (%(default)s)")
    parser.add_argument("--without", default="", metavar="IDS", help="conditions to leave out, separated by commas")
    parser.add_argument(
        "--detector", metavar="P", help="a pack, or a YOLOv8n .pt trained on lesions (the embedded pack's)"
    )
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="golden photographs (artifacts/samples)")
    parser.add_argument("--calibrate", type=Path, metavar="DIR", help="labelled photographs with a labels.csv")
    parser.add_argument("--crops", type=int, default=40, help="that every rung is compared on (%(default)s)")
    parser.add_argument("--every-rung", action="store_true", help="measure the rungs below the one shipped, too")
    parser.add_argument("--sign", type=Path, metavar="KEY", help="an OpenSSH private key: writes OUT.sig")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and what it needs")


def add_prompts_arguments(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("--check", action="store_true", required=True, help="lint the prompts")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="labelled photographs: also say what each prompt is worth"
    )


def add_distill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--teacher", required=True, help="medsiglip, a repository on the hub, or a folder")
    parser.add_argument("--revision", help="the teacher's commit")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="photographs; labels are not needed")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the pack's folder, replaced whole")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="what the student starts from (ImageNet's)")
    parser.add_argument("--variant", default="lite0", choices=("lite0", "lite1", "lite2"), help="(%(default)s)")
    parser.add_argument("--size", type=int, default=224, help="of the student's crop (%(default)s)")
    parser.add_argument("--epochs", type=int, default=40, help="(%(default)s)")
    parser.add_argument("--detector", metavar="P", help="a pack, or a lesion detector's .pt (the embedded pack's)")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="golden photographs (artifacts/samples)")


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="every contestant runs once in each (%(default)s)")
    parser.add_argument("--threads", type=int, default=None, help="(one a physical core)")
    parser.add_argument("--openvino", type=Path, metavar="PYTHON", help="an interpreter that has openvino and nncf")
    parser.add_argument("--room", type=Path, default=Path("bench"), help="for 8 GB of graphs and the table")
    parser.add_argument("--small", action="store_true", help="a small tower, only to see that the bench runs")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default=MODEL, help="a repository on the hub, or a folder in its format (%(default)s)"
    )
    parser.add_argument("--revision", help="the repository's commit (the one this project was written for)")
    parser.add_argument("--prompts", type=Path, default=prompts.PROMPTS, help="another prompts.toml")


def run(options: argparse.Namespace) -> int:
    return in_one_line("medsiglip", lambda: _export(options))


def run_distill(options: argparse.Namespace) -> int:
    return in_one_line("distill", lambda: _distill(options))


def run_bench(options: argparse.Namespace) -> int:
    return in_one_line("medsiglip-bench", lambda: _bench(options))


def run_prompts(options: argparse.Namespace) -> int:
    return in_one_line("prompts", lambda: _prompts(options))


def in_one_line(name: str, work: Callable[[], int]) -> int:
    try:
        with heeded():
            return work()
    except DermedgeError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except MemoryError:
        print(f"{name}: not enough memory; --dry-run says how much is needed", file=sys.stderr)
        return UsageError.exit_status
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"{name}: the disk is full; free space or choose another --out", file=sys.stderr)
        return UsageError.exit_status


def _export(options: argparse.Namespace) -> int:
    if options.crops < 2:
        raise UsageError("--crops must be 2 or more: agreement is measured around their mean")
    from . import export

    checkpoint = load(options.model, options.revision, download=not options.dry_run)
    out = options.out or Path("artifacts") / checkpoint.name.rpartition("/")[2]
    order = export.Order(
        out=out.resolve(), id=options.id, release=options.release, prompts=options.prompts,
        without=tuple(filter(None, options.without.split(","))), detector=options.detector, samples=options.samples,
        calibrate=options.calibrate, crops=options.crops, every=options.every_rung, key=options.sign,
    )  # fmt: skip
    if options.dry_run:
        print(export.plan(checkpoint, order, prompts.read(order.prompts).without(order.without)))
        return 0
    manifest, report = export.export(checkpoint, order)
    shipped = report.climbed.shipped
    print(f"{out}: {manifest.id} {manifest.version}, tower {shipped.rung.name}, {shipped.measured.megabytes:.1f} MB")
    print(f"report: {out}-report.md")
    return 0


def _distill(options: argparse.Namespace) -> int:
    from .distill import Lessons, distill
    from .export import Order

    teacher = load(MODEL if options.teacher == "medsiglip" else options.teacher, options.revision)
    order = Order(options.out.resolve(), options.out.name, detector=options.detector, samples=options.samples)
    lessons = Lessons(variant=options.variant, size=options.size, epochs=options.epochs)
    manifest, figures = distill(teacher, options.data, order, lessons, options.weights)
    print(f"{options.out}: {manifest.id} {manifest.version}; against the teacher {figures['against_the_teacher']}")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from .bench import bench

    print(bench(options.room, options.rounds, options.threads, options.openvino, small=options.small))
    return 0


def _prompts(options: argparse.Namespace) -> int:
    wording = prompts.read(options.prompts)
    checkpoint = load(options.model, options.revision)
    found = prompts.problems(wording, prompts.tokenizer_of(checkpoint), prompts.limit_of(checkpoint))
    for problem in found:
        print(problem)
    if found:
        raise UsageError(f"{len(found)} problems in {options.prompts}")
    print(f"{sum(len(texts) for _, texts in wording.lists())} descriptions, no problems")
    if options.data:
        print(_worth(checkpoint, wording, options.data))
    return 0


def _worth(checkpoint: Checkpoint, wording: prompts.Prompts, data: Path) -> str:
    from . import labelled
    from .export import spec_of
    from .reference import refer
    from .report import zero_shot_in_words
    from .worth import worth

    photos = labelled.read(data, [c.id for c in wording.conditions])
    spec = spec_of(checkpoint)
    embeddings = refer(checkpoint, (labelled.crop_of(photo, spec) for photo in photos)).embeddings
    return zero_shot_in_words(worth(photos, embeddings, wording, prompts.embed(checkpoint, wording)))
