"""One tiny pack and a few photographs for every test of the interface."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny_pack
from dermedge_tui import language


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From the newest to the oldest: an arm with two spots, a mole, bare skin, and a file that is no photograph."""
    folder = tmp_path_factory.mktemp("photos")
    skin = tiny_pack.skin_with_spots
    two = (("melanoma", 120, 130, 50), ("melanocytic-nevus", 300, 150, 40))
    skin(*two, size=(400, 250)).save(folder / "arm.png")
    skin(("melanocytic-nevus", 128, 128, 50)).save(folder / "mole.png")
    skin().save(folder / "skin.png")
    (folder / "broken.jpg").write_bytes(b"no picture at all")
    for age, name in enumerate(("arm.png", "mole.png", "skin.png", "broken.jpg")):
        then = time.time() - 60 * age
        os.utime(folder / name, (then, then))
    return folder


@pytest.fixture(autouse=True)
def in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And with settings of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    language.choose("en")
    yield
    language.choose("en")
