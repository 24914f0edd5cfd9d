"""From pasted or dropped text, or from a folder, to the photographs it means."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dermedge import SUFFIXES, UsageError

MOST_TEXT = 200_000
"""Characters that a list of paths may have; a drop of 1,000 long ones stays below."""


MOST_LOOKED_AT = 20_000
"""Files and folders of a stick."""


class TooMuchText(UsageError):
    """More than any list of paths has."""


def paths_in(text: str) -> list[str]:
    """The paths in a text: one or several, quoted or escaped as terminals do, plain or as file:// URLs."""
    if len(text) > MOST_TEXT:
        raise TooMuchText(f"{len(text):,} characters were pasted; paste the paths of photographs only")
    found: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped:
            found += [stripped] if _exists(stripped) else [_plain(word) for word in _words(stripped)]
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quote that is part of the name
        return [line]


def _plain(word: str) -> str:
    if word.lower().startswith("file:"):
        try:
            word = unquote(urlsplit(word).path)
        except ValueError:  # no address, only looks like one
            return word
    return os.path.expanduser(word)  # noqa: PTH111 - Path's raises where there is no such person


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a folder."""

    name: str
    path: str
    folder: bool
    modified: float


def is_photograph(name: str) -> bool:
    """By its ending, as a walk through a folder judges it."""
    return not name.startswith(".") and Path(name.lower()).suffix in SUFFIXES


def listing(folder: str) -> list[Found]:
    """A folder's photographs, the newest first, then its folders; what cannot be looked at is left out."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                is_folder = entry.is_dir()
                wanted = is_photograph(entry.name) and entry.is_file()
                if wanted or (is_folder and not entry.name.startswith(".")):
                    found.append(Found(entry.name, entry.path, is_folder, entry.stat().st_mtime))
            except OSError:
                continue
    return sorted(found, key=lambda f: (f.folder, 0 if f.folder else -f.modified, f.name.lower()))


def photographs_below(folder: str) -> list[Found]:
    """All that are in it or in its folders, the newest first, named by their way from there."""
    found: list[Found] = []
    looked_at = 0
    for inside, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        looked_at += len(folders) + len(files)
        for name in files:
            path = Path(inside, name)
            try:
                if is_photograph(name) and path.is_file():
                    found.append(Found(str(path.relative_to(folder)), str(path), False, path.stat().st_mtime))
            except OSError:
                continue
        if looked_at > MOST_LOOKED_AT:
            break
    return sorted(found, key=lambda f: (-f.modified, f.name.lower()))


def photographs(paths: list[str]) -> list[str]:
    """The paths themselves, and in the place of a folder the photographs in it."""
    found: list[str] = []
    for path in paths:
        try:
            inside = [f.path for f in listing(path) if not f.folder] if Path(path).is_dir() else []
        except (OSError, ValueError):
            inside = []
        # A folder without photographs is handed on, so that the scanner's error says so.
        found += inside or [path]
    return found
