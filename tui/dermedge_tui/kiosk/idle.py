"""How long nobody has touched anything, and when that means that the person is gone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

GRACE = 15
"""Seconds of the countdown."""


class Idle:
    """After so many seconds a countdown runs; at its end the person is gone."""

    def __init__(self, after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._after = after
        self._clock = clock
        self._last = clock()

    def touched(self) -> None:
        self._last = self._clock()

    @property
    def left(self) -> int | None:
        """Whole seconds of the countdown; None before it begins, 0 at its end."""
        counted = self._clock() - self._last - self._after
        return None if counted < 0 else max(0, math.ceil(GRACE - counted))
