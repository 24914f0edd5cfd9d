"""How the box is, for the operator: in words of the system, nothing about anybody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dermedge import LEVELS, DermedgeError, __version__, cameras

from ..language import _
from ..levels import short
from .counts import KEPT

if TYPE_CHECKING:
    from .counts import Counts
    from .station import Station

Row = tuple[str, ...]
"""A name, then one value or several."""


def health(station: Station) -> Iterator[Row]:
    """In a thread: cameras are looked for."""
    for trouble in station.troubles.values():
        yield _("Trouble since"), trouble
    if station.counts.problem:
        yield _("Counts"), station.counts.problem
    yield _("Camera"), _cameras()
    scanner = station.model.scanner
    if scanner is None:
        yield _("Pack"), _("not open")
    else:
        pack = scanner.pack.ref
        uncalibrated = "" if pack.calibrated else f", {_('uncalibrated')}"
        yield _("Pack"), f"{pack.id} {pack.version}{uncalibrated}\n{pack.digest}"
        yield _("Provider"), scanner.provider
        yield _("Threads"), str(scanner.threads)
    yield _("Memory"), _memory()
    yield _("Running for"), duration(time.monotonic() - station.began)
    chosen = station.settings
    yield _("Settings"), f"{station.files.settings}\nidle {chosen.idle} s, stick {chosen.stick or '-'}"
    yield "dermedge", __version__


def counted(counts: Counts) -> Iterator[Row]:
    """Today, a week, and all that is kept."""
    spans = [counts.of(days) for days in (1, 7, KEPT)]
    yield "", _("today"), _("7 days"), _("all")
    for words, key in (
        (_("Sessions"), "sessions"),
        (_("Photographs"), "photographs"),
        *((short(level), f"level {level}") for level in reversed(LEVELS)),
        (_("Errors: camera"), "error camera"),
        (_("Errors: photograph"), "error photograph"),
        (_("Errors: page"), "error page"),
        (_("Errors: pack"), "error pack"),
        (_("Forgotten: done"), "wipe done"),
        (_("Forgotten: nobody there"), "wipe idle"),
        (_("Forgotten: after an error"), "wipe fault"),
        (_("Wrong PINs"), "wrong PINs"),
    ):
        yield words, *(str(totals[key]) for totals in spans)


def duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 1440} d {minutes // 60 % 24} h {minutes % 60} min"


def _cameras() -> str:
    try:
        return ", ".join(f"{camera.id} {camera.name}" for camera in cameras())
    except DermedgeError as error:
        return str(error)


def _memory() -> str:
    told = []
    for file, field, word in (
        ("/proc/self/status", "VmRSS", _("of this program")), ("/proc/meminfo", "MemAvailable", _("free")),
    ):
        with suppress(OSError, ValueError, IndexError):
            for line in Path(file).read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith(f"{field}:"):
                    told.append(f"{int(line.split()[1]) // 1024} MB {word}")
    return ", ".join(told) or "?"
