"""Computed times follow from operation counts, the peak of a board and the share of it that is reached."""

from __future__ import annotations

import pytest

from dermedge_export.peers.operations import Operations
from dermedge_export.peers.sizing import BOARDS, CAREFUL, Board, Efficiency, cost, efficiency, measuring

HERE = Board("here", cores=2, gigahertz=1.0, float_macs=10, int8_macs=40, single=1.0, why="")
"""20 G multiply-adds a second in float, 80 in int8."""


def test_the_share_of_the_peak_comes_from_a_float_network_and_a_mixed_one() -> None:
    floats = Operations(floating=10_000_000_000), 1.0  # half the peak
    mixed = Operations(int8=20_000_000_000, floating=10_000_000_000), 2.0  # one second is left for int8: a quarter
    assert efficiency(floats, mixed, HERE) == Efficiency(0.5, 0.25)


def test_a_mixed_network_that_its_float_part_explains_is_taken_as_a_whole() -> None:
    floats = Operations(floating=10_000_000_000), 1.0
    mixed = Operations(int8=1_000_000_000, floating=10_000_000_000), 1.05
    assert 0 < efficiency(floats, mixed, HERE).int8 < 1


def test_a_cost_is_networks_by_the_peak_and_the_rest_by_a_single_core() -> None:
    board = Board("slow", cores=1, gigahertz=1.0, float_macs=1, int8_macs=4, single=0.1, why="")
    found = cost(board, Operations(int8=1_000_000_000, floating=500_000_000), 10.0, Efficiency(0.5, 0.5))
    networks = 1000 + 500
    assert (found.best, found.careful) == (networks + 100, networks / CAREFUL + 100)


def test_no_board_is_faster_for_less_efficiency() -> None:
    work = Operations(int8=10**9, floating=10**9)
    for board in BOARDS:
        good, bad = (cost(board, work, 50.0, Efficiency(e, e)) for e in (0.6, 0.3))
        assert good.best < bad.best <= bad.careful


@pytest.mark.parametrize(
    ("instructions", "int8"), [(["avx2", "avx512_vnni"], 128), (["avx2"], 32), (["asimddp"], 32), ([], 8)]
)
def test_the_measuring_machines_peak_comes_from_its_best_instructions(instructions: list[str], int8: int) -> None:
    assert measuring(2, 3000, instructions).peak("int8") == 2 * 3.0e9 * int8
