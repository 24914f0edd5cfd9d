"""The bundle's head, which checks and unpacks, and the installer, run below a folder instead of the whole machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dermedge_export.bundle import build, lock

HERE = platform.machine()
MARKER = "sh_was_here"
INSTALLER = f'touch "$DERMEDGE_ROOT/{MARKER}"\n'


def bundle(folder: Path, *, architecture: str = HERE, kilobytes: int = 0, installer: str = INSTALLER) -> Path:
    """A bundle whose installer only leaves a mark, or does as it is told."""
    target = folder / f"dermedge-9.9.9-{architecture}.run"
    files: dict[str, bytes | Path] = {"install.sh": installer.encode(), "wheels/some.whl": bytes(range(256)) * 40}
    build.write(target, files, "9.9.9", architecture, kilobytes)
    return target


def run(file: Path, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | {"DERMEDGE_ROOT": str(root)}
    # An altered head may write where it should not: there, and nowhere else.
    cwd = file.parent
    return subprocess.run(
        ["sh", str(file), *options],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], root: Path, about: str) -> None:
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert about in line
    assert list(root.iterdir()) == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_a_whole_bundle_runs_its_installer_and_leaves_nothing_else(tmp_path: Path, root: Path) -> None:
    done = run(bundle(tmp_path), root)
    assert (done.returncode, done.stderr) == (0, "")
    assert (root / MARKER).exists()
    assert list(root.glob("opt/dermedge/*")) == []


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    first = bundle(tmp_path).read_bytes()
    assert bundle(tmp_path).read_bytes() == first


def test_check_says_what_it_is_and_changes_nothing(tmp_path: Path, root: Path) -> None:
    done = run(bundle(tmp_path), root, "--check")
    assert (done.returncode, done.stdout) == (0, f"dermedge 9.9.9 for {HERE}: whole\n")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("kept", (0.999, 0.9, 0.5))
def test_a_bundle_cut_short_is_refused(tmp_path: Path, root: Path, kept: float) -> None:
    file = bundle(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    assert_refused(run(file, root), root, "damaged or cut short")


def test_a_byte_altered_anywhere_in_the_payload_is_refused(tmp_path: Path, root: Path) -> None:
    file = bundle(tmp_path)
    data = file.read_bytes()
    start = (build.HERE / "head.sh").read_text().count("\n")
    first = len(b"\n".join(data.split(b"\n")[:start]))
    for place in (*range(first + 1, len(data), len(data) // 20), len(data) - 1):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert_refused(run(file, root), root, "damaged or cut short")


def test_a_byte_altered_anywhere_in_the_head_installs_nothing(tmp_path: Path, root: Path) -> None:
    """The head cannot vouch for its own check: still, no single flipped bit gets the installer to run."""
    file = bundle(tmp_path)
    data = file.read_bytes()
    checked = data.index(b"case ")
    for place in (*range(checked), *range(checked, data.index(b"\n}\n"), 13)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        run(file, root)
        assert list(root.iterdir()) == [], data[max(0, place - 20) : place + 20]


def test_another_architecture_is_refused(tmp_path: Path, root: Path) -> None:
    other = "aarch64" if HERE != "aarch64" else "x86_64"
    assert_refused(run(bundle(tmp_path, architecture=other), root), root, f"is for {other} and this machine is {HERE}")


def test_no_space_is_refused_before_anything_is_unpacked(tmp_path: Path, root: Path) -> None:
    (root / "opt").mkdir()
    done = run(bundle(tmp_path, kilobytes=2**40), root)
    assert done.returncode == 1
    assert "MB are needed" in done.stderr
    assert list(root.rglob("*")) == [root / "opt"]


@pytest.mark.parametrize(
    "options",
    (("--prefix",), ("--check", "--uninstall"), ("--pin-file",), ("--no-kiosk", "--pin-file", "x"), ("", "")),
    ids=" ".join,
)
def test_an_unknown_option_is_refused(tmp_path: Path, root: Path, options: tuple[str, ...]) -> None:
    assert_refused(run(bundle(tmp_path), root, *options), root, "option")


def test_a_file_without_a_pin_in_it_is_refused_before_anything_else(tmp_path: Path, root: Path) -> None:
    done = run(bundle(tmp_path), root, "--pin-file", str(tmp_path / "absent"))
    assert_refused(done, root, "the file with the PIN cannot be read")


def test_the_options_reach_the_installer(tmp_path: Path, root: Path) -> None:
    (tmp_path / "my pin").write_text("271828\n")
    file = bundle(tmp_path, installer='printf "%s|" "$@"\n')
    assert run(file, root, "--pin-file", str(tmp_path / "my pin")).stdout == f"--pin-file|{tmp_path / 'my pin'}|"
    assert run(file, root, "--no-kiosk").stdout == "--no-kiosk|"


def test_a_second_installation_at_the_same_time_is_refused(tmp_path: Path, root: Path) -> None:
    file = bundle(tmp_path, installer=INSTALLER + f'while [ -e "$DERMEDGE_ROOT/{MARKER}" ]; do sleep 0.05; done\n')
    environment = dict(os.environ) | {"DERMEDGE_ROOT": str(root)}
    with subprocess.Popen(["sh", str(file)], env=environment) as first:
        while not (root / MARKER).exists():
            assert first.poll() is None
        for options in ((), ("--uninstall",)):
            second = run(file, root, *options)
            assert (second.returncode, second.stderr) == (1, "dermedge: another installation is running\n")
        assert first.poll() is None
        (root / MARKER).unlink()
    assert first.returncode == 0
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


def test_what_a_killed_installation_left_is_cleared_by_the_next(tmp_path: Path, root: Path) -> None:
    home = root / "opt" / "dermedge"
    for left in (".incoming.abcdef", "9.9.9-11111111", "9.9.8-00000000"):
        (home / left / "bin").mkdir(parents=True)
    (home / "9.9.8-00000000" / ".tested").touch()
    (home / "current").symlink_to("9.9.8-00000000")
    done = run(bundle(tmp_path), root)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in home.iterdir()} == {"9.9.8-00000000", "current"}


def test_a_failing_installer_is_what_the_bundle_answers(tmp_path: Path, root: Path) -> None:
    done = run(bundle(tmp_path, installer="echo no >&2; exit 7\n"), root)
    assert (done.returncode, done.stderr) == (7, "no\n")
    assert not (root / "opt" / "dermedge").exists()


def want_a_newer_libc(files: dict[str, bytes | Path]) -> None:
    files["glibc"] = b"2.99\n"


def drop_locks(files: dict[str, bytes | Path]) -> None:
    files["locks/cp32.txt"] = b""


def alter_a_wheel(files: dict[str, bytes | Path]) -> None:
    files["locks/cp3" + platform.python_version_tuple()[1] + ".txt"] = b"numpy==2.4.6 --hash=sha256:" + b"0" * 64


@pytest.mark.parametrize(
    ("change", "about"),
    (
        (want_a_newer_libc, f"glibc 2.99 or newer is needed and this system has {platform.libc_ver()[1]}"),
        (drop_locks, "install the system's python3"),
        (alter_a_wheel, "the wheels cannot be installed"),
    ),
    ids=("old glibc", "no Python", "a wheel missing"),
)
def test_what_cannot_be_installed_leaves_nothing(
    tmp_path: Path, root: Path, change: Callable[[dict[str, bytes | Path]], None], about: str
) -> None:
    files: dict[str, bytes | Path] = {path.name: path for path in (build.HERE / "install.sh", *build.BOX)}
    files |= {"name": b"9.9.9-00000000\n", "glibc": b"2.17\n"}
    change(files)
    target = tmp_path / "dermedge.run"
    build.write(target, files, "9.9.9", HERE)
    done = run(target, root)
    assert done.returncode == 1
    assert about in done.stderr
    assert [path for path in root.rglob("*") if not path.is_dir()] == []
    assert not (root / "opt" / "dermedge").exists()


@pytest.mark.parametrize("architecture", lock.ARCHITECTURES)
@pytest.mark.parametrize("python", lock.PYTHONS)
def test_every_lock_pins_by_hash_what_the_runtime_imports(architecture: str, python: str) -> None:
    rows = lock.path(architecture, python).read_text().splitlines()
    for row in rows:
        assert re.fullmatch(r"[\w.-]+==[\w.+]+ --hash=sha256:[0-9a-f]{64}", row)
    names = {row.partition("==")[0] for row in rows}
    assert {"numpy", "onnxruntime", "pillow", "pip", "textual"} <= names


def test_the_needed_glibc_is_that_of_the_most_demanding_wheel() -> None:
    names = ["a-1-py3-none-any.whl", "b-1-cp311-cp311-manylinux1_x86_64.whl"]
    assert build.needed_glibc(names[:1]) == "2.0"
    assert build.needed_glibc(names) == "2.5"
    assert build.needed_glibc([*names, "c-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"]) == "2.17"
    # With two tags it runs on the older of the two.
    assert build.needed_glibc(["d-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"]) == "2.27"


@pytest.mark.parametrize("path", build.BOX, ids=lambda path: path.name)
def test_units_name_only_what_an_installation_has(path: Path) -> None:
    installed = {f"/opt/dermedge/current/{name}" for name in ("dermedge", "BOX.md", "foot.ini")}
    assert set(re.findall(r"@ROOT@([\w./-]+)", path.read_text())) <= installed
    assert not re.search(r"(?<!@ROOT@)/opt", path.read_text())
