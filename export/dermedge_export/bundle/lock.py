"""The exact wheels that a box gets: one lock file for each architecture and Python, every wheel by its hash."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ARCHITECTURES = ("aarch64", "x86_64")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Jetson's and Ubuntu 22.04's, Debian 12's and Raspberry Pi OS's, Ubuntu 24.04's, Debian 13's."""
EXTRAS = ("tui", "heic")
GLIBC = (28, 27, 24, 17)
"""Minor versions of glibc 2 whose manylinux wheels run wherever 2.28 does."""
INSTALLER = "pip"
"""Locked too: a bare Debian has Python, but often no pip."""
FOLDER = Path(__file__).parent / "locks"


def path(architecture: str, python: str) -> Path:
    return FOLDER / f"{architecture}-cp{python.replace('.', '')}.txt"


def target(architecture: str, python: str) -> list[str]:
    """What makes pip choose wheels for another machine than this one."""
    platforms = [f"--platform=manylinux_2_{minor}_{architecture}" for minor in GLIBC]
    return [
        *platforms,
        f"--platform=manylinux2014_{architecture}",
        f"--python-version={python}",
        "--implementation=cp",
        "--only-binary=:all:",
    ]


def resolve(requirements: Sequence[str], architecture: str, python: str) -> str:
    """The lock file's text: what pip would install there today."""
    with tempfile.TemporaryDirectory() as nowhere:
        report = Path(nowhere) / "report.json"
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
            *("--disable-pip-version-check", f"--report={report}", f"--target={nowhere}/target"),
            *target(architecture, python),
            *requirements,
        ]
        subprocess.run(command, check=True)
        chosen: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    rows = {
        f"{one['metadata']['name'].lower()}=={one['metadata']['version']} "
        f"--hash=sha256:{one['download_info']['archive_info']['hashes']['sha256']}"
        for one in chosen
    }
    return "\n".join(sorted(rows)) + "\n"


def requirements_of(checkout: Path) -> list[str]:
    """What the runtime and the extras of a box ask for."""
    import tomllib  # Python 3.11 and later; only whoever renews the locks needs it

    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return [INSTALLER, *project["dependencies"], *extras]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dermedge_export.bundle.lock", description=__doc__)
    parser.add_argument("checkout", type=Path, help="the folder that holds the pyproject.toml")
    requirements = requirements_of(parser.parse_args().checkout)
    for architecture in ARCHITECTURES:
        for python in PYTHONS:
            path(architecture, python).write_text(resolve(requirements, architecture, python))
            print(path(architecture, python))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
