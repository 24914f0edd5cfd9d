"""From the float32 tower down: which form of its weights is shipped, and why not a smaller one.

The rungs stand in a fixed order, small and fast ones first as measured at full size, and only parity
with the float32 model decides; no clock does. So the same checkpoint and photographs always give the same
pack.
"""

from __future__ import annotations

import ctypes
import gc
import sys
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


@dataclass(frozen=True, slots=True)
class Rung:
    name: str
    weights: Weights
    in_float: float = 0.0
    """Share of the linear layers that stays in float."""

    @property
    def fitted_share(self) -> float | None:
        """The same where int8 is fitted, None where it is not."""
        return self.in_float if self.weights in ("int8-with-scores", "int8") else None


RUNGS: tuple[Rung, ...] = (
    Rung("int8 with scores", "int8-with-scores"),
    Rung("int8", "int8"),
    Rung("int8 with scores, a sixteenth in float", "int8-with-scores", in_float=1 / 16),
    Rung("int8, a sixteenth in float", "int8", in_float=1 / 16),
    Rung("int8 with scores, an eighth in float", "int8-with-scores", in_float=1 / 8),
    Rung("int8, an eighth in float", "int8", in_float=1 / 8),
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
    checkpoint: Checkpoint, observed: NDArray[np.uint8], reference: Reference, judge: Judge, gates: Gates, room: Path,
    *, rungs: tuple[Rung, ...] = RUNGS, every: bool = False, told: Callable[[str], None] = lambda _: None,
) -> Climbed:  # fmt: skip
    """Try the rungs in their order and stop at the first that passes; with `every`, measure all of them.

    `observed` are the crops that int8 is fitted to; those of `reference`, which judge it, must be others.
    """
    tried: list[Tried] = []
    shipped: Tried | None = None
    source: Source | None = None
    kept = room / "tower.onnx"
    for rung in rungs:
        told(rung.name)
        target = room / "rung" / "tower.onnx"
        target.parent.mkdir(exist_ok=True)
        if source is None or source.share != rung.fitted_share:
            source = _source(checkpoint, rung.fitted_share, observed, room)
            _give_back_memory()
        quantize(source.graph, target, rung.weights, source.in_float)
        found = _judged(rung, source.in_float, measure(target, reference.crops), reference, judge, gates)
        tried.append(found)
        if found.failures:
            told(f"{rung.name} fails: {'; '.join(found.failures)}")
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


def _give_back_memory() -> None:
    """Return to the system what the tower took: the C library keeps it, and the quantizer needs thrice as much."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # other C libraries have no such call
        trim(0)


def _judged(
    rung: Rung, in_float: tuple[str, ...], measured: Measured, reference: Reference, judge: Judge, gates: Gates
) -> Tried:
    parity = compare(reference.embeddings, measured.embeddings, judge)
    heats = [[p @ v for v in judge.prompts] for p in (reference.patches, measured.patches)]
    return Tried(rung, in_float, measured, parity, agreement(*heats), parity.failures(gates))


@dataclass(frozen=True, slots=True)
class Source:
    """The float32 graph that rungs start from; one lies there at a time."""

    share: float | None
    """Of its layers that stay in float where the others are fitted to int8; None: nothing is fitted."""
    graph: Path
    in_float: tuple[str, ...]


def _source(checkpoint: Checkpoint, share: float | None, observed: NDArray[np.uint8], room: Path) -> Source:
    from .network import build

    for old in room.glob("source/tower.onnx*"):
        old.unlink()
    path = room / "source" / "tower.onnx"
    path.parent.mkdir(exist_ok=True)
    tower = build(checkpoint)
    in_float = () if share is None else _fitted(tower, observed, share)
    export(tower, path, checkpoint.preprocessing.size)
    for parameter in tower.parameters():
        # The exporter's own tables go on naming the parameters when the tower is gone.
        parameter.data = parameter.data.new_empty(0)
    return Source(share, path, in_float)


def _fitted(tower: ImageTower, observed: NDArray[np.uint8], share: float) -> tuple[str, ...]:
    """Even the activations out and round the weights, in place; the layers that int8 would hurt most are left."""
    from .rounding import round_weights

    smooth(tower, observe(tower, observed))
    in_float = noisiest(observe(tower, observed), share) if share else ()
    round_weights(tower, observed, in_float)
    return in_float
