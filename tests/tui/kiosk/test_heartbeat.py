"""The sign of life, by systemd's own program and to a real socket."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dermedge_tui.kiosk.heartbeat import Heartbeat

pytestmark = pytest.mark.alone

needs_systemd = pytest.mark.skipif(shutil.which("systemd-notify") is None, reason="systemd-notify is not here")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """Listens as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening


def environment(systemd: socket.socket) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": systemd.getsockname()}


@needs_systemd
def test_each_beat_says_that_the_screen_stands_and_how_things_are(systemd: socket.socket) -> None:
    heartbeat = Heartbeat(environment(systemd))
    heartbeat.beat("out of order: no pack")
    assert systemd.recv(4096).split(b"\n") == [b"READY=1", b"WATCHDOG=1", b"STATUS=out of order: no pack"]


@needs_systemd
def test_the_end_is_told_too(systemd: socket.socket) -> None:
    heartbeat = Heartbeat(environment(systemd))
    heartbeat.stop()
    assert systemd.recv(4096) == b"STOPPING=1"


def test_beats_that_nobody_hears_do_not_pile_up(tmp_path: Path) -> None:
    deaf = tmp_path / "systemd-notify"
    deaf.write_text(f"#!/bin/sh\necho beat >> {tmp_path}/beats\nexec /bin/sleep 30\n")
    deaf.chmod(0o755)
    heartbeat = Heartbeat({"PATH": str(tmp_path), "NOTIFY_SOCKET": "/run/none"})
    for _ in range(5):
        heartbeat.beat("in service")
        time.sleep(0.1)
    assert heartbeat._child
    heartbeat._child.kill()
    heartbeat._child.wait()
    assert (tmp_path / "beats").read_text() == "beat\n"


def test_without_systemd_nothing_is_started(tmp_path: Path) -> None:
    for variables in ({}, {"NOTIFY_SOCKET": "/run/notify", "PATH": str(tmp_path)}):
        heartbeat = Heartbeat(variables)
        heartbeat.beat("in service")
        assert heartbeat._child is None
