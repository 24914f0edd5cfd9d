"""The offline bundle on a Debian that is booted: systemd as process 1, in namespaces without a network.

Run by `make bundle-test`; it needs root, debootstrap, cgroup v2 and a virtual console (/dev/tty1), on which the kiosk
appears: what it shows is read back from the console's own memory. The machine's own systemd, if any, is not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from export.bare_debian import CACHE, PIN, SUITE, as_root, bundles

__all__ = ["as_root", "bundles"]

ROOT = CACHE.with_name("booted")
PACKAGES = "python3,systemd,systemd-sysv,dbus,libpam-systemd,procps"
CGROUPS = next(path for path in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if path.is_dir())
KIOSK = "dermedge-kiosk.service"
SETTINGS = "/var/lib/private/dermedge-kiosk/kiosk.json"
INVITATION = "A spot on your skin"
PATIENCE = 120.0
"""Seconds: the machine may be busy."""

# $0 the Debian, $1 what changes, $2 the bundles, $3 "ro" for a root that nothing can be written to.
BOOT = r"""set -e
device() { mknod -m "$1" "dev/$2" c "$3" "$4"; }
mount --make-rprivate /
mkdir -p "$1/up" "$1/work" "$1/machine"
mount -t overlay overlay -o lowerdir="$0",upperdir="$1/up",workdir="$1/work" "$1/machine"
cd "$1/machine"
mkdir -p media/bundles
mount --bind "$2" media/bundles
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
device 666 null 1 3
device 666 zero 1 5
device 666 full 1 7
device 666 random 1 8
device 666 urandom 1 9
device 666 tty 5 0
device 600 tty0 4 0
device 600 tty1 4 1
device 600 console 4 1
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -sf /dev/null etc/systemd/system/console-getty.service
if [ "$3" = ro ]; then
    # A partition of its own.
    mkdir "$1/private"
    cp -a var/lib/private/. "$1/private"
    mount --bind "$1/private" var/lib/private
    for place in tmp var/tmp var/log var/lib/systemd; do mount -t tmpfs tmpfs "$place"; done
    mount -o remount,ro .
fi
pivot_root . mnt
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c 'umount -l /mnt; exec /sbin/init'
"""


class Machine:
    """A Debian with systemd; what is installed on it survives its being switched off."""

    def __init__(self, folder: Path, shelf: Path) -> None:
        self.folder = folder
        self.shelf = shelf
        self._group = CGROUPS / f"dermedge-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0

    def boot(self, root: str = "rw") -> None:
        self.folder.mkdir(exist_ok=True)
        self._group.mkdir()
        enter = ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
        line = [*enter, "sh", "-c", BOOT, str(ROOT), str(self.folder), str(self.shelf), root]
        shell = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self._group), *line]
        self._process = subprocess.Popen(shell, stdin=subprocess.DEVNULL, start_new_session=True)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self.wait("the first process", lambda: bool(children.read_text().split()))
        self._init = int(children.read_text().split()[0])
        self.wait("systemd", lambda: self.call("systemctl", "is-system-running").stdout in ("running\n", "degraded\n"))

    def switch_off(self) -> None:
        """As by pulling the plug."""
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._group.is_dir():
            self.wait("an empty cgroup", lambda: "populated 0" in (self._group / "cgroup.events").read_text())
            for inner, _, _ in os.walk(self._group, topdown=False):
                Path(inner).rmdir()

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--target={self._init}", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]
        line = [*enter, "--root", "--wd", "env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *command]
        return subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def run(self, *command: str) -> str:
        done = self.call(*command)
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def install(self, version: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.call("sh", f"/media/bundles/{version}.run", *options)

    def version(self) -> str:
        return self.run("dermedge", "--version").strip()

    def kiosk(self, name: str) -> str:
        """A property of its unit."""
        return self.run("systemctl", "show", f"--property={name}", "--value", KIOSK).strip()

    def serves(self) -> bool:
        return self.kiosk("ActiveState") == "active"

    def status(self, process: str) -> dict[str, str]:
        """What the kernel says of a process."""
        rows = (line.partition(":") for line in self.run("cat", f"/proc/{process}/status").splitlines())
        return {name: value.strip() for name, _, value in rows}

    @staticmethod
    def screen() -> str:
        """What stands on the first console."""
        return Path("/dev/vcsu1").read_bytes().decode("utf-32-le")

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert self._process is None or self._process.poll() is None, f"the machine went down before {what}"
            assert time.monotonic() < end, f"{what} did not come in {PATIENCE:.0f} s"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def architecture() -> str:
    """The bundles' own; another one cannot be booted here."""
    return os.uname().machine


