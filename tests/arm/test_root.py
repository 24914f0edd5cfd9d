"""The aarch64 root, as far as it can be tried without building one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from arm import root as arm_root


def test_without_qemu_it_says_what_to_install(tmp_path: Path) -> None:
    environment = dict(os.environ) | {"PATH": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    before = sorted(arm_root.CACHE.glob("*")) if arm_root.CACHE.exists() else None
    done = subprocess.run(
        [sys.executable, arm_root.__file__], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "qemu-aarch64" in line
    assert "apt-get install debootstrap qemu-user" in line
    assert before == (sorted(arm_root.CACHE.glob("*")) if arm_root.CACHE.exists() else None)
