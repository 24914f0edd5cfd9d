"""The photographs on whatever stick was plugged in, the newest first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dermedge import SUFFIXES

DEEPEST = 5
"""Folders below the one where sticks appear: /media/<user>/<stick>/DCIM/100CANON."""
MOST_ENTRIES = 20_000
"""Looked at; a stick full of other things does not keep anybody waiting."""
MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class OnStick:
    path: str
    name: str
    modified: float


def photographs(folder: str) -> list[OnStick]:
    """Links are not followed: a stick shows what is on it, and nothing of the box."""
    found = _files(folder, DEEPEST, [MOST_ENTRIES])
    return sorted(found, key=lambda photo: (-photo.modified, photo.name))[:MOST_SHOWN]


def _files(folder: str, depth: int, left: list[int]) -> Iterator[OnStick]:
    """What cannot be looked at, or is pulled out meanwhile, is left out."""
    inside: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                left[0] -= 1
                if left[0] < 0:
                    return
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    inside.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and Path(entry.name.lower()).suffix in SUFFIXES:
                    yield OnStick(entry.path, entry.name, entry.stat(follow_symlinks=False).st_mtime)
    except OSError:
        return
    if depth:
        for each in inside:
            yield from _files(each, depth - 1, left)
