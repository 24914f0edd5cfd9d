"""The offline bundle on a bare Debian without a network: a real root, in a namespace that has no interface.

Run by `make bundle-test`; it needs root, debootstrap and some minutes, so the ordinary test run leaves it out.
The bundles are built from copies of the checkout, in three versions, each with the embedded pack under that version and
a small pack besides. For aarch64 the root's programs run under qemu, by a binfmt_misc of the namespace's own (Linux
6.7); the machine's stays as it is.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
OLD = "bullseye"
"""Its glibc 2.31 would do; its Python 3.9 does not."""
PIN = "271828\n"

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

    def start(self, *command: str) -> subprocess.Popen[str]:
        own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        line = [*own, "--user", "--map-root-user"] if self.emulated else own
        line += ["sh", "-c", ENTER_EMULATED if self.emulated else ENTER, str(self.folder), *command]
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TMPDIR": "/tmp"}
        if self.emulated:
            environment["QEMU_CPU"] = A72.cpu
            # It is unpacked and not configured: Python would compile Debian's own library on first use.
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return subprocess.Popen(
            line,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*command)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def install(self, bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
        with self.holding(bundle) as name:
            return self.run("sh", name, *options)

    @contextmanager
    def holding(self, bundle: Path) -> Iterator[str]:
        """The bundle lies on the machine, and is gone afterwards."""
        place = self.folder / "tmp" / bundle.name
        shutil.copy(bundle, place)
        yield f"/tmp/{bundle.name}"
        place.unlink()

    def version(self) -> str:
        return self.run("dermedge", "--version").stdout.strip()

    def packs(self) -> dict[str, str]:
        """The version in use of every pack."""
        rows = json.loads(self.run("dermedge", "pack", "list", "--json").stdout)["packs"]
        return {row["id"]: row["name"].partition("-")[0] for row in rows if row["current"]}

    def enabled(self) -> set[str]:
        """Our units that start with the machine; each link leads to a file."""
        links = list(self.folder.glob("etc/systemd/system/multi-user.target.wants/dermedge-*"))
        for link in links:
            current = (self.folder / "opt" / "dermedge" / "current").readlink()
            assert (self.folder / "opt" / "dermedge" / current / "units" / link.name).is_file()
        return {link.name for link in links}

    def files(self) -> dict[str, str]:
        """Every file and link of the whole machine, with its time; folders may stay where they are empty."""
        find = ["find", str(self.folder), "-xdev", "!", "-type", "d", "-printf", r"%P\t%T@ %l\n"]
        text = subprocess.run(find, capture_output=True, text=True, check=True).stdout
        return dict(line.split("\t", 1) for line in text.splitlines())


# On an emulated machine the installation itself is tried; how it is refused and interrupted is the same shell.
HERE = [platform.machine()]
only_here = pytest.mark.parametrize("architecture", HERE, scope="module", indirect=True)


@pytest.fixture(scope="module", params=sorted({"aarch64", *HERE}, reverse=True))
def architecture(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def bundles(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By version: 0.1.0 and 0.2.0 are sound, the embedded pack of 0.3.0 answers otherwise than it should."""
    built = {}
    wheels = CHECKOUT / "dist" / f"wheels-{architecture}"
    wheels.mkdir(parents=True, exist_ok=True)
    for version in ("0.1.0", "0.2.0", "0.3.0"):
        checkout = tmp_path_factory.mktemp("checkout")
        for name in ("artifacts/compact", "docs", "export", "runtime", "tui"):
            shutil.copytree(CHECKOUT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "NOTICE"):
            shutil.copy(CHECKOUT / name, checkout / name)
        source = checkout / "runtime" / "dermedge" / "__init__.py"
        source.write_text(source.read_text().replace('__version__ = "0.1.0"', f'__version__ = "{version}"'))
        pack = checkout / "artifacts" / "compact"
        tiny_pack.edit_manifest(pack, partial(_set_version, version))
        if version == "0.3.0":
            tiny_pack.edit_manifest(pack, _move_box)
        extra = tiny_pack.build(tmp_path_factory.mktemp("extra") / "tiny", version=version)
        output = tmp_path_factory.mktemp("dist")
        (output / wheels.name).symlink_to(wheels)
        built[version] = build.build(checkout, architecture, [PYTHON], [extra], output)
    return built


