"""From the paths a person gives to one result, or one error, per photograph."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TextIO, TypeVar

from .errors import PhotoError, PhotoUnreadable
from .report import printable

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".heic", ".heif"}
)
"""What a walk through a folder takes for a photograph; a file that is named outright is always tried."""

OVERLAY = ".overlay.png"
"""How the pictures that dermedge writes end; a walk passes them by: a second run is not to scan the first's."""

STDIN = "-"
MANY = 4
"""From this many photographs on there is a progress bar."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Answer]):
    """What became of one photograph: exactly one of `answer` and `error` is there."""

    name: str
    answer: Answer | None = None
    error: PhotoError | None = None


def walk(paths: Sequence[str]) -> Iterator[str | PhotoError]:
    """Every photograph of `paths` in a fixed order; an error in the place of a folder that holds none."""
    for path in paths:
        if path == STDIN or not Path(path).is_dir():
            yield path
            continue
        errors: list[PhotoError] = []
        found = list(_folder(path, errors))
        yield from found
        yield from errors
        if not found and not errors:
            yield PhotoUnreadable(
                f"{path}: no photograph in this folder; give a file, or a folder with {', '.join(sorted(SUFFIXES))}"
            )


def run(
    photographs: Sequence[str | PhotoError], answer: Callable[[str], Answer], progress: Progress
) -> Iterator[Outcome[Answer]]:
    """Answer one after the other; a photograph that cannot be answered does not stop the next."""
    for number, photograph in enumerate(photographs):
        if isinstance(photograph, PhotoError):
            yield Outcome("", error=photograph)
            continue
        progress.show(number, photograph)
        try:
            outcome = Outcome(photograph, answer=answer(photograph))
        except PhotoError as error:
            outcome = Outcome(photograph, error=error)
        finally:
            # Whoever reads the outcome prints it, and must find a clean line.
            progress.clear()
        yield outcome


def source(photograph: str, stdin: BinaryIO, cap: int) -> Path | bytes:
    """What the scanner is to read; of stdin no more than shows that it is over the cap."""
    return stdin.read(cap + 1) if photograph == STDIN else Path(photograph)


class Progress:
    """A bar on the last line of a terminal; silent elsewhere and for a few photographs."""

    def __init__(self, stream: TextIO, total: int, width: int = 80) -> None:
        self._stream = stream
        self._total = total
        self._width = width
        self._visible = stream.isatty() and total >= MANY

    def show(self, done: int, name: str) -> None:
        if not self._visible:
            return
        filled = 20 * done // self._total
        line = f"[{'#' * filled}{'.' * (20 - filled)}] {done}/{self._total} {ascii_name(name)}"
        self._write(line[: self._width - 1])

    def clear(self) -> None:
        if self._visible:
            self._write("")

    def _write(self, line: str) -> None:
        self._stream.write(f"\r{line}\x1b[K")
        self._stream.flush()


def ascii_name(name: str) -> str:
    """One column a character, so that the bar can be cut to the terminal's width."""
    return printable(name).encode("ascii", "replace").decode("ascii")


def _folder(path: str, errors: list[PhotoError]) -> Iterator[str]:
    def failed(error: OSError) -> None:
        reason = error.strerror or "cannot be read"
        errors.append(PhotoUnreadable(f"{error.filename}: {reason}; make the folder readable or leave it out"))

    for folder, names, files in os.walk(path, onerror=failed):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for file in sorted(files):
            lower = file.lower()
            if not file.startswith(".") and Path(lower).suffix in SUFFIXES and not lower.endswith(OVERLAY):
                yield str(Path(folder) / file)
