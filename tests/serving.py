"""`dermedge tui --serve` as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SERVE = (sys.executable, "-m", "dermedge", "tui", "--serve")


Served = tuple[str, subprocess.Popen[str]]
"""Where it is, and its process."""


@contextmanager
def serving(*arguments: str) -> Iterator[Served]:
    """A server on a free port of its own."""
    process = subprocess.Popen(
        [*SERVE, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("http://"), said + (process.stderr.read() if process.stderr else "")
        yield said.split()[0], process
    finally:
        process.terminate()
        process.communicate(timeout=30)