def _set_version(version: str, document: dict[str, Any]) -> None:
    document["version"] = version


def _move_box(document: dict[str, Any]) -> None:
    document["golden"]["photos"][0]["boxes"][0][0] += 30


@pytest.fixture(scope="module")
def bare(architecture: str) -> Path:
    """An untouched Debian, made once."""
    if architecture != platform.machine():
        return arm_root.debian()
    return unpacked(SUITE, CACHE)


def unpacked(suite: str, folder: Path) -> Path:
    if not (folder / "usr" / "bin" / "python3").exists():
        subprocess.run(["debootstrap", "--variant=minbase", "--include=python3", suite, str(folder)], check=True)
    return folder


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
    assert "the kiosk is prepared and not started" in first.stdout
    # The loopback, which is down.
    assert debian.run("grep", "-c", ":", "/proc/net/dev").stdout == "1\n"
    assert debian.version() == "dermedge 0.1.0"
    checks = json.loads(debian.run("dermedge", "doctor", "--json").stdout)["checks"]
    assert {check["state"] for check in checks if check["area"] == "pack"} == {"ok"}
    assert debian.packs() == {"compact": "0.1.0", "tiny": "0.1.0"}
    assert debian.enabled() == {"dermedge-selftest.service"}

    settings = debian.folder / "etc" / "dermedge" / "settings"
    settings.write_text(settings.read_text() + "# mine\n")
    second = debian.install(bundles["0.2.0"])
    assert second.returncode == 0, second.stderr
    assert debian.version() == "dermedge 0.2.0"
    assert debian.packs() == {"compact": "0.2.0", "tiny": "0.2.0"}
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


@only_here
def test_a_first_installation_that_fails_its_self_test_leaves_nothing(debian: Debian, bundles: dict[str, Path]) -> None:
    before = debian.files()
    done = debian.install(bundles["0.3.0"])
    assert done.returncode == 1
    assert "the self-test failed" in done.stderr
    assert debian.files() == before
    assert not (debian.folder / "opt" / "dermedge").exists()


@only_here
def test_a_pin_makes_a_kiosk_and_a_desk_has_none(debian: Debian, bundles: dict[str, Path]) -> None:
    before = debian.files()
    pin = debian.folder / "srv" / "pin"
    settings = debian.folder / "var" / "lib" / "private" / "dermedge-kiosk" / "kiosk.json"

    pin.write_text("12\n")
    refused = debian.install(bundles["0.1.0"], "--pin-file", "/srv/pin")
    assert refused.returncode == 1
    assert "no PIN was set" in refused.stderr
    pin.unlink()
    assert debian.files() == before

    pin.write_text(PIN)
    first = debian.install(bundles["0.1.0"], "--pin-file", "/srv/pin")
    assert first.returncode == 0, first.stderr
    assert debian.enabled() == {"dermedge-selftest.service", "dermedge-kiosk.service"}
    assert settings.stat().st_mode & 0o777 == 0o600
    assert PIN.strip() not in settings.read_text()
    known = settings.read_text()

    second = debian.install(bundles["0.2.0"])
    assert second.returncode == 0, second.stderr
    assert debian.enabled() == {"dermedge-selftest.service", "dermedge-kiosk.service"}
    assert settings.read_text() == known

    desk = debian.install(bundles["0.2.0"], "--no-kiosk")
    assert desk.returncode == 0, desk.stderr
    assert debian.enabled() == {"dermedge-selftest.service"}
    assert not (debian.folder / "etc" / "systemd" / "system" / "dermedge-kiosk.service").is_symlink()

    gone = debian.install(bundles["0.2.0"], "--uninstall")
    assert gone.returncode == 0, gone.stderr
    pin.unlink()
    assert debian.files() == before


