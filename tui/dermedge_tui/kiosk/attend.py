"""Keeps a kiosk on the screen: one that fails is dropped with all that it knew, and a fresh one takes over."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import language

if TYPE_CHECKING:
    from .app import KioskApp
    from .station import Station

OFTEN, WITHIN = 5, 60.0
"""So many failures in so many seconds: starting afresh within this process does not help."""
GIVEN_UP = 70
"""The exit status then, for systemd to start another process."""


def attend(
    station: Station, make: Callable[[Station], KioskApp], run: Callable[[KioskApp], object] = lambda app: app.run()
) -> int:
    """Until the operator ends it, or SIGTERM does."""
    failures: list[float] = []
    station.journal.note("started")
    while True:
        language.choose(language.of_environment())
        app = make(station)
        run(app)
        fault = app.fault
        del app
        gc.collect()
        if fault is None:
            station.journal.note("ended")
            station.heartbeat.stop()
            return 0
        station.failed("page", fault)
        station.counts.wiped("fault")
        del fault
        now = time.monotonic()
        failures = [*(then for then in failures if now - then < WITHIN), now]
        if len(failures) >= OFTEN:
            station.journal.note("given up")
            return GIVEN_UP


def deaf() -> None:
    """What a keyboard can send to a process does nothing, also before the terminal is told to send keys instead."""
    for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(each, signal.SIG_IGN)
