"""`make bench-peers`: prepare the networks, let everybody run, write the figures, the chart and the document."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from dermedge import Scanner, UsageError
from dermedge.bench import generate
from dermedge.graph import usable_cores
from dermedge.machine import this_machine
from dermedge.pack import verify

from . import chart, document, submissions
from .contestant import OURS as OWN_KINDS
from .decoding import decoding
from .figures import BASE, OURS, OURS_LOW, compact_figures
from .networks import NETWORKS, prepare
from .operations import count
from .race import Entry, race
from .wide import run_wide

SCHEMA = 1
BIG, SAMPLES = "a 12 MP photograph", "a sample photograph"
FILES = {
    "onnxruntime": "float.onnx", "torch-float32": "float32.pt", "torch-bfloat16": "bfloat16.pt",
    "torch-channels-last": "channels_last.pt",
    "openvino-weights": "weights.bin", "openvino-calibrated": "calibrated.bin",
}  # fmt: skip
VERSIONS = ("torch", "onnxruntime", "numpy", "pillow", "transformers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pack", type=Path, default=Path("artifacts/compact"))
    parser.add_argument("--photos", type=Path, default=Path("artifacts/samples"))
    parser.add_argument("--openvino", type=Path, help="an interpreter with openvino, nncf, numpy and Pillow")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--cold-starts", type=int, default=3)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--wide", action="store_true", help="the wide tower too: minutes, and 6 GB of memory")
    parser.add_argument("--wide-rounds", type=int, default=3)
    parser.add_argument("--room", type=Path, default=Path("bench/peers"), help="where networks are made and kept")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--no-measure", action="store_true", help="rewrite the document only: a file was handed back")


def run(options: argparse.Namespace) -> int:
    """A run without --wide keeps the wide figures of the one before."""
    raw = options.docs / "benchmarks.json"
    before = json.loads(raw.read_text()) if raw.exists() else {}
    handed_back = submissions.read_all(options.docs / "submissions")
    if options.no_measure:
        if not before:
            raise UsageError(f"{raw} is not there: measure first, without --no-measure")
        write(options.docs, before, document.in_words(before, handed_back))
        return 0
    machine, load = this_machine(), os.getloadavg()[0]
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "date": today(),
        "machine": machine.as_json(),
        "load": round(load, 2),
        "threads": options.threads,
        "versions": versions(options.openvino),
        "compact": compact(options),
        "wide": before.get("wide"),
    }
    if options.wide:
        wide = run_wide(options.room / "wide", options.wide_rounds, options.threads, options.openvino, say)
        found["wide"] = {**wide, "date": today(), "load": round(load, 2)}
    write(options.docs, found, document.in_words(found, handed_back))
    print(options.docs / "BENCHMARKS.md")
    return 0


def compact(options: argparse.Namespace) -> dict[str, Any]:
    photos = sorted(options.photos.glob("*.jpg"))
    if not photos:
        raise UsageError(f"{options.photos}: holds no .jpg; give --photos a folder that does")
    pack = verify(options.pack)
    room = options.room / pack.ref.digest[:12]
    room.mkdir(parents=True, exist_ok=True)
    say("making the contestants' networks")
    same = prepare(options.pack, photos, room, options.openvino)
    big = room / "12mp.jpg"
    big.write_bytes(generate())
    entries = contestants(options.openvino)
    runs, left_out = race(
        entries, {BIG: [big], SAMPLES: photos}, pack=options.pack.resolve(), networks=room.resolve(),
        threads=options.threads, rounds=options.rounds, cold_starts=options.cold_starts, say=say,
    )  # fmt: skip
    if missing := {BASE, OURS, OURS_LOW} & left_out.keys():
        raise UsageError("; ".join(left_out[name] for name in missing))
    say("decoding")
    with Scanner.open(options.pack, threads=1) as scanner:
        saved = decoding(big.read_bytes(), scanner, options.rounds)
    graphs = {"detector": pack.manifest.detector.graph, "tower": pack.manifest.tower.graph}
    sizes = {entry.name: megabytes(entry.kind, room, options.pack, graphs) for entry in entries}
    return {
        "left_out": left_out,
        "pack": f"{pack.ref.id} {pack.ref.version}",
        "digest": pack.ref.digest,
        "rounds": options.rounds,
        "cold_starts": options.cold_starts,
        "views": pack.manifest.tower.views,
        "decoding": saved,
        "sameness": asdict(same),
        "operations": {name: asdict(count(options.pack / graphs[name])) for name in NETWORKS},
        "contestants": compact_figures(runs, sizes),
    }


def contestants(openvino: Path | None) -> list[Entry]:
    found = [
        Entry(BASE, "torch-float32"),
        Entry("torch fp32 eager, channels last", "torch-channels-last"),
        Entry("torch bf16 eager", "torch-bfloat16"),
        Entry("ONNX Runtime, its defaults", "onnxruntime"),
    ]
    if openvino is not None:
        found += [
            Entry("OpenVINO, int8 weights", "openvino-weights", str(openvino)),
            Entry("OpenVINO, calibrated int8", "openvino-calibrated", str(openvino)),
        ]
    return [*found, Entry(OURS, "dermedge"), Entry(OURS_LOW, "dermedge-low-memory")]


def megabytes(kind: str, room: Path, pack: Path, graphs: Mapping[str, str]) -> float:
    """Of both networks, as they lie on the disk."""
    paths = graphs.values()
    files = [pack / path if kind in OWN_KINDS else room / Path(path).stem / FILES[kind] for path in paths]
    return round(sum(file.stat().st_size for file in files) / 1e6, 2)


def versions(openvino: Path | None) -> dict[str, str]:
    found = {name: metadata.version(name) for name in VERSIONS}
    found["Linux"] = platform.release().partition("-")[0]
    if openvino is not None:
        ask = "from importlib.metadata import version as v; print(v('openvino'), v('nncf'))"
        try:
            done = subprocess.run([str(openvino), "-c", ask], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(f"{openvino}: has no openvino and nncf; make .venv-bench/installed") from error
        found["openvino"], found["nncf"] = done.stdout.split()
    return found


def write(docs: Path, found: Mapping[str, Any], text: str) -> None:
    (docs / "pictures").mkdir(parents=True, exist_ok=True)
    (docs / "benchmarks.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    (docs / "pictures" / "benchmarks.svg").write_text(chart.draw(found))
    (docs / "BENCHMARKS.md").write_text(text)


def today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
