"""The application in a real terminal, with the embedded pack: started, keys pressed, its screen read."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from dermedge_tui import preferences
from dermedge_tui.preferences import NOTICE, Preferences
from terminal import APPLICATION, Terminal

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "artifacts" / "samples"
MELANOMA = SAMPLES / "melanoma-PAT_902_1718_852.jpg"

WATCHED = """
import sys

def watch(event, arguments):
    if event in ("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise PermissionError(event)

sys.addaudithook(watch)
from dermedge.cli import main
sys.exit(main(["tui", *sys.argv[1:]]))
"""
"""The application, dead at the first step towards a network."""


@pytest.fixture
def agreed() -> None:
    preferences.save(Preferences(agreed=NOTICE), preferences.location())


def test_from_the_first_start_to_a_finding_without_a_network_in_fewer_than_three_keys(tmp_path: Path) -> None:
    (tmp_path / "mole.jpg").write_bytes(MELANOMA.read_bytes())
    with Terminal([sys.executable, "-c", WATCHED], folder=tmp_path) as terminal:
        terminal.wait_for("It is no diagnosis and no doctor.", "1 English")
        terminal.press("enter")
        terminal.wait_for("mole.jpg", "Drop photographs here")
        terminal.press("enter")
        terminal.wait_for("■ URGENT: See a doctor within days", "What to do", "Melanoma", "▀▀▀▀▀▀▀▀")
        begun = terminal.written.index(b"\x1b[?1049h")
        # A terminal answers among the keys that are typed: whoever reads the answer takes some of them.
        assert not re.search(rb"\x1b\[(?:c|1[468]t|6n)", terminal.written[begun:])
        terminal.press("ctrl+q")
        assert terminal.ended() == 0


def test_that_watch_sees_a_step_towards_a_network(tmp_path: Path) -> None:
    step = WATCHED.replace("from dermedge.cli import main", "import socket; socket.getaddrinfo('127.0.0.1', 1)")
    with Terminal([sys.executable, "-c", step], folder=tmp_path) as terminal:
        assert terminal.ended() == 1
        terminal.wait_for("PermissionError: socket.getaddrinfo")


def test_it_leaves_the_terminal_as_it_was(agreed: None) -> None:
    with Terminal(APPLICATION, folder=SAMPLES) as terminal:
        terminal.wait_for("Drop photographs here")
        terminal.press("q")
        assert terminal.ended() == 0
        # The screen before, the cursor, and pasting as typing.
        for on, off in (("?1049h", "?1049l"), ("?25l", "?25h"), ("?2004h", "?2004l")):
            assert terminal.written.rfind(f"\x1b[{off}".encode()) > terminal.written.rfind(f"\x1b[{on}".encode()) >= 0


def test_a_drop_a_resize_and_another_language_in_one_session(agreed: None) -> None:
    with Terminal([*APPLICATION, "--language", "pl"], folder=SAMPLES) as terminal:
        terminal.wait_for("Język")
        terminal.paste(f"'{MELANOMA}'")
        terminal.wait_for("PILNE", "Czerniak")
        terminal.resize(120, 40)
        terminal.wait_for("PILNE", "Czerniak", "Zapomnij")
        terminal.resize(40, 12)
        terminal.wait_for("PILNE")
        terminal.resize(80, 24)
        terminal.wait_for("PILNE", "Czerniak", "Zapomnij")


def test_without_a_terminal_one_line_says_so(tmp_path: Path) -> None:
    script = f"exec {' '.join(APPLICATION)} < /dev/null"
    with Terminal(["sh", "-c", script], folder=tmp_path) as terminal:
        assert terminal.ended() == 2
        terminal.wait_for("dermedge: the full-screen application needs a terminal")
        assert "Traceback" not in terminal.text()
