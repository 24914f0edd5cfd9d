"""Builds `.arm/`: an unpacked Debian for aarch64 with the runtime in it, which qemu-user runs on any machine.

    python tests/arm/root.py

Nothing in it is ever configured or started as a system, so neither binfmt nor a second stage is needed. Debian's
packages and the wheels are kept and used again; the runtime is built from the checkout each time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from dermedge_export.bundle import lock

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / ".arm"
ARCHITECTURE = "aarch64"
TOOLS = ("debootstrap", "dpkg-deb", "qemu-aarch64", "qemu-x86_64")


class RootError(Exception):
    """The root cannot be built here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Root:
    """An unpacked Debian, and the folder of the packages that its Python is given."""

    folder: Path
    site: Path

    @property
    def python(self) -> Path:
        return self.folder / "usr" / "bin" / "python3"


def existing() -> Root:
    """The root as it was built last."""
    folder = CACHE / suite()
    if not (folder / "site" / "dermedge").is_dir():
        raise RootError("there is no aarch64 root yet: make arm-test")
    return Root(folder, folder / "site")


def build() -> Root:
    folder = debian()
    root = Root(folder, folder / "site")
    _install(root)
    return root


def debian() -> Path:
    """The unpacked Debian, downloaded once."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise RootError(f"{' and '.join(missing)} not found: apt-get install debootstrap qemu-user")
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    folder = CACHE / suite()
    if not (CACHE / f"{suite()}.unpacked").exists():
        _unpack_debian(folder)
    return folder


def suite() -> str:
    """The Debian release to unpack: this machine's own, whose keys it has."""
    return os.environ.get("ARM_SUITE") or platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")


def _unpack_debian(folder: Path) -> None:
    print(f"unpacking Debian {suite()} for {ARCHITECTURE}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    options = ("--foreign", "--arch=arm64", "--variant=minbase", "--include=python3")
    _run(["debootstrap", *options, suite(), str(folder)])
    archives = folder / "var" / "cache" / "apt" / "archives"
    for package in sorted(archives.glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(package), str(folder)])
    shutil.rmtree(archives)
    (CACHE / f"{suite()}.unpacked").touch()


def _install(root: Root) -> None:
    (standard_library,) = root.folder.glob("usr/lib/python3.*")
    python = standard_library.name.removeprefix("python")
    locked = lock.path(ARCHITECTURE, python)
    stamp = CACHE / f"{suite()}.wheels"
    digest = hashlib.sha256(locked.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"installing the wheels of {locked.name}", flush=True)
        shutil.rmtree(root.site, ignore_errors=True)
        install = ["install", "--quiet", "--no-deps", "--require-hashes", "--no-compile", f"--target={root.site}"]
        _pip(*install, *lock.target(ARCHITECTURE, python), f"--requirement={locked}")
        stamp.write_text(digest)
    for old in root.site.glob("dermedge*"):
        shutil.rmtree(old)
    built = CACHE / "wheel"
    shutil.rmtree(built, ignore_errors=True)
    _pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={built}", str(CHECKOUT))
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(root.site)


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()[-1]
        raise RootError(f"{command[0]} ended with {done.returncode}: {last}")


def main() -> int:
    try:
        root = build()
    except RootError as error:
        print(f"arm-test: {error}", file=sys.stderr)
        return 1
    print(root.folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
