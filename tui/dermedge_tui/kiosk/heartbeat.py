"""A sign of life for systemd, which starts a kiosk anew that gives none.

By systemd's own program: no code here opens a socket, and this is no reason to begin.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress

EVERY = 15.0
"""Seconds; `WatchdogSec=60` forgives a few that are missed."""


class Heartbeat:
    """Beats only where systemd asked for it: `Type=notify`, `NotifyAccess=all`, `WatchdogSec=`."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        asked = environment.get("NOTIFY_SOCKET")
        self._program = shutil.which("systemd-notify", path=environment.get("PATH")) if asked else None
        self._environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None

    def beat(self, status: str) -> None:
        self._tell("READY=1", "WATCHDOG=1", f"STATUS={status}")

    def stop(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, *what: str) -> None:
        # Never two at once: if systemd does not listen, they would pile up.
        if self._program is None or (self._child and self._child.poll() is None):
            return
        none = subprocess.DEVNULL
        with suppress(OSError):
            self._child = subprocess.Popen(
                [self._program, *what], stdin=none, stdout=none, stderr=none, env=self._environment
            )
