"""From the start of the process to the first full screen, in a real terminal."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from dermedge_tui import preferences
from dermedge_tui.preferences import NOTICE, Preferences
from terminal import APPLICATION, Terminal

pytestmark = pytest.mark.alone

SAMPLES = Path(__file__).parents[2] / "artifacts" / "samples"

AIM = 0.8
"""Seconds, on a machine of today."""
SLOWER = 1.5
"""How much slower a machine may be before this is called a fault of the application's."""


def test_the_first_full_screen_is_there_at_once() -> None:
    """Less what the process waited while other programs had the processors: that is no time of its own."""
    preferences.save(Preferences(agreed=NOTICE), preferences.location())
    taken = []
    for _ in range(3):
        with Terminal(APPLICATION, folder=SAMPLES) as terminal:
            waited = terminal.wait_for("Drop photographs here", "melanoma-PAT_902_1718_852.jpg", "Quit")
            taken.append(waited - terminal.held_up)
    print(f"first full screen: {statistics.median(taken):.2f} s")
    assert statistics.median(taken) < SLOWER * AIM
