"""What a long export says meanwhile, on stderr: one line a step, and a bar where a step has a length."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


class Tick:
    """The running step's bar."""

    def __init__(self, name: str, length: int) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped]

        self._bar = tqdm(total=length or None, desc=name, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)

    def advance(self) -> None:
        self._bar.update(1)

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            yield item
            self.advance()

    def say(self, what: str) -> None:
        print(f"  {what}", file=sys.stderr)

    def close(self) -> None:
        self._bar.close()


class Steps:
    """Names each step before it begins and keeps how long it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, length: int = 0) -> Iterator[Tick]:
        print(f"{name} ...", file=sys.stderr)
        start, tick = time.perf_counter(), Tick(name, length)
        try:
            yield tick
        finally:
            tick.close()
        self.seconds[name] = time.perf_counter() - start
