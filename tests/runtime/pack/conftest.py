from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tiny_pack


@pytest.fixture(scope="session")
def untouched_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid pack with external data; not to be written to."""
    return tiny_pack.build(tmp_path_factory.mktemp("packs") / "tiny", external_data=True)


@pytest.fixture
def pack(untouched_pack: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may break."""
    return Path(shutil.copytree(untouched_pack, tmp_path / "pack"))
