"""When nobody is there any more."""

from __future__ import annotations

from dermedge_tui.kiosk.idle import GRACE, Idle
from kiosk_stage import Clock


def test_the_countdown_begins_after_the_time_and_ends_at_nothing() -> None:
    clock = Clock()
    idle = Idle(60, clock)
    seen = []
    for _ in range(80):
        seen.append(idle.left)
        clock.now += 1
    assert seen[:60] == [None] * 60
    assert seen[60 : 60 + GRACE + 1] == list(range(GRACE, -1, -1))
    assert seen[-1] == 0


def test_a_touch_begins_it_anew() -> None:
    clock = Clock()
    idle = Idle(60, clock)
    clock.now += 70
    assert idle.left == 5
    idle.touched()
    assert idle.left is None
    clock.now += 59
    assert idle.left is None
