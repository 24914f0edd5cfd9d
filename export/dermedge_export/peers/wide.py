"""The wide pack's tower with random weights, full size: its own bench's contestants, and two more, round robin."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge import UsageError

from ..siglip import bench as siglip
from .agreement import cosines
from .operations import count
from .race import environment

OURS, OURS_LOW = "dermedge: int8, with heat map", "dermedge --low-memory"
FORERUNNER = "torch fp32, then Grad-CAM backwards"
CROPS = 3


@dataclass(frozen=True, slots=True)
class Pass:
    """One contestant in one round."""

    embeddings: NDArray[np.float32]
    seconds: float
    load_seconds: float
    peak_mb: float
    private_mb: float | None = None
    cold_seconds: float | None = None
    """From starting the process to its first embedding."""


Runner = Callable[[NDArray[np.uint8], int], Pass]


def run_wide(
    room: Path, rounds: int, threads: int, openvino: Path | None, say: Callable[[str], None], *, small: bool = False
) -> dict[str, Any]:
    """Figures by contestant; medians of all rounds."""
    room.mkdir(parents=True, exist_ok=True)
    shape = siglip.SMALL if small else siglip.FULL
    crops = siglip.compared()[:CROPS]
    theirs = siglip._contestants(room, shape, openvino)
    ours = next(c for c in theirs if c.name.startswith("dermedge"))
    checkpoint = next(c.path for c in theirs if c.kind == "torch-float32")
    runners: dict[str, tuple[Runner, float]] = {}
    for one in theirs:
        if one is ours:
            runners[OURS] = (_own("dermedge", ours.path), one.megabytes())
            runners[OURS_LOW] = (_own("dermedge-low-memory", ours.path), one.megabytes())
        elif one.kind != "onnxruntime" or "fp32" in one.name:
            runners[one.name] = (_borrowed(one), one.megabytes())
    runners[FORERUNNER] = (_own("grad-cam", checkpoint), runners[siglip.BASE][1])
    passes: dict[str, list[Pass]] = {name: [] for name in runners}
    for number in range(rounds):
        for name, (run, _) in runners.items():
            say(f"wide, round {number + 1} of {rounds}: {name}")
            passes[name].append(run(crops, threads))
    exact = passes[siglip.BASE][0].embeddings
    rows = {
        name: {**_figures(done, exact), "megabytes": round(runners[name][1], 1)} for name, done in passes.items()
    }
    work = count(ours.path)
    return {
        "ours": OURS, "ours_low": OURS_LOW, "contestants": rows, "rounds": rounds, "crops": CROPS,
        "operations": {"int8": work.int8, "floating": work.floating, "weights": work.weights},
    }  # fmt: skip


def _borrowed(contestant: siglip.Contestant) -> Runner:
    def run(crops: NDArray[np.uint8], threads: int) -> Pass:
        found = contestant.run(crops, threads)
        return Pass(found.embeddings, found.seconds, found.load_seconds, found.peak_mb)

    return run


def _own(kind: str, path: Path) -> Runner:
    def run(crops: NDArray[np.uint8], threads: int) -> Pass:
        with tempfile.TemporaryDirectory() as folder:
            given, taken = Path(folder) / "crops.npy", Path(folder) / "answers.npy"
            np.save(given, crops)
            command = [
                sys.executable, "-m", f"{__package__}.wide_contestant", kind, str(path), str(given), str(taken),
                str(threads),
            ]  # fmt: skip
            begun = time.perf_counter()
            with tempfile.TemporaryFile("w+") as complaints:
                with subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=environment()
                ) as child:
                    assert child.stdout is not None
                    child.stdout.readline()
                    cold = time.perf_counter() - begun
                    last = child.stdout.read().strip()
                if child.returncode:
                    complaints.seek(0)
                    said = complaints.read().strip().splitlines()
                    raise UsageError(f"{kind} does not run: {said[-1] if said else f'exit {child.returncode}'}")
            return Pass(np.load(taken), cold_seconds=cold, **json.loads(last))

    return run


def _figures(passes: list[Pass], exact: NDArray[np.float32]) -> dict[str, Any]:
    first = passes[0]
    cold = [p.cold_seconds for p in passes if p.cold_seconds is not None]
    middle = exact.mean(axis=0)
    return {
        "seconds": round(statistics.median(p.seconds for p in passes), 4),
        "load_seconds": round(statistics.median(p.load_seconds for p in passes), 3),
        "cold_seconds": round(statistics.median(cold), 3) if cold else None,
        "peak_mb": max(p.peak_mb for p in passes),
        "private_mb": max((p.private_mb for p in passes if p.private_mb is not None), default=None),
        "cosine": round(float(cosines(exact, first.embeddings).min()), 5),
        "centred_cosine": round(float(cosines(exact - middle, first.embeddings - middle).mean()), 5),
    }