STEPS = (
    "opt/dermedge/.incoming.*/locks",
    "opt/dermedge/0.2.0-*/bin/python3",
    "opt/dermedge/0.2.0-*/lib/python3*/site-packages/onnxruntime",
    "opt/dermedge/0.2.0-*/units/dermedge-kiosk.service",
    "opt/dermedge/0.2.0-*/packs/tiny/0.2.0-*",
    "opt/dermedge/0.2.0-*/.tested",
    "opt/dermedge/current/lib/python3*/site-packages/dermedge-0.2.0*",
)


def kill_at(step: str, debian: Debian, bundle: Path) -> None:
    """An installation, ended as soon as a file shows that it has come so far."""
    with debian.holding(bundle) as name:
        process = debian.start("sh", name)
        while process.poll() is None and not list(debian.folder.glob(step)):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL, step


@only_here
def test_an_upgrade_that_is_killed_leaves_one_version_whole(debian: Debian, bundles: dict[str, Path]) -> None:
    """SIGKILL at each step; the runtime and its packs are of one version afterwards, and the next upgrade finishes."""
    before = debian.files()
    assert debian.install(bundles["0.1.0"]).returncode == 0
    seen = []
    for step in STEPS:
        kill_at(step, debian, bundles["0.2.0"])
        version = debian.version().removeprefix("dermedge ")
        assert debian.packs() == {"compact": version, "tiny": version}, step
        assert debian.run("dermedge", "doctor").returncode == 0, step
        seen.append(version)
    # Between the last two steps it may be either: the one is seen a moment late.
    assert seen == [*["0.1.0"] * (len(STEPS) - 2), seen[-2], "0.2.0"]

    done = debian.install(bundles["0.2.0"])
    assert done.returncode == 0, done.stderr
    folders = {path.name for path in (debian.folder / "opt" / "dermedge").iterdir()}
    assert len(folders) == 3, folders  # the two installations, and the link
    assert debian.install(bundles["0.2.0"], "--uninstall").returncode == 0
    assert debian.files() == before


@only_here
def test_a_first_installation_that_is_killed_is_finished_by_the_next(debian: Debian, bundles: dict[str, Path]) -> None:
    before = debian.files()
    for step in ("opt/dermedge/0.2.0-*/bin/python3", "etc/dermedge/settings", "opt/dermedge/current"):
        kill_at(step, debian, bundles["0.2.0"])
    assert debian.install(bundles["0.2.0"]).returncode == 0
    assert debian.version() == "dermedge 0.2.0"
    assert debian.install(bundles["0.2.0"], "--uninstall").returncode == 0
    assert debian.files() == before


@only_here
def test_a_second_installation_at_the_same_time_is_refused(debian: Debian, bundles: dict[str, Path]) -> None:
    with debian.holding(bundles["0.1.0"]) as name:
        process = debian.start("sh", name)
        while process.poll() is None and not list(debian.folder.glob("opt/dermedge/0.1.0-*/bin")):
            time.sleep(0.01)
        second = debian.run("sh", name)
        _, errors = process.communicate()
    assert second.returncode == 1
    assert second.stderr == "dermedge: another installation is running\n"
    assert process.returncode == 0, errors
    assert debian.version() == "dermedge 0.1.0"


@only_here
def test_a_system_that_is_too_old_is_refused(tmp_path: Path, architecture: str, bundles: dict[str, Path]) -> None:
    subprocess.run(["cp", "-a", str(unpacked(OLD, CACHE.with_name(OLD))), str(tmp_path / "root")], check=True)
    old = Debian(tmp_path / "root", emulated=False)
    before = old.files()
    done = old.install(bundles["0.1.0"])
    assert done.returncode == 1
    assert done.stderr == f"dermedge: none of Python {PYTHON} is here; install the system's python3\n"
    # As on a system with an older C library still: getconf is all that is asked.
    getconf = old.folder / "usr" / "bin" / "getconf"
    getconf.rename(getconf.with_suffix(".real"))
    getconf.write_text("#!/bin/sh\necho glibc 2.27\n")
    getconf.chmod(0o755)
    done = old.install(bundles["0.1.0"])
    assert done.returncode == 1
    assert done.stderr == "dermedge: glibc 2.28 or newer is needed and this system has 2.27\n"
    getconf.with_suffix(".real").rename(getconf)
    assert old.files() == before


@only_here
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
