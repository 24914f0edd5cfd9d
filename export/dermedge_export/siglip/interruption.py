"""Ctrl-C that is not lost: an exception raised within a finalizer is swallowed there, and a long export would go on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_AFTER = 0.05
"""Seconds, by which the finalizer has ended."""


@contextmanager
def heeded() -> Iterator[None]:
    """While this lasts, a KeyboardInterrupt that Python had to swallow is raised once more."""
    report, waiting = sys.unraisablehook, signal.getsignal(signal.SIGALRM)

    def swallowed(what: UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_AFTER)
        else:
            report(what)

    def again(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    sys.unraisablehook = swallowed
    signal.signal(signal.SIGALRM, again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, waiting)
        sys.unraisablehook = report
