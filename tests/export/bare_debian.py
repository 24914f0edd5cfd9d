"""The offline bundle on a bare Debian without a network: a real root, in a namespace that has no interface.

Run by `make bundle-test`; it needs root, debootstrap and some minutes, so the ordinary test run leaves it out.
The bundles are built from a copy of the checkout with a small pack in it, in three versions. For aarch64 the root's
programs run under qemu, by a binfmt_misc of the namespace's own (Linux 6.7); the machine's stays as it is.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import tiny_pack
from arm import root as arm_root
from arm.emulated import A72
from dermedge_export.bundle import build

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / ".arm" / "bare"
SUITE = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
PYTHON = {"bookworm": "3.11", "trixie": "3.13"}[SUITE]
PLACES = ("opt", "etc/dermedge", "etc/systemd/system", "usr/local/bin", "var/lib/dermedge")


# The ELF header of an aarch64 program; O, C and F: open it, with its own rights, by the interpreter as opened here.
BINFMT = (
    r":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    r":$(command -v qemu-aarch64-static):OCF"
)
ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
ENTER_EMULATED = f"""set -e
mount -t proc proc /proc
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf %s "{BINFMT}" >/proc/sys/fs/binfmt_misc/register
mount -t proc proc "$0/proc"
mount --rbind /sys "$0/sys"
mount --bind "$0/cpuinfo" "$0/proc/cpuinfo"
exec chroot "$0" "$@"
"""


class Debian:
    """A root to install into, with what a person would see of it."""

    def __init__(self, folder: Path, emulated: bool) -> None:
        self.folder = folder
        self.emulated = emulated

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        own = ["unshare", "--net", "--mount", "--pid", "--fork"]
        line = [*own, "--user", "--map-root-user"] if self.emulated else own
        line += ["sh", "-c", ENTER_EMULATED if self.emulated else ENTER]
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TMPDIR": "/tmp"}
        if self.emulated:
            environment["QEMU_CPU"] = A72.cpu
        return subprocess.run(
            [*line, str(self.folder), *command], env=environment, capture_output=True, text=True, check=False
        )

    def install(self, bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
        shutil.copy(bundle, self.folder / bundle.name)
        done = self.run("sh", f"/{bundle.name}", *options)
        (self.folder / bundle.name).unlink()
        return done

    def version(self) -> str:
        return self.run("dermedge", "--version").stdout.strip()

    def files(self) -> set[str]:
        found = (path for place in PLACES for path in (self.folder / place).rglob("*"))
        # systemd's own folder for enabled units may stay: it is not ours.
        return {str(path.relative_to(self.folder)) for path in found if path.is_symlink() or not path.is_dir()}


@pytest.fixture(scope="module", params=sorted({"aarch64", platform.machine()}, reverse=True))
def architecture(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def bundles(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By version: 0.1.0 and 0.2.0 are sound, the pack of 0.3.0 answers otherwise than it should."""
    built = {}
    wheels = CHECKOUT / "dist" / f"wheels-{architecture}"
    wheels.mkdir(parents=True, exist_ok=True)
    for version in ("0.1.0", "0.2.0", "0.3.0"):
        checkout = tmp_path_factory.mktemp("checkout")
        for name in ("export", "runtime", "tui"):
            shutil.copytree(CHECKOUT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "NOTICE"):
            shutil.copy(CHECKOUT / name, checkout / name)
        source = checkout / "runtime" / "dermedge" / "__init__.py"
        source.write_text(source.read_text().replace('__version__ = "0.1.0"', f'__version__ = "{version}"'))
        pack = tiny_pack.build(checkout / "artifacts" / "compact", id="compact", version=version)
        if version == "0.3.0":
            tiny_pack.edit_manifest(pack, _move_box)
        extra = tiny_pack.build(tmp_path_factory.mktemp("extra") / "tiny", version=version)
        output = tmp_path_factory.mktemp("dist")
        (output / wheels.name).symlink_to(wheels)
        built[version] = build.build(checkout, architecture, [PYTHON], [extra], output)
    return built


