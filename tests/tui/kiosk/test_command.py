"""`dermedge kiosk` as a process: without a PIN, with a new one, and in a real terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dermedge_tui.kiosk import pin, settings
from dermedge_tui.kiosk.settings import Settings
from kiosk_stage import KEPT_PIN, PIN
from terminal import Terminal

KIOSK = (sys.executable, "-m", "dermedge", "kiosk")


def kiosk(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*KIOSK, *arguments], input=given, capture_output=True, text=True, timeout=120)


def one_line(answer: subprocess.CompletedProcess[str]) -> str:
    (line,) = answer.stderr.splitlines()
    return line


def test_without_a_pin_it_refuses_and_says_how_to_set_one(tmp_path: Path) -> None:
    answer = kiosk("--settings", str(tmp_path / "kiosk.json"))
    assert answer.returncode == 2
    assert f"dermedge kiosk --set-pin --settings {tmp_path}/kiosk.json" in one_line(answer)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--idle", "5"], "10 to 3600"), (["--idle", "soon"], "--help"), ([], "needs a terminal"),
        (["photo.jpg"], "--help"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    file = tmp_path / "kiosk.json"
    settings.save(Settings(pin=KEPT_PIN), file)
    answer = kiosk("--settings", str(file), *arguments)
    assert answer.returncode == 2 and said in one_line(answer)


def test_an_installer_hands_the_pin_over_as_one_line(tmp_path: Path) -> None:
    file = tmp_path / "kiosk.json"
    settings.save(Settings(idle=90), file)
    (tmp_path / "kiosk.attempts.json").write_text('{"wrong": 9}')
    assert kiosk("--set-pin", "--settings", str(file), given=f"{PIN}\n").returncode == 0
    kept = settings.load(file)
    assert kept.pin and pin.matches(PIN, kept.pin) and kept.idle == 90
    assert PIN not in file.read_text() and not (tmp_path / "kiosk.attempts.json").exists()
    refused = kiosk("--set-pin", "--settings", str(file), given="1234\n")
    assert refused.returncode == 2 and "6 to 12 digits" in one_line(refused)
    assert settings.load(file) == kept


def test_at_a_terminal_the_pin_is_asked_for_twice_without_echo(tmp_path: Path) -> None:
    file = tmp_path / "kiosk.json"
    command = [*KIOSK, "--set-pin", "--settings", str(file)]
    for second, status in (("271829", 2), (PIN, 0)):
        with Terminal(command, folder=tmp_path) as terminal:
            terminal.wait_for("New PIN of the operator")
            terminal.send(f"{PIN}\r")
            terminal.wait_for("The same again")
            terminal.send(f"{second}\r")
            assert terminal.process.wait(60) == status
            assert PIN.encode() not in terminal.written
        assert file.exists() == (status == 0)


@pytest.fixture
def ready(tmp_path: Path, pack: Path) -> list[str]:
    file = tmp_path / "kiosk.json"
    settings.save(Settings(pin=KEPT_PIN), file)
    return [*KIOSK, "--settings", str(file), "--pack", str(pack)]


def touched(terminal: Terminal, column: int, line: int) -> None:
    """As a terminal reports a finger."""
    terminal.send(f"\x1b[<0;{column};{line}M\x1b[<0;{column};{line}m")


def test_in_a_real_terminal_nothing_leads_out_but_the_pin(ready: list[str], tmp_path: Path) -> None:
    with Terminal(ready, folder=tmp_path, environment={"PATH": "/nowhere"}) as terminal:
        terminal.wait_for("Touch the screen or press any key")
        for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
            os.kill(terminal.process.pid, each)
        touched(terminal, 40, 20)
        terminal.wait_for("Deutsch")
        terminal.send_bytes(b"\x03\x11\x1a\x1c\x04\xff\xfe\x1b")
        time.sleep(1)
        terminal.paste("/etc/passwd")
        touched(terminal, 20, 6)
        terminal.wait_for("What it is not")
        assert terminal.process.poll() is None
        state = Path(f"/proc/{terminal.process.pid}/stat").read_text().rpartition(") ")[2][0]
        assert state not in "TZ", "neither stopped nor dead"
        for _ in range(5):
            touched(terminal, 2, 2)
        terminal.wait_for("For the operator")
        terminal.send(f"{PIN}\r")
        terminal.wait_for("Running for")
        assert PIN.encode() not in terminal.written
        touched(terminal, 60, 22)
        assert terminal.process.wait(60) == 0
    assert json.loads((tmp_path / "kiosk.counts.json").read_text())


def test_sigterm_ends_it_in_order(ready: list[str], tmp_path: Path) -> None:
    with Terminal(ready, folder=tmp_path) as terminal:
        terminal.wait_for("Touch the screen or press any key")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(60) == 0
        assert b"\x1b[?1049l" in terminal.written, "the terminal is as it was before"
    assert (tmp_path / "kiosk.log").read_text().splitlines()[-1].endswith("ended")
