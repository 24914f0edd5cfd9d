"""Measures a pack end to end through the runtime: photographs in, `Scanner`'s answers out, then figures.

`python -m dermedge_export.evaluate DATA [--pack P]`; needs the runtime and numpy, no training library.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge import DermedgeError, Lesion, Scan, Scanner, UsageError
from dermedge.pack import find, verify
from dermedge.scorer import SEXES, Facts

from . import figures
from .answers import Answer
from .metrics import Rectangle, dice, iou
from .photos import COLLECTIONS, Collection, Found, LabelledPhoto, find_collections
from .results import flat, results_in_words

SPLITS: Mapping[Collection, str] = {
    "ham10000": "test",
    "pad_ufes": "val",
    "isic2017": "val",
    "negatives": "val",
}
"""What no part of a pack may be trained on or tuned with, except as the card says."""


SAME = 0.002
"""Figures that are this close are the same."""


def answer(scanner: Scanner, photo: LabelledPhoto, *, masks: bool) -> Answer:
    """Ask the runtime as a person would, with nothing but the photograph."""
    outlines = masks and photo.mask is not None and scanner.pack.manifest.segmenter is not None
    scan = scanner.scan(photo.open(), name=photo.id, saliency=False, mask=outlines)
    boxes = tuple(_rectangle(lesion) for lesion in scan.lesions)
    refused = tuple((d.box.x0, d.box.y0, d.box.x1, d.box.y1) for d in scan.rejected)
    truth = photo.lesion_box()
    informed = None
    if scanner.pack.manifest.priors and (facts := stated_facts(photo)) != Facts():
        informed = scanner.scan(photo.open(), name=photo.id, saliency=False, facts=facts)
    surest = scan.lesions[0].scores if scan.lesions else None
    return Answer(
        photo=photo,
        level=scan.verdict.level,
        modality=scan.modality,
        boxes=boxes,
        refused=refused,
        probabilities=_probabilities(scan),
        malignant=surest.malignant if surest else 0.0,
        referral=surest.referral if surest else 0.0,
        level_with_facts=informed.verdict.level if informed else None,
        probabilities_with_facts=_probabilities(informed) if informed else None,
        overlap=max((iou(box, truth) for box in boxes), default=0.0) if truth else None,
        proposed=max((iou(box, truth) for box in boxes + refused), default=0.0) if truth else None,
        dice=_outline_dice(scan, photo) if outlines else None,
    )


def stated_facts(photo: LabelledPhoto) -> Facts:
    age, sex = photo.facts.get("age"), photo.facts.get("sex")
    return Facts(age=int(float(age)) if age else None, sex=sex if sex in SEXES else None, site=photo.facts.get("site"))


def answer_all(pack: Path, photos: Sequence[LabelledPhoto], *, workers: int, masks: bool) -> list[Answer]:
    """One scanner a process, one thread each: the answers do not depend on how many work."""
    answers: list[Answer] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open_scanner, (pack, masks)) as pool:
        for done in pool.map(_answer_one, photos, chunksize=4):
            answers.append(done)
            _progress(len(answers), len(photos))
    return answers


def chosen(
    found: Mapping[Collection, Found], splits: Mapping[Collection, str], limit: int | None
) -> list[LabelledPhoto]:
    """The photographs of the splits asked for; with `limit`, so many of each collection, evenly spread."""
    photos: list[LabelledPhoto] = []
    for name in COLLECTIONS:
        if name not in found:
            continue
        of_split = [photo for photo in found[name].photos if photo.split == splits[name]]
        if limit is not None and limit < len(of_split):
            of_split = [of_split[i * len(of_split) // limit] for i in range(limit)]
        photos += of_split
    return photos


def evaluate(
    data: Path,
    pack: Path,
    *,
    splits: Mapping[Collection, str] = SPLITS,
    limit: int | None = None,
    workers: int = 2,
) -> dict[str, Any]:
    """Every figure of the model card, measured on the photographs in `data`."""
    found = find_collections(data)
    verified = verify(pack)
    answers = answer_all(pack, chosen(found, splits, limit), workers=workers, masks=True)
    notes = [] if limit is None else [f"only {limit} photographs of each collection were asked"]
    for name, collection in found.items():
        if not any(photo.split == splits[name] for photo in collection.photos):
            notes.append(f"{name}: has no photographs of the split {splits[name]}; nothing was measured on it")
        if collection.split_by == "hash":
            notes.append(
                f"{name}: the public originals name no split; it was split by a hash of the lesion or "
                f"patient. A pack that "
                "was trained with another split has seen some of these photographs, and its figures here "
                "flatter it"
            )
    points = verified.manifest.metrics.get("operating_points", {})
    return figures.report(answers, verified.manifest.conditions, points, splits, notes)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dermedge-export evaluate", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with the zips, or with the public originals")
    parser.add_argument("--pack", metavar="P", help="a pack's folder or id; the embedded pack if left out")
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        help="of HAM10000 and PAD-UFES-20, instead of test and val",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="ask only N photographs of each collection")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")


def run(options: argparse.Namespace) -> int:
    try:
        for name in ("limit", "workers"):
            if getattr(options, name) is not None and getattr(options, name) < 1:
                raise UsageError(f"--{name} must be 1 or more")
        splits = dict(SPLITS)
        if options.split:
            splits["ham10000"] = splits["pad_ufes"] = options.split
        pack = find(options.pack)
        report = evaluate(options.data, pack, splits=splits, limit=options.limit, workers=options.workers)
    except DermedgeError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return error.exit_status
    if options.json:
        options.json.write_text(json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    print(results_in_words(report))
    if options.limit is None and not options.split:
        print(_against_card(report, verify(pack).manifest.metrics.get("evaluation")), file=sys.stderr)
    return 0


_scanner: Scanner | None = None
_masks = False


def _open_scanner(pack: Path, masks: bool) -> None:
    global _scanner, _masks
    # A worker process keeps one scanner for its whole life; the parent never sets these.
    _scanner, _masks = Scanner.open(pack, provider="cpu", threads=1), masks


def _answer_one(photo: LabelledPhoto) -> Answer:
    assert _scanner is not None
    return answer(_scanner, photo, masks=_masks)


def _probabilities(scan: Scan) -> dict[str, float] | None:
    return dict(scan.lesions[0].scores.probabilities) if scan.lesions else None


def _rectangle(lesion: Lesion) -> Rectangle:
    return lesion.box.x0, lesion.box.y0, lesion.box.x1, lesion.box.y1


def _outline_dice(scan: Scan, photo: LabelledPhoto) -> float:
    truth = photo.open_mask()
    outline = scan.lesions[0].mask if scan.lesions else None
    if truth is None or outline is None:
        return 0.0
    rows, columns = outline.pixels.shape
    height, width = truth.shape
    y = _cells(height, outline.region.y0, outline.region.height, rows, scan.photo.height)
    x = _cells(width, outline.region.x0, outline.region.width, columns, scan.photo.width)
    inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))[None, :]
    drawn = outline.pixels[np.clip(y, 0, rows - 1)[:, None], np.clip(x, 0, columns - 1)[None, :]] & inside
    return dice(drawn, truth)


def _cells(pixels: int, start: float, length: float, cells: int, original: int) -> NDArray[np.intp]:
    """The outline's row (or column) under the centre of each of the true mask's rows (or columns)."""
    centres = (np.arange(pixels) + 0.5) * (original / pixels)
    found: NDArray[np.intp] = np.floor((centres - start) / length * cells).astype(np.intp)
    return found


def _against_card(report: Mapping[str, Any], card: Mapping[str, Any] | None) -> str:
    """Whether the pack's own figures were met; another CPU's arithmetic may move the last digits."""
    if card is None:
        return "the pack's card holds no figures to compare with"
    mine, committed = dict(flat(report)), dict(flat(card))
    off = [
        f"{path}: {mine.get(path)} here, {committed.get(path)} in the card"
        for path in sorted({*mine, *committed})
        if path.endswith("value") and not _close(mine.get(path), committed.get(path))
    ]
    return "\n".join([f"{len(off)} figures differ from the card", *off]) if off else "every figure is the card's"


def _close(a: float | None, b: float | None) -> bool:
    return a == b or (a is not None and b is not None and abs(a - b) <= SAME)


def _progress(done: int, total: int) -> None:
    last = done == total
    if sys.stderr.isatty():
        print(f"\r{done}/{total} photographs", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last or done % 100 == 0:
        print(f"{done}/{total} photographs", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
