"""All contestants at once, one scan each in turn: a busy moment of the machine falls on all alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dermedge
from dermedge import UsageError

SOURCES = (Path(__file__).parents[2], Path(dermedge.__file__).parents[1])
BREATH = 0.05
"""Seconds between two contestants: threads of the one before spin a while in case more work comes."""


LONGEST = 600
"""Seconds for one answer: whoever takes longer hangs, and is left out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One contestant."""

    name: str
    kind: str
    interpreter: str = sys.executable


@dataclass(slots=True)
class Runs:
    """What one contestant did; seconds throughout."""

    totals: dict[str, list[float]] = field(default_factory=dict)
    """By photograph set."""
    steps: dict[str, list[float]] = field(default_factory=dict)
    """Of the first set, networks apart from the rest of their steps."""
    processor: list[float] = field(default_factory=list)
    """Seconds of processor time of those scans, all threads together: what a busy machine changes least."""
    loads: list[float] = field(default_factory=list)
    colds: list[float] = field(default_factory=list)
    """From starting a new process to its first answer."""
    peak_mb: float = 0.0
    """The most that a process had, of those that answered once and the one that answered in every round."""
    private_mb: float = 0.0
    crops: int = 0
    """That the tower saw in the first set's last photograph, each in all its views."""
    answers: list[list[dict[str, Any]]] = field(default_factory=list)
    """By photograph of the answered ones: the frame and the boxes."""


def environment() -> dict[str, str]:
    """This checkout's code for every interpreter; and what ONNX Runtime would otherwise report to its maker is not."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, SOURCES)), "ORT_DISABLE_TELEMETRY": "1"}


class Child:
    """A contestant's process, started and ready."""

    def __init__(self, entry: Entry, pack: Path, networks: Path, threads: int) -> None:
        program = [entry.interpreter, "-m", f"{__package__}.contestant"]
        command = [*program, entry.kind, str(pack), str(networks), str(threads)]
        self.entry = entry
        self.begun = time.perf_counter()
        # A file and no pipe: nobody reads what libraries say meanwhile, and a full pipe would stop them.
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 (open as long as the process)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, text=True,
            env=environment(),
        )  # fmt: skip
        try:
            self.load_seconds: float = self._read()["load_seconds"]
        except BaseException:
            self.end()
            raise

    def ask(self, do: str, **asked: str) -> Any:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is gone; reading tells why
            self._process.stdin.write(json.dumps({"do": do, **asked}) + "\n")
            self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        stuck = threading.Timer(LONGEST, self._process.kill)
        stuck.start()
        try:
            line = self._process.stdout.readline()
        finally:
            stuck.cancel()
        if not line:
            self._process.wait()
            self._complaints.seek(0)
            said = self._complaints.read().strip().splitlines()
            raise UsageError(f"{self.entry.name} does not run: {said[-1] if said else 'no reason given'}")
        return json.loads(line)

    def end(self) -> None:
        """Waits until it is gone: its memory and threads must not weigh on the next one."""
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def race(
    entries: Sequence[Entry], photos: Mapping[str, Sequence[Path]], *, pack: Path, networks: Path, threads: int,
    rounds: int, cold_starts: int, say: Callable[[str], None],
) -> tuple[dict[str, Runs], dict[str, str]]:  # fmt: skip
    """What each did, and why some could not take part.

    `photos`: set name -> photographs taken in turn. The first photograph of the first set is for cold starts; the
    last set's are answered for comparison too.
    """
    runs, left_out = {entry.name: Runs() for entry in entries}, dict[str, str]()
    (first, *_), answered = photos[next(iter(photos))], photos[list(photos)[-1]]
    for number in range(cold_starts):
        for entry in entries:
            if entry.name not in left_out:
                say(f"cold start {number + 1} of {cold_starts}: {entry.name}")
                try:
                    _start_cold(entry, first, runs[entry.name], pack, networks, threads)
                except UsageError as error:
                    left_out[entry.name] = str(error)
                    say(str(error))
    runs = {name: mine for name, mine in runs.items() if name not in left_out}
    children = []
    try:
        for entry in (entry for entry in entries if entry.name in runs):
            children.append(Child(entry, pack, networks, threads))
            runs[entry.name].answers = [children[-1].ask("answers", photo=str(photo)) for photo in answered]
            for group in photos.values():
                children[-1].ask("scan", photo=str(group[0]))  # the first one allocates, and is not counted
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for child in children:
                _scan_all(child, photos, number, runs[child.entry.name])
        for child in children:
            _note_memory(child, runs[child.entry.name])
    finally:
        for child in children:
            child.end()
    return runs, left_out


def _start_cold(entry: Entry, photo: Path, runs: Runs, pack: Path, networks: Path, threads: int) -> None:
    child = Child(entry, pack, networks, threads)
    try:
        child.ask("scan", photo=str(photo))
        runs.colds.append(time.perf_counter() - child.begun)
        runs.loads.append(child.load_seconds)
        _note_memory(child, runs)
    finally:
        child.end()


def _note_memory(child: Child, runs: Runs) -> None:
    memory = child.ask("memory")
    runs.peak_mb = max(runs.peak_mb, memory["peak_mb"])
    runs.private_mb = max(runs.private_mb, memory["private_mb"])


def _scan_all(child: Child, photos: Mapping[str, Sequence[Path]], number: int, runs: Runs) -> None:
    for place, (name, group) in enumerate(photos.items()):
        time.sleep(BREATH)
        said = child.ask("scan", photo=str(group[number % len(group)]))
        seconds = said["seconds"]
        runs.totals.setdefault(name, []).append(seconds["total"])
        if place == 0:
            runs.processor.append(said["processor"])
            runs.crops = said["crops"]
            for step, spent in parts(seconds, said["in_graphs"]).items():
                runs.steps.setdefault(step, []).append(spent)


def parts(seconds: Mapping[str, float], in_graphs: Mapping[str, float]) -> dict[str, float]:
    """A scan's time by what it is spent on; what no step accounts for is the interpreter's."""
    graphs = {f"{name} network": in_graphs.get(name, 0.0) for name in ("detector", "tower")}
    named = {
        "decode": seconds["decode"],
        "quality": seconds["quality"],
        "resize for the detector, boxes": seconds["detector"] - graphs["detector network"],
        **graphs,
        "crop": seconds["crop"],
        "views, patches": seconds["tower"] - graphs["tower network"],
        "saliency": seconds.get("saliency", 0.0),
    }
    return {**named, "scores, triage, Python": seconds["total"] - sum(named.values())}
