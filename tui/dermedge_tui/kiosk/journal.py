"""What went wrong, and when: never what anybody showed, was told or said."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

MOST = 100_000
"""Bytes; then it becomes the older half."""


class Journal:
    """The screen is taken, so this is a file; the operator's page shows its end."""

    def __init__(self, file: Path, now: Callable[[], datetime] = datetime.now) -> None:
        self._file = file
        self._now = now

    def note(self, what: str) -> None:
        """A full or read-only disk stops no kiosk: the page of the operator says that it is full."""
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._file.exists() and self._file.stat().st_size > MOST:
                self._file.replace(self._file.with_suffix(".log.1"))
            with self._file.open("a", encoding="utf-8") as out:
                out.write(f"{self._now():%Y-%m-%d %H:%M} {what}\n")

    def last(self, lines: int) -> list[str]:
        try:
            return self._file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        except OSError:
            return []


def place(error: BaseException) -> str:
    """Class and line of an error; its words may quote what is nobody's business."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
