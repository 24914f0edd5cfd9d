"""How long each step took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType


class Clock:
    """Wall-clock seconds by step."""

    def __init__(self, before: Mapping[str, float] = MappingProxyType({})) -> None:
        """`before` is what earlier steps took."""
        self._begun = time.perf_counter() - before.get("total", 0.0)
        self._seconds = {step: seconds for step, seconds in before.items() if step != "total"}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - begun

    def read(self) -> MappingProxyType[str, float]:
        return MappingProxyType({**self._seconds, "total": time.perf_counter() - self._begun})
