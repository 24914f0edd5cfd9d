"""Puts wheels, packs and the installer into one file that checks itself before it does anything."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from . import lock

HERE = Path(__file__).parent
BOX = tuple(sorted((HERE / "box").iterdir()))
"""Units and settings, which the installer adapts to the place where it puts everything."""
SPARE_KB = 50_000
"""The virtual environment itself, and what a file system takes for many small files."""
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
MANYLINUX = re.compile(r"manylinux(?:_2_(\d+)|(2014|2010|1))_")
NAMED = {"1": 5, "2010": 12, "2014": 17}
"""The minor version of glibc 2 that a platform tag's old name stands for."""


class BundleError(Exception):
    """The bundle cannot be built; the message says why."""


def build(checkout: Path, architecture: str, pythons: Sequence[str], packs: Sequence[Path], output: Path) -> Path:
    """Write `dermedge-<version>-<architecture>.run` into `output`; downloaded wheels stay there for the next time."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runtime = _runtime(checkout, Path(folder))
        version = runtime.name.split("-")[1]
        own = f"dermedge=={version} --hash=sha256:{_sha256(runtime)}\n"
        files: dict[str, bytes | Path] = {f"wheels/{runtime.name}": runtime}
        installed = 0
        for python in pythons:
            locked = lock.path(architecture, python).read_text()
            wheels = [*_wheels(architecture, python, output / f"wheels-{architecture}"), runtime]
            installed = max(installed, sum(_unpacked(wheel) for wheel in wheels))
            files |= {f"wheels/{wheel.name}": wheel for wheel in wheels}
            files[f"locks/cp{python.replace('.', '')}.txt"] = (locked + own).encode()
        brought = _packs(packs)
        files |= brought
        installed += sum(path.stat().st_size for path in brought.values())
        files |= {path.name: path for path in (HERE / "install.sh", *BOX, checkout / "docs" / "BOX.md")}
        files["glibc"] = f"{needed_glibc(Path(name).name for name in files)}\n".encode()
        files["name"] = f"{version}-{_digest(files)[:8]}\n".encode()
        target = output / f"dermedge-{version}-{architecture}.run"
        write(target, files, version, architecture, installed_kb=installed // 1024 + SPARE_KB)
        return target


def write(
    target: Path, files: Mapping[str, bytes | Path], version: str, architecture: str, installed_kb: int = 0
) -> None:
    """The self-checking head, then `files` as a tar; the same files always give the same bytes."""
    payload = io.BytesIO()
    with tarfile.open(fileobj=payload, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(files):
            data = _bytes(files[name])
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    head = (HERE / "head.sh").read_text()
    facts = {
        "VERSION": version,
        "ARCH": architecture,
        "KB": str(installed_kb + len(payload.getvalue()) // 1024),
        "LINES": str(head.count("\n") + 1),
    }
    for key, value in facts.items():
        head = head.replace(f"@{key}@", value)
    whole = head.encode() + payload.getvalue()
    first, second, rest = whole.split(b"\n", 2)
    digest = hashlib.sha256(first + b"\n" + rest).hexdigest().encode()
    part = target.with_suffix(".part")
    part.write_bytes(b"\n".join((first, second.replace(b"@SUM@", digest), rest)))
    part.chmod(0o755)
    part.replace(target)


def _runtime(checkout: Path, folder: Path) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--no-build-isolation", f"--wheel-dir={folder}", str(checkout)),
    ]
    if subprocess.run(command, env=dict(os.environ) | {"DERMEDGE_RELEASE": "1"}, check=False).returncode:
        raise BundleError("the wheel cannot be built, see above")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _wheels(architecture: str, python: str, folder: Path) -> list[Path]:
    """Every wheel of the lock file, by its hash."""
    locked = lock.path(architecture, python)
    wanted = HASH.findall(locked.read_text())
    present = _by_hash(folder)
    if set(wanted) - set(present):
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", f"--dest={folder}", f"--requirement={locked}"),
            *lock.target(architecture, python),
        ]
        if subprocess.run(command, check=False).returncode:
            raise BundleError(f"the wheels of {locked.name} cannot be downloaded, see above")
        present = _by_hash(folder)
    return [present[digest] for digest in wanted]


def _by_hash(folder: Path) -> dict[str, Path]:
    return {_sha256(wheel): wheel for wheel in folder.glob("*.whl")}


def needed_glibc(names: Iterable[str]) -> str:
    """The version on which every one of these wheels runs; a wheel with several tags is content with the lowest."""
    tags = [[int(minor or NAMED[named]) for minor, named in MANYLINUX.findall(name)] for name in names]
    return f"2.{max((min(minors) for minors in tags if minors), default=0)}"


def _packs(folders: Iterable[Path]) -> dict[str, Path]:
    from dermedge.pack import verify

    files: dict[str, Path] = {}
    for folder in folders:
        pack = verify(folder)
        for name in (*pack.manifest.files, "pack.json"):
            files[f"packs/{pack.ref.id}/{name}"] = folder / name
    return files


def _digest(files: Mapping[str, bytes | Path]) -> str:
    rows = (f"{name} {hashlib.sha256(_bytes(files[name])).hexdigest()}\n" for name in sorted(files))
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def _bytes(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unpacked(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(entry.file_size for entry in archive.infolist())
