"""What a scan should cost on machines that are not here: computed from operation counts, never measured.

A machine's time for a network is its multiply-adds over what the machine does at its peak, over the share of the peak
that the same network reaches on the measuring machine. Small boards reach a smaller share (caches, memory): so the
computed time is a range, from that share down to half of it. All else (decoding, resizing, Python) is scaled by how
fast a single core is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .operations import Operations


@dataclass(frozen=True, slots=True)
class Board:
    """Multiply-adds are of one core in one clock, at the most."""

    name: str
    cores: int
    gigahertz: float
    float_macs: int
    int8_macs: int
    single: float
    """Speed of one core at ordinary code, a Zen 5 server core's being 1: the machine of the published figures."""
    why: str

    def peak(self, kind: str) -> float:
        """Multiply-adds a second of all cores."""
        return self.cores * self.gigahertz * 1e9 * (self.int8_macs if kind == "int8" else self.float_macs)


BOARDS = (
    Board("Raspberry Pi 4", 4, 1.5, 4, 8, 0.10, "Cortex-A72: one 128-bit FMA a clock; int8 by widening multiplies"),
    Board("Raspberry Pi 5", 4, 2.4, 8, 32, 0.27, "Cortex-A76: two 128-bit FMA, two 128-bit dot products a clock"),
    Board("Jetson Orin Nano, CPU", 6, 1.5, 8, 32, 0.22, "Cortex-A78AE: as Cortex-A76; its GPU is not counted"),
    Board("N100 PC", 4, 2.9, 8, 32, 0.42, "Gracemont: two 128-bit FMA, two 128-bit VNNI dot products a clock"),
)
CAREFUL = 0.5
"""The least share of the measuring machine's efficiency that is expected of a board."""


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Share of the peak that was reached, in float and in int8 work."""

    floating: float
    int8: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds: at the measuring machine's efficiency, and at CAREFUL of it."""

    best: float
    careful: float


PER_CLOCK = (("avx512_vnni", 32, 128), ("avx_vnni", 16, 64), ("avx2", 16, 32), ("asimddp", 8, 32))
"""Multiply-adds of one core in one clock, in float and in int8, by the best instructions that it has."""
ASSUMED_GIGAHERTZ = 4.1
"""Of a measuring machine that hides its clock, as virtual ones do: what recent server cores reach."""


def measuring(cores: int, megahertz: int | None, instructions: Sequence[str]) -> Board:
    floats, int8 = next(((f, i) for name, f, i in PER_CLOCK if name in instructions), (4, 8))
    gigahertz = megahertz / 1000 if megahertz else ASSUMED_GIGAHERTZ
    return Board("the measuring machine", cores, gigahertz, floats, int8, 1.0, "")


def efficiency(
    floats: tuple[Operations, float], mixed: tuple[Operations, float], here: Board
) -> Efficiency:
    """From a network in float alone and one with int8 in it, each with its seconds: two equations, two unknowns."""
    rate = floats[0].floating / floats[1]
    left = mixed[1] - mixed[0].floating / rate
    # The float part of the mixed network may run slower than the other: then it alone explains the time.
    int8 = mixed[0].int8 / left if left > 0.2 * mixed[1] else (mixed[0].int8 + mixed[0].floating) / mixed[1]
    return Efficiency(rate / here.peak("float"), int8 / here.peak("int8"))


def cost(board: Board, work: Operations, rest_ms: float, reached: Efficiency) -> Cost:
    """`rest_ms`: everything that is not a network, on the measuring machine."""
    networks = 1e3 * (
        work.floating / (board.peak("float") * reached.floating) + work.int8 / (board.peak("int8") * reached.int8)
    )
    rest = rest_ms / board.single
    return Cost(round(networks + rest), round(networks / CAREFUL + rest))
