"""What appears by itself: photographs in a watched folder, and sticks that are plugged in.

Both are looked at every second; that is what works on every file system, sticks and network folders included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .paths import is_photograph

MOUNTS = Path("/proc/self/mounts")
PLACES = ("/media/", "/run/media/", "/mnt/")
"""Where desktops and boxes put what is plugged in."""
Stamp = tuple[int, int]
"""Size and time of change: a file that has the same twice is complete."""


class Watched:
    """A folder; what is in it at the beginning is not new."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: dict[str, Stamp] | None = None
        self._growing: dict[str, Stamp] = {}

    def look(self) -> list[str]:
        """The photographs that have become complete since, the oldest first; OSError where the folder is gone.

        What was there before it went is not new when it comes back.
        """
        there = _stamps(self.path)
        if self._known is None:
            self._known = there
        fresh = {path: stamp for path, stamp in there.items() if self._known.get(path) != stamp}
        complete = {path: stamp for path, stamp in fresh.items() if stamp[0] and self._growing.get(path) == stamp}
        self._growing = fresh
        self._known |= complete
        return sorted(complete, key=lambda path: complete[path][1])


@dataclass(frozen=True, slots=True)
class Stick:
    """Something that was plugged in, with photographs on it."""

    path: str
    count: int

    @property
    def name(self) -> str:
        return Path(self.path).name


class Sticks:
    """What is mounted where sticks are; what is there at the beginning is not new."""

    def __init__(self) -> None:
        self._known: frozenset[str] | None = None

    def look(self) -> tuple[list[str], list[str]]:
        """Which came and which went."""
        there = frozenset(_mounted())
        before, self._known = there if self._known is None else self._known, there
        return sorted(there - before), sorted(before - there)


def _stamps(folder: str) -> dict[str, Stamp]:
    stamps = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if is_photograph(entry.name) and entry.is_file():
                    about = entry.stat()
                    stamps[entry.path] = (about.st_size, about.st_mtime_ns)
            except OSError:
                continue
    return stamps


def _mounted() -> Iterator[str]:
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        fields = line.split(" ")
        if len(fields) > 1:
            # Blanks in a name are written as octal numbers.
            place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[1])
            if place.startswith(PLACES):
                yield place
