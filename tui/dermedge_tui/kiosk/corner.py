"""The operator's hidden corner: touched several times in a row, it asks for the PIN."""

from __future__ import annotations

import time
from collections.abc import Callable

SIZE = (8, 4)
"""Columns and lines, top left: nothing is ever to be touched there."""
KNOCKS, WITHIN = 5, 4.0
"""So many touches in so many seconds; nobody does that by accident."""


class Corner:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._knocks: list[float] = []

    def knocked(self, x: int, y: int) -> bool:
        """Whether this touch was the last that it takes."""
        if not inside(x, y):
            self._knocks = []
            return False
        now = self._clock()
        self._knocks = [*(then for then in self._knocks if now - then < WITHIN), now]
        if len(self._knocks) < KNOCKS:
            return False
        self._knocks = []
        return True


def inside(x: int, y: int) -> bool:
    return x < SIZE[0] and y < SIZE[1]
