"""What a stranger does: install the wheel and scan, or clone the repository and type `make scan`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLES = sorted((ROOT / "artifacts" / "samples").glob("*.[jp][pn]g"))
LEVELS = {"no-lesion", "watch", "unclear", "refer", "urgent"}

pytestmark = pytest.mark.slow


def outside(**more: str) -> dict[str, str]:
    """The environment of a shell that knows nothing of this test run, `make` or a virtual environment."""
    hidden = ("MAKE", "MFLAGS", "PYTHON", "PYTEST", "VIRTUAL_ENV", "DERMEDGE", "PHOTO", "DATA", "PACK")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | more


def run(*command: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    line = [str(part) for part in command]
    done = subprocess.run(line, cwd=cwd, env=outside(**more), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, ROOT, cwd=folder, DERMEDGE_RELEASE="1")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; numpy, Pillow and ONNX Runtime are read from this one."""
    environment = tmp_path_factory.mktemp("fresh") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=ROOT)
    python = environment / "bin" / "python"
    install = ("install", "--quiet", "--no-deps", wheel)
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=environment)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # A .pth inside the folder named here is not read, so the editable install of this checkout stays out.
    (site_packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def test_the_samples_are_there() -> None:
    assert SAMPLES


def test_the_wheel_carries_the_three_packages_the_pack_and_the_licences(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    pack = ROOT / "artifacts" / "compact"
    for file in filter(Path.is_file, pack.rglob("*")):
        assert f"dermedge/packs/compact/{file.relative_to(pack).as_posix()}" in names
    for package in ("dermedge", "dermedge_export", "dermedge_tui"):
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= names
    licences = {name.rpartition("/")[2] for name in names if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}
    top = {name.partition("/")[0].partition("-")[0] for name in names}
    assert top == {"dermedge", "dermedge_export", "dermedge_tui"}


def test_the_installed_wheel_scans_from_any_folder(installed: Path, tmp_path: Path) -> None:
    shutil.copy(SAMPLES[0], tmp_path / "my photo.jpg")
    scan = ("scan", "my photo.jpg", "--json", "--overlay", "overlays")
    done = run(installed / "dermedge", *scan, cwd=tmp_path)
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert answer["pack"]["id"] == "compact"
    assert answer["level"] in LEVELS
    assert len(list((tmp_path / "overlays").iterdir())) == 1


def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "python", "-c", "import dermedge; print(dermedge.__file__)", cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


def test_make_scan_answers_every_sample_in_a_fresh_clone_and_installs_no_interface(tmp_path: Path) -> None:
    clone = tmp_path / "a fresh clone"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone, cwd=tmp_path)
    python = f"PYTHON={Path(sys.base_prefix) / 'bin' / 'python3'}"

    first = run("make", "scan", python, cwd=clone)
    for sample in SAMPLES:
        assert sample.name in first.stdout
    assert len(list((clone / "overlays").iterdir())) == len(SAMPLES)

    photo = tmp_path / "it's mine.jpg"
    shutil.copy(SAMPLES[0], photo)
    second = run("make", "scan", python, f"PHOTO={photo}", cwd=clone)
    assert photo.name in second.stdout
    assert "pip install" not in second.stdout

    command = [clone / ".venv" / "bin" / "dermedge", "tui"]
    refused = subprocess.run(command, cwd=clone, env=outside(), capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert refused.stderr == "dermedge: the full-screen application is not installed; pip install dermedge[tui]\n"
