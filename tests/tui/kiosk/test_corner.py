"""The hidden corner."""

from __future__ import annotations

from dermedge_tui.kiosk.corner import Corner
from kiosk_stage import Clock


def test_five_touches_in_a_row_call_the_operator() -> None:
    corner = Corner(Clock())
    assert [corner.knocked(2, 1) for _ in range(10)] == [False] * 4 + [True] + [False] * 4 + [True]


def test_touches_elsewhere_or_far_apart_do_not() -> None:
    clock = Clock()
    corner = Corner(clock)
    for _ in range(4):
        corner.knocked(2, 1)
    assert not corner.knocked(40, 12) and not corner.knocked(2, 1)
    corner = Corner(clock)
    for _ in range(20):
        assert not corner.knocked(0, 0)
        clock.now += 1.5
