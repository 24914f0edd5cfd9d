"""From the float32 tower down: which form of its weights is shipped, and why not a smaller one.

The rungs stand in a fixed order, the smallest and fastest first as measured at full size, and only parity
with the float32 model decides; no clock does. So the same checkpoint and photographs always give the same
pack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dermedge.errors import PackError

from .graph import export
from .load import Checkpoint
from .measure import Measured, files, measure
from .parity import Gates, Judge, Parity, agreement, compare
from .quantize import Weights, quantize
from .smooth import noisiest, observe, smooth

if TYPE_CHECKING:
    from .network import ImageTower

OBSERVED = 8
"""Crops whose activations decide what is smoothed and what stays in float."""


@dataclass(frozen=True, slots=True)
class Rung:
    name: str
    weights: Weights
    smoothed: bool = False
    in_float: float = 0.0
    """Share of the linear layers that stays in float."""


RUNGS: tuple[Rung, ...] = (
    Rung("int8", "int8"),
    Rung("int8, smoothed", "int8", smoothed=True),
    Rung("int8, smoothed, a sixteenth in float", "int8", smoothed=True, in_float=1 / 16),
    Rung("int8, smoothed, an eighth in float", "int8", smoothed=True, in_float=1 / 8),
    Rung("int8 weights only", "int8-weights-only"),
    Rung("float16 weights", "float16"),
    Rung("float32", "float32"),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """One rung and what came of it."""

    rung: Rung
    in_float: tuple[str, ...]
    measured: Measured
    parity: Parity
    heat: float
    """Correlation of its heat map with the float32 model's."""
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the float32 model says in torch."""

    crops: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    patches: NDArray[np.float32]
    """Of the first crop."""


@dataclass(frozen=True, slots=True)
class Climbed:
    tried: tuple[Tried, ...]
    shipped: Tried
    graph: Path


def climb(
    checkpoint: Checkpoint, reference: Reference, judge: Judge, gates: Gates, room: Path, *,
    rungs: tuple[Rung, ...] = RUNGS, every: bool = False, told: Callable[[str], None] = lambda _: None,
) -> Climbed:  # fmt: skip
    """Try the rungs in their order and stop at the first that passes; with `every`, measure all of them."""
    source = _Source(checkpoint, reference.crops[:OBSERVED], room)
    tried: list[Tried] = []
    shipped: Tried | None = None
    kept = room / "tower.onnx"
    for rung in rungs:
        told(rung.name)
        target = room / "rung" / "tower.onnx"
        target.parent.mkdir(exist_ok=True)
        in_float = source.noisiest(rung)
        quantize(source.graph(rung.smoothed), target, rung.weights, in_float)
        found = _judged(rung, in_float, measure(target, reference.crops), reference, judge, gates)
        tried.append(found)
        if not found.failures and shipped is None:
            shipped = found
            for file in files(target):
                file.replace(kept.with_name(file.name))
            if not every:
                break
    if shipped is None:
        raise PackError(
            f"no form of the tower agrees with the float32 model ({'; '.join(tried[-1].failures)}); "
            "the checkpoint or this build of ONNX Runtime is broken"
        )
    return Climbed(tuple(tried), shipped, kept)


def _judged(
    rung: Rung, in_float: tuple[str, ...], measured: Measured, reference: Reference, judge: Judge, gates: Gates
) -> Tried:
    parity = compare(reference.embeddings, measured.embeddings, judge)
    heats = [[p @ v for v in judge.prompts] for p in (reference.patches, measured.patches)]
    return Tried(rung, in_float, measured, parity, agreement(*heats), parity.failures(gates))


class _Source:
    """The float32 graphs that rungs start from, each made once; the torch tower is only in memory meanwhile."""

    def __init__(self, checkpoint: Checkpoint, crops: NDArray[np.uint8], room: Path) -> None:
        self._checkpoint, self._crops, self._room = checkpoint, crops, room
        self._ranked: dict[float, tuple[str, ...]] = {}

    def graph(self, smoothed: bool) -> Path:
        path = self._room / ("smoothed" if smoothed else "exact") / "tower.onnx"
        if not path.exists():
            path.parent.mkdir()
            tower = self._smoothed() if smoothed else self._tower()
            export(tower, path, self._checkpoint.preprocessing.size)
        return path

    def noisiest(self, rung: Rung) -> tuple[str, ...]:
        if not rung.in_float:
            return ()
        if rung.in_float not in self._ranked:
            seen = observe(self._smoothed() if rung.smoothed else self._tower(), self._crops)
            self._ranked = {share: noisiest(seen, share) for share in {r.in_float for r in RUNGS} | {rung.in_float}}
        return self._ranked[rung.in_float]

    def _tower(self) -> ImageTower:
        from .network import build

        return build(self._checkpoint)

    def _smoothed(self) -> ImageTower:
        tower = self._tower()
        smooth(tower, observe(tower, self._crops))
        return tower
