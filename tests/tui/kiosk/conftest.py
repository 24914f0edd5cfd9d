"""A kiosk of one's own for every test, with no camera but the one that a test plugs in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import kiosk_stage
import tiny_camera
from dermedge_tui.kiosk.station import Station


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tiny_camera.Board:
    folder = tmp_path / "board"
    folder.mkdir()
    return tiny_camera.board(folder, monkeypatch)


@pytest.fixture
def at(tmp_path: Path, pack: Path, board: tiny_camera.Board) -> Station:
    return kiosk_stage.station(tmp_path, pack)


@pytest.fixture
def station_with(tmp_path: Path, pack: Path, board: tiny_camera.Board) -> Callable[..., Station]:
    """The same with other settings."""
    return lambda **settings: kiosk_stage.station(tmp_path, pack, **settings)