@pytest.fixture
def machine(tmp_path: Path, bundles: dict[str, Path]) -> Iterator[Machine]:
    if not (ROOT / "usr" / "bin" / "systemctl").exists():
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(ROOT)], check=True)
    shelf = tmp_path / "bundles"
    shelf.mkdir()
    for version, bundle in bundles.items():
        shutil.copy(bundle, shelf / f"{version}.run")
    (shelf / "pin").write_text(PIN)
    machine = Machine(tmp_path / "machine", shelf)
    try:
        machine.boot()
        yield machine
    finally:
        machine.switch_off()


@contextmanager
def override(machine: Machine, text: str) -> Iterator[None]:
    """A drop-in of this test's own."""
    folder = f"/run/systemd/system/{KIOSK}.d"
    write = f'mkdir -p {folder}; printf "%s" "$1" >{folder}/test.conf; systemctl daemon-reload'
    machine.run("sh", "-c", write, "-", text)
    yield
    machine.run("sh", "-c", f"rm -r {folder}; systemctl daemon-reload")


def test_a_kiosk_is_walled_in_and_lives_through_hangs_upgrades_and_power_cuts(machine: Machine) -> None:
    first = machine.install("0.1.0", "--pin-file", "/media/bundles/pin")
    assert first.returncode == 0, first.stderr
    assert machine.serves()
    machine.wait("the first screen", lambda: INVITATION in machine.screen())

    process = machine.kiosk("MainPID")
    status = machine.status(process)
    assert "0" not in status["Uid"].split()
    assert (status["CapEff"].strip("0"), status["NoNewPrivs"], status["Seccomp"]) == ("", "1", "2")
    interfaces = machine.run("cat", f"/proc/{process}/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    mounts = [line.split() for line in machine.run("cat", f"/proc/{process}/mountinfo").splitlines()]
    assert [mount[5].split(",")[0] for mount in mounts if mount[4] == "/"] == ["ro"]

    # One that hangs is killed and started again.
    with override(machine, "[Service]\nWatchdogSec=10\n"):
        machine.run("systemctl", "restart", KIOSK)
        process = machine.kiosk("MainPID")
        machine.run("kill", "-STOP", process)
        machine.wait("the watchdog", lambda: machine.kiosk("NRestarts") == "1" and machine.serves())
        assert machine.kiosk("MainPID") != process
    machine.run("systemctl", "restart", KIOSK)

    # An upgrade that fails does not so much as interrupt it.
    process = machine.kiosk("MainPID")
    failed = machine.install("0.3.0")
    assert failed.returncode == 1
    assert "the self-test failed" in failed.stderr
    assert (machine.kiosk("MainPID"), machine.version()) == (process, "dermedge 0.1.0")

    # One that passes starts it anew, once, with the settings that it had.
    settings = machine.run("cat", SETTINGS)
    upgrade = machine.install("0.2.0")
    assert upgrade.returncode == 0, upgrade.stderr
    assert machine.serves()
    assert (machine.kiosk("MainPID") != process, machine.version()) == (True, "dermedge 0.2.0")
    assert machine.run("cat", SETTINGS) == settings

    # Nothing but systemd's own lines is in the journal.
    lines = machine.run("journalctl", f"--unit={KIOSK}", "--output=json").splitlines()
    assert {json.loads(line)["_PID"] for line in lines} == {"1"}

    # It comes back by itself, and needs no root that can be written to.
    for root in ("rw", "ro"):
        machine.switch_off()
        machine.boot(root)
        machine.wait("the kiosk after a power cut", machine.serves)
        machine.wait("the first screen", lambda: INVITATION in machine.screen())
    machine.switch_off()
    machine.boot()

    gone = machine.install("0.2.0", "--uninstall")
    assert gone.returncode == 0, gone.stderr
    assert machine.run("sh", "-c", "find / -xdev -name '*dermedge*' -not -path '/media/*'") == ""
    machine.wait("the login", lambda: "login:" in machine.screen())


def test_the_units_are_sound(machine: Machine) -> None:
    done = machine.install("0.1.0")
    assert done.returncode == 0, done.stderr
    assert not machine.serves()
    units = (KIOSK, "dermedge-selftest.service")
    verified = machine.call("systemd-analyze", "verify", *units)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    for unit in units:
        report = machine.run("systemd-analyze", "security", "--no-pager", unit)
        assert float(report.split("Overall exposure level for ")[1].split()[1]) <= 1.0, unit