def _move_box(document: dict[str, Any]) -> None:
    document["golden"]["photos"][0]["boxes"][0][0] += 30


@pytest.fixture(scope="module")
def bare(architecture: str) -> Path:
    """An untouched Debian, made once."""
    if architecture != platform.machine():
        return arm_root.debian()
    if not (CACHE / "usr" / "bin" / "python3").exists():
        command = ["debootstrap", "--variant=minbase", "--include=python3", SUITE, str(CACHE)]
        subprocess.run(command, check=True)
    return CACHE


@pytest.fixture
def debian(bare: Path, architecture: str, tmp_path: Path) -> Debian:
    subprocess.run(["cp", "-a", str(bare), str(tmp_path / "root")], check=True)
    # What `make arm-test` put there; its links and files are no part of a bare Debian.
    shutil.rmtree(tmp_path / "root" / "site", ignore_errors=True)
    (tmp_path / "root" / "cpuinfo").write_text(A72.cpuinfo())
    return Debian(tmp_path / "root", architecture != platform.machine())


def test_it_installs_upgrades_rolls_back_and_leaves_nothing(debian: Debian, bundles: dict[str, Path]) -> None:
    before = debian.files()

    first = debian.install(bundles["0.1.0"])
    assert first.returncode == 0, first.stderr
    # The loopback, which is down.
    assert debian.run("grep", "-c", ":", "/proc/net/dev").stdout == "1\n"
    assert debian.version() == "dermedge 0.1.0"
    checks = json.loads(debian.run("dermedge", "doctor", "--json").stdout)["checks"]
    assert {check["state"] for check in checks if check["area"] == "pack"} == {"ok"}
    packs = json.loads(debian.run("dermedge", "pack", "list", "--json").stdout)["packs"]
    assert [row["name"][:5] for row in packs if row["id"] == "tiny"] == ["0.1.0"]

    settings = debian.folder / "etc" / "dermedge" / "settings"
    settings.write_text(settings.read_text() + "# mine\n")
    second = debian.install(bundles["0.2.0"])
    assert second.returncode == 0, second.stderr
    assert debian.version() == "dermedge 0.2.0"
    assert settings.read_text().endswith("# mine\n")

    installed = debian.files()
    third = debian.install(bundles["0.3.0"])
    assert third.returncode == 1
    assert "the self-test failed" in third.stderr
    assert "stays in use" in third.stderr.splitlines()[-1]
    assert debian.version() == "dermedge 0.2.0"
    assert debian.files() == installed

    again = debian.install(bundles["0.2.0"])
    assert again.returncode == 0, again.stderr
    assert debian.version() == "dermedge 0.2.0"

    gone = debian.install(bundles["0.2.0"], "--uninstall")
    assert gone.returncode == 0, gone.stderr
    assert debian.files() == before


def test_a_first_installation_that_fails_its_self_test_leaves_nothing(debian: Debian, bundles: dict[str, Path]) -> None:
    before = debian.files()
    done = debian.install(bundles["0.3.0"])
    assert done.returncode == 1
    assert "the self-test failed" in done.stderr
    assert debian.files() == before
    assert not (debian.folder / "opt" / "dermedge").exists()


@pytest.mark.parametrize(
    ("limit", "about"),
    (("size=200M", "MB are needed"), ("nr_inodes=1000", "No space left on device")),
    ids=("known beforehand", "full on the way"),
)
def test_a_full_disk_leaves_nothing(debian: Debian, bundles: dict[str, Path], limit: str, about: str) -> None:
    before = debian.files()
    opt = debian.folder / "opt"
    subprocess.run(["mount", "-t", "tmpfs", "-o", limit, "tmpfs", str(opt)], check=True)
    try:
        done = debian.install(bundles["0.1.0"])
        assert done.returncode == 1
        assert about in done.stderr
        assert list(opt.iterdir()) == []
        assert debian.files() == before
    finally:
        subprocess.run(["umount", str(opt)], check=True)


@pytest.fixture(autouse=True, scope="module")
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.exit("bundle-test needs root, for a namespace and a chroot")
