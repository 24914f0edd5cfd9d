"""Runs a tower graph as the runtime does, in a process of its own without torch: answers, time, memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermedge.errors import PackError
from dermedge.graph import Graph, GraphSettings, usable_cores
from dermedge.pack.manifest import TowerSpec
from dermedge.tower import contract

from .contestant import peak_mb

DATA = ".data"
"""Appended to a graph's name for the file of its weights."""
ONE_MORE = "."


@dataclass(frozen=True, slots=True)
class Measured:
    """What one graph did."""

    embeddings: NDArray[np.float32]
    patches: NDArray[np.float32]
    """Of the first crop only."""
    seconds: float
    """Median of one crop; noisy on a busy machine, and no part of any choice."""
    load_seconds: float
    peak_mb: float
    megabytes: float
    threads: int


def files(graph: Path) -> tuple[Path, ...]:
    """The graph and the file of its weights, where it has one."""
    data = graph.with_name(graph.name + DATA)
    return (graph, data) if data.exists() else (graph,)


def measure(
    graph: Path, crops: NDArray[np.uint8], threads: int | None = None, ticked: Callable[[], object] = lambda: None
) -> Measured:
    """`ticked` is called after each crop."""
    threads = threads or usable_cores()
    given, taken, complaints = (graph.with_name(name) for name in ("crops.npy", "answers.npz", "stderr.txt"))
    np.save(given, crops)
    command = [sys.executable, "-m", __name__, str(graph), str(given), str(taken), str(threads)]
    told = ""
    with (
        complaints.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if line.strip() == ONE_MORE:
                    ticked()
                else:
                    told = line
        except BaseException:
            # Interrupted: nobody waits for its answers any more.
            child.kill()
            raise
    if child.returncode:
        lines = complaints.read_text().strip().splitlines()
        raise PackError(f"{graph.name} does not run: {lines[-1] if lines else f'exit {child.returncode}'}")
    size = round(sum(file.stat().st_size for file in files(graph)) / 1e6, 3)
    with np.load(taken) as answers:
        measured = Measured(
            answers["embeddings"], answers["patches"], megabytes=size, threads=threads, **json.loads(told)
        )
    for file in (given, taken, complaints):
        file.unlink()
    return measured


def main() -> None:
    graph, given, taken, threads = sys.argv[1:]
    crops = np.load(given, mmap_mode="r")
    spec = TowerSpec(graph, crops.shape[1], "bicubic", 1.0, (0, 0, 0), 1)
    start = time.perf_counter()
    tower = Graph.open(Path(graph), GraphSettings("cpu", int(threads)), *contract(spec), name=Path(graph).name)
    load_seconds = time.perf_counter() - start
    embeddings: list[NDArray[np.float32]] = []
    patches: list[NDArray[np.float32]] = []
    times: list[float] = []
    for crop in crops:
        start = time.perf_counter()
        answer = tower.run({"crop": np.ascontiguousarray(crop)[None]})
        times.append(time.perf_counter() - start)
        embeddings.append(answer["embedding"][0])
        if not patches:
            patches.append(answer["patches"][0])
        print(ONE_MORE, flush=True)
    np.savez(taken, embeddings=np.stack(embeddings), patches=patches[0])
    told = {"seconds": float(np.median(times)), "load_seconds": load_seconds, "peak_mb": peak_mb()}
    print(json.dumps({name: round(value, 4) for name, value in told.items()}))


if __name__ == "__main__":
    main()
