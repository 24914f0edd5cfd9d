"""From raw runs to the figures that are shown: medians, p95, and ratios within the same round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .agreement import agreement
from .race import Runs

BASE = "torch fp32 eager"
OURS = "dermedge"
OURS_LOW = "dermedge --low-memory"
BUSY = 0.5
"""Load a processor, as the system counts it."""


@dataclass(frozen=True, slots=True)
class Goal:
    what: str
    wanted: str
    found: str
    met: bool
    timed: bool = False
    """A time, or made of times: a busy machine says nothing about it."""
    busy: bool = False

    @property
    def verdict(self) -> str:
        if self.timed and self.busy:
            return "not judged: busy machine"
        return "reached" if self.met else "**missed**"


def compact_figures(runs: Mapping[str, Runs], megabytes: Mapping[str, float]) -> dict[str, Any]:
    """By contestant, in milliseconds and MB."""
    exact = runs[BASE].answers
    return {
        name: {
            "scan_ms": {group: milliseconds(seconds) for group, seconds in mine.totals.items()},
            "times_base": {group: ratio(runs[BASE].totals[group], seconds) for group, seconds in mine.totals.items()},
            "processor_ms": milliseconds(mine.processor),
            "steps_ms": {step: milliseconds(seconds)["p50"] for step, seconds in mine.steps.items()},
            "steps_least_ms": {step: round(min(seconds) * 1e3, 2) for step, seconds in mine.steps.items()},
            "crops": mine.crops,
            "load_ms": milliseconds(mine.loads)["p50"],
            "cold_start_ms": milliseconds(mine.colds)["p50"],
            "peak_mb": mine.peak_mb,
            "private_mb": mine.private_mb,
            "networks_mb": megabytes[name],
            "agreement": asdict(agreement(exact, mine.answers)),
            "raw_ms": {group: [round(s * 1e3, 2) for s in seconds] for group, seconds in mine.totals.items()},
        }
        for name, mine in runs.items()
    }


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(np.array(seconds) * 1e3, [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


def ratio(base: Sequence[float], mine: Sequence[float]) -> float:
    """How many times as fast: the median over rounds, so that what slowed one round slowed both."""
    return round(statistics.median(b / m for b, m in zip(base, mine, strict=True)), 2)


def is_busy(document: Mapping[str, Any], load: float) -> bool:
    """Whether so many others were at work that times are not worth quoting."""
    return load > BUSY * float(document["machine"]["processors"])


def goals(document: Mapping[str, Any]) -> list[Goal]:
    found = []
    busy = is_busy(document, document["load"])
    if compact := document.get("compact"):
        ours, low = compact["contestants"][OURS], compact["contestants"][OURS_LOW]
        for group, times in ours["times_base"].items():
            found.append(_least(f"compact scan of {group}, times torch fp32 eager", 3.0, times, timed=True, busy=busy))
        for group, spread in ours["scan_ms"].items():
            wide_by = spread["p95"] / spread["p50"]
            found.append(_most(f"compact scan of {group}, p95 over p50", 1.3, wide_by, 2, True, busy))
        found.append(_most("compact cold start, s", 1.5, ours["cold_start_ms"] / 1e3, 2, True, busy))
        found.append(_most("compact peak memory, MB", 300, ours["peak_mb"], 0))
        found.append(_most("compact peak memory with --low-memory, MB", 200, low["peak_mb"], 0))
    if wide := document.get("wide"):
        rows, busy = wide["contestants"], is_busy(document, wide["load"])
        ours, low, base = rows[wide["ours"]], rows[wide["ours_low"]], rows[BASE]["seconds"]
        found.append(_least("wide tower, times torch fp32 eager", 5.0, base / ours["seconds"], timed=True, busy=busy))
        if openvino := next((row for name, row in rows.items() if name.startswith("OpenVINO")), None):
            times = openvino["seconds"] / ours["seconds"]
            found.append(_least("wide tower, times OpenVINO with int8 weights", 1.0, times, timed=True, busy=busy))
        found.append(_least("wide tower, centred cosine", 0.995, ours["centred_cosine"], 4))
        found.append(_most("wide tower, new process to first embedding, s", 1.5, ours["cold_seconds"], 2, True, busy))
        found.append(_most("wide tower, peak memory, MB", 650, ours["peak_mb"], 0))
        found.append(_most("wide tower, private memory with --low-memory, MB", 150, low["private_mb"], 0))
    return found


def _least(
    what: str, wanted: float, value: float, digits: int = 2, *, timed: bool = False, busy: bool = False
) -> Goal:
    return Goal(what, f"at least {wanted:g}", f"{value:.{digits}f}", value >= wanted, timed, busy)


def _most(what: str, wanted: float, value: float, digits: int, timed: bool = False, busy: bool = False) -> Goal:
    return Goal(what, f"at most {wanted:g}", f"{value:.{digits}f}", value <= wanted, timed, busy)
