"""ONNX Runtime reports to its maker unless it is told not to: here it has been told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny_pack

SCAN = "import sys; from dermedge import Scanner; Scanner.open(sys.argv[1]).scan(sys.argv[2])"
LOAD = "import onnxruntime, sys; onnxruntime.InferenceSession(sys.argv[1])"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny")


def left_at_home(home: Path, *arguments: str | Path) -> set[str]:
    """What a process of its own leaves in an empty home folder."""
    home.mkdir()
    # Not as in a CI job, where ONNX Runtime is silent by itself.
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", *map(str, arguments)], env=environment, check=True)
    return {path.name for path in home.rglob("*")}


def test_a_scan_leaves_nothing_at_home(tmp_path: Path, tiny: Path) -> None:
    photo = tiny / "golden" / "phone.png"
    assert left_at_home(tmp_path / "home", SCAN, tiny, photo) == set()


def test_onnx_runtime_by_itself_would(tmp_path: Path, tiny: Path) -> None:
    """The control; releases before 1.29 report nothing."""
    import onnxruntime

    reports = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 29)
    left = left_at_home(tmp_path / "home", LOAD, tiny / "graphs" / "tower.onnx")
    assert ("deviceid" in left) == reports
