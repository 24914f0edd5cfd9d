"""A board's camera as a child process, and a USB camera as a library that answers in the kernel's place."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import tiny_camera

HERE = Path(__file__).parent


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tiny_camera.Board:
    return tiny_camera.board(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def compiler() -> str:
    """With the kernel's headers: there is nothing to compare with otherwise."""
    found = shutil.which("cc")
    if found is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("no C compiler with <linux/videodev2.h> (apt install gcc linux-libc-dev)")
    return found


@pytest.fixture(scope="session")
def library(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, HERE / "shim.c", "-ldl"], check=True, timeout=60)
    return built


@pytest.fixture
def usb(tmp_path: Path, library: Path) -> tiny_camera.Usb:
    folder = tmp_path / "usb"
    folder.mkdir()
    return tiny_camera.Usb(folder, library)
