from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tiny_pack
from dermedge.errors import GoldenMismatch, PackError, PackFileAltered, PackNotFound, PackStoreError
from dermedge.pack import store
from dermedge.pack.verify import verify


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same pack in three versions; not to be written to."""
    folder = tmp_path_factory.mktemp("versions")
    return {v: tiny_pack.build(folder / v, version=v, external_data=True) for v in ("1.0", "2.0", "3.0")}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERMEDGE_PACKS", str(tmp_path / "store"))
    return tmp_path / "store"


def version_of(folder: Path) -> str:
    return verify(folder).manifest.version


def kept(root: Path) -> set[str]:
    return {entry.name.partition("-")[0] for entry in (root / "tiny").iterdir()}


def test_an_installed_pack_is_found_and_whole(versions: dict[str, Path], root: Path) -> None:
    folder = store.install(versions["1.0"])
    digest = verify(folder).manifest.digest
    assert folder == root / "tiny" / f"1.0-{digest[:8]}" == store.find("tiny")
    assert digest == verify(versions["1.0"]).manifest.digest
    assert store.listing() == (store.Installed("tiny", folder.name, folder, current=True),)


def test_only_listed_files_are_copied(pack: Path) -> None:
    (pack / "notes.txt").write_text("mine")
    folder = store.install(pack)
    copied = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert copied == {*tiny_pack.read_manifest(pack)["files"], "pack.json"}


def test_an_update_keeps_exactly_the_version_before(versions: dict[str, Path], root: Path) -> None:
    for version in ("1.0", "2.0", "3.0"):
        store.install(versions[version])
        assert version_of(store.find("tiny")) == version
    assert kept(root) == {"current", "2.0", "3.0"}
    assert [(p.name[:3], p.current) for p in store.listing()] == [("3.0", True), ("2.0", False)]


def test_rollback_goes_back_and_forth(versions: dict[str, Path]) -> None:
    store.install(versions["1.0"])
    store.install(versions["2.0"])
    for expected in ("1.0", "2.0", "1.0"):
        assert version_of(store.rollback("tiny")) == expected
        assert version_of(store.find("tiny")) == expected


def test_rollback_needs_an_unharmed_version_to_go_to(versions: dict[str, Path], root: Path) -> None:
    with pytest.raises(PackNotFound, match="no pack tiny is installed"):
        store.rollback("tiny")
    first = store.install(versions["1.0"])
    with pytest.raises(PackStoreError, match="no previous version"):
        store.rollback("tiny")
    store.install(versions["2.0"])
    (first / "card.md").write_text("x")
    with pytest.raises(PackFileAltered):
        store.rollback("tiny")
    assert version_of(store.find("tiny")) == "2.0"


def test_installing_what_is_current_changes_nothing(versions: dict[str, Path], root: Path) -> None:
    store.install(versions["1.0"])
    store.install(versions["2.0"])
    before = sorted((path, path.stat().st_mtime_ns, path.stat().st_ino) for path in (root / "tiny").rglob("*"))
    store.install(versions["2.0"])
    assert before == sorted((p, p.stat().st_mtime_ns, p.stat().st_ino) for p in (root / "tiny").rglob("*"))


def test_installing_the_previous_version_makes_it_current(versions: dict[str, Path], root: Path) -> None:
    for version in ("1.0", "2.0", "1.0"):
        store.install(versions[version])
    assert version_of(store.find("tiny")) == "1.0"
    assert version_of(store.rollback("tiny")) == "2.0"


def test_a_damaged_pack_is_repaired_by_installing_it_again(versions: dict[str, Path], root: Path) -> None:
    store.install(versions["1.0"])
    for _ in range(3):
        damaged = store.install(versions["2.0"])
        (damaged / "card.md").write_text("x")
        assert verify(store.install(versions["2.0"])).manifest.version == "2.0"
        assert version_of(store.find("tiny")) == "2.0"
        assert not damaged.exists()
    assert version_of(store.rollback("tiny")) == "1.0"


def test_a_damaged_previous_version_is_repaired_by_installing_it(versions: dict[str, Path], root: Path) -> None:
    damaged = store.install(versions["1.0"])
    store.install(versions["2.0"])
    (damaged / "card.md").write_text("x")
    assert version_of(store.install(versions["1.0"])) == "1.0"
    assert version_of(store.rollback("tiny")) == "2.0"
    assert not damaged.exists()


def test_another_pack_in_its_place_is_replaced(versions: dict[str, Path], root: Path) -> None:
    mistaken = store.install(versions["1.0"])
    shutil.rmtree(mistaken)
    shutil.copytree(versions["2.0"], mistaken)
    assert version_of(store.find("tiny")) == "2.0"
    assert version_of(store.install(versions["1.0"])) == "1.0" == version_of(store.find("tiny"))


def test_a_broken_pack_never_gets_in(versions: dict[str, Path], pack: Path) -> None:
    store.install(versions["1.0"])
    (pack / "card.md").write_text("x")
    with pytest.raises(PackFileAltered):
        store.install(pack)
    assert version_of(store.find("tiny")) == "1.0"


def test_a_failing_selftest_keeps_the_old_pack(versions: dict[str, Path], root: Path) -> None:
    store.install(versions["1.0"])
    tested: list[str] = []

    def selftest(folder: Path) -> None:
        tested.append(version_of(folder))
        raise GoldenMismatch("this machine gives other answers")

    with pytest.raises(GoldenMismatch):
        store.install(versions["2.0"], selftest=selftest)
    assert tested == ["2.0"]
    assert version_of(store.find("tiny")) == "1.0"
    assert kept(root) == {"current", "1.0"}


def test_a_passed_selftest_lets_the_pack_in(versions: dict[str, Path]) -> None:
    tested: list[Path] = []
    folder = store.install(versions["1.0"], selftest=tested.append)
    assert len(tested) == 1
    assert version_of(folder) == "1.0"


def test_a_removed_pack_is_gone(versions: dict[str, Path], root: Path) -> None:
    store.install(versions["1.0"])
    store.install(versions["2.0"])
    store.remove("tiny")
    assert store.listing() == ()
    assert not (root / "tiny").exists()
    for missing in ("tiny", "../store", "", ".lock"):
        with pytest.raises(PackNotFound):
            store.remove(missing)


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "{}", '{"current": 5, "previous": null}', '{"current": "../x", "previous": null}',
               '{"current": "x", "previous": "/etc"}', "\udcff"],
)  # fmt: skip
def test_a_damaged_marker_is_an_error_and_not_another_pack(versions: dict[str, Path], root: Path, damage: str) -> None:
    store.install(versions["1.0"])
    (root / "tiny" / "current").write_text(damage, errors="surrogateescape")
    for use in (lambda: store.find("tiny"), store.listing, lambda: store.install(versions["2.0"])):
        with pytest.raises(PackStoreError, match="dermedge pack remove tiny"):
            use()
    store.remove("tiny")
    assert version_of(store.install(versions["2.0"])) == "2.0"


def test_a_pack_is_found_by_path(versions: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = versions["1.0"]
    assert store.find(folder) == store.find(str(folder)) == store.find(folder / "pack.json") == folder
    monkeypatch.chdir(folder.parent)
    assert store.find("1.0").resolve() == folder
    for missing in ("nothing", folder / "golden", "", "/", ".."):
        with pytest.raises(PackNotFound):
            store.find(missing)


def place_module(monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
    monkeypatch.setattr(store, "__file__", str(package / "pack" / "store.py"))


def test_without_a_name_the_default_pack_is_found(
    versions: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place_module(monkeypatch, tmp_path / "site" / "dermedge")
    for wanted in (None, "compact"):
        with pytest.raises(PackNotFound, match="dermedge pack install"):
            store.find(wanted)

    checkout = tmp_path / "checkout"
    shutil.copytree(versions["1.0"], checkout / "artifacts" / "compact")
    place_module(monkeypatch, checkout / "runtime" / "dermedge")
    with pytest.raises(PackNotFound):
        store.find()
    (checkout / "pyproject.toml").touch()
    assert store.find() == store.find("compact") == store.embedded() == checkout / "artifacts" / "compact"

    shutil.copytree(versions["1.0"], checkout / "runtime" / "dermedge" / "packs" / "compact")
    assert store.find() == checkout / "runtime" / "dermedge" / "packs" / "compact"

    installed = store.install(tiny_pack.build(tmp_path / "own", id="compact"))
    assert store.find() == store.find("compact") == installed


def test_packs_live_where_the_person_or_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.root() == tmp_path / "store"
    monkeypatch.delenv("DERMEDGE_PACKS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert store.root() == tmp_path / "xdg" / "dermedge" / "packs"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for relative in ("", "data"):
        monkeypatch.setenv("XDG_DATA_HOME", relative)
        assert store.root() == tmp_path / "home" / ".local" / "share" / "dermedge" / "packs"


def test_a_store_that_cannot_be_written_is_named(versions: dict[str, Path], root: Path) -> None:
    root.write_text("a file where the folder should be")
    with pytest.raises(PackStoreError, match="DERMEDGE_PACKS"):
        store.install(versions["1.0"])
    assert store.listing() == ()


# Run in a process of its own: every install happens in a forked child that is killed at one step.
KILLING = """
import json, os, shutil, signal, sys
from pathlib import Path
from dermedge.errors import PackNotFound
from dermedge.pack import store
from dermedge.pack.verify import verify

old, new, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
start = work / "start"
os.environ["DERMEDGE_PACKS"] = str(start)
start.mkdir(parents=True)
if old:
    store.install(Path(old))

def use(name):
    shutil.copytree(start, work / name)
    os.environ["DERMEDGE_PACKS"] = str(work / name)
    return work / name

use("counted")
steps = []
store.install(Path(new), step=steps.append)
outcomes = []
for victim in range(len(steps)):
    root = use(f"killed{victim}")
    child = os.fork()
    if child == 0:
        seen = []
        def step(name):
            seen.append(name)
            if len(seen) == victim + 1:
                os.kill(os.getpid(), signal.SIGKILL)
        store.install(Path(new), step=step)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (victim, status)
    try:
        found = verify(store.find("tiny")).manifest.version
    except PackNotFound:
        found = None
    listed = [verify(pack.path).manifest.version for pack in store.listing()]
    again = verify(store.install(Path(new))).manifest.version
    left = sorted(entry.name.partition("-")[0] for entry in (root / "tiny").iterdir())
    outcomes.append([steps[victim], found, listed, again, left])
    shutil.rmtree(root)
print(json.dumps(outcomes))
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where the system has such a place: dozens of installs wait for no disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("update", [True, False])
def test_killed_at_any_step_the_old_or_the_new_pack_is_current(
    versions: dict[str, Path], quick_folder: Path, update: bool
) -> None:
    old = str(versions["1.0"]) if update else ""
    done = python(KILLING, old, str(versions["2.0"]), str(quick_folder / "work"))
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    before, after = ("1.0", ["1.0"]) if update else (None, [])
    switched = [step for step, *_ in outcomes].index("rename marker") + 1
    for number, (step, found, listed, again, left) in enumerate(outcomes):
        expected = (before, after) if number < switched else ("2.0", ["2.0", *after])
        assert (found, listed) == expected, step
        assert again == "2.0", step
        assert left == sorted(["2.0", *after, "current"]), step
    steps = " ".join(step for step, *_ in outcomes)
    for part in ("write graphs/tower.bin", "fsync graphs/tower.bin", "fsync pack.json", "fsync graphs/",
                 "fsync marker", "rename 2.0-", "rename marker", "fsync tiny/", "clear"):  # fmt: skip
        assert part in steps


FULL = """
import resource, sys
from pathlib import Path
from dermedge.errors import PackStoreError
from dermedge.pack import store

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    store.install(Path(sys.argv[1]))
except PackStoreError as error:
    print(error)
    sys.exit(4)
"""


@pytest.mark.parametrize("limit", [0, 10, 1000, 5000, 100_000])
def test_a_full_disk_leaves_the_old_pack_and_no_rest(versions: dict[str, Path], root: Path, limit: int) -> None:
    store.install(versions["1.0"])
    done = python(FULL, str(versions["2.0"]), str(limit))
    assert (done.returncode, done.stderr) == (4, "")
    assert "installing tiny failed: File too large" in done.stdout
    assert version_of(store.find("tiny")) == "1.0"
    assert kept(root) == {"current", "1.0"}


def test_too_little_room_is_known_beforehand(
    versions: dict[str, Path], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(root.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(PackStoreError, match="Make room"):
        store.install(versions["1.0"])
    assert list((root / "tiny").iterdir()) == []


INSTALL = "import sys; from pathlib import Path; from dermedge.pack import store; store.install(Path(sys.argv[1]))"


def test_installs_at_the_same_time_wait_for_each_other(versions: dict[str, Path], root: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", INSTALL, str(versions[v])], stderr=subprocess.PIPE, text=True)
        for v in ("1.0", "2.0", "3.0", "1.0", "2.0", "3.0")
    ]
    for process in running:
        assert (process.communicate(timeout=120)[1], process.returncode) == ("", 0)
    current, previous = store.listing()
    assert version_of(current.path) != version_of(previous.path)
    assert kept(root) == {"current", version_of(current.path), version_of(previous.path)}


@pytest.mark.parametrize("failing", ["fsync card.md", "fsync tiny/", "rename marker", "fsync marker"])
def test_a_failing_disk_is_reported_and_the_old_pack_stays(versions: dict[str, Path], root: Path, failing: str) -> None:
    store.install(versions["1.0"])

    def step(name: str) -> None:
        if name == failing:
            raise OSError(5, "Input/output error")

    with pytest.raises(PackStoreError, match="Input/output error"):
        store.install(versions["2.0"], step=step)
    assert version_of(store.find("tiny")) == "1.0"
    assert kept(root) == {"current", "1.0"}


def test_a_disk_that_does_not_confirm_the_switch_is_reported_as_that(versions: dict[str, Path], root: Path) -> None:
    store.install(versions["1.0"])
    switched: list[str] = []

    def step(name: str) -> None:
        if switched and name == "fsync tiny/":
            raise OSError(5, "Input/output error")
        if name == "rename marker":
            switched.append(name)

    with pytest.raises(PackStoreError, match=r"^2\.0-\w+ is current now, but the disk did not confirm it"):
        store.install(versions["2.0"], step=step)
    assert version_of(store.find("tiny")) == "2.0"
    assert kept(root) == {"current", "1.0", "2.0"}


def test_an_interrupted_install_clears_up(versions: dict[str, Path], root: Path) -> None:
    def step(name: str) -> None:
        if name == "fsync pack.json":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.install(versions["1.0"], step=step)
    with pytest.raises(PackNotFound):
        store.find("tiny")
    assert list((root / "tiny").iterdir()) == []


def test_a_pack_that_changes_while_it_is_copied_is_refused(pack: Path, root: Path) -> None:
    def swap(name: str) -> None:
        if name == "fsync card.md":
            tiny_pack.edit_manifest(pack, lambda d: d.update(intended_use="something else"))

    def truncate(name: str) -> None:
        if name == "fsync card.md":
            (pack / "graphs/tower.onnx").write_bytes(b"")

    changes: dict[Callable[[str], None], type[PackError]] = {swap: PackStoreError, truncate: PackFileAltered}
    for step, error in changes.items():
        with pytest.raises(error):
            store.install(pack, step=step)
        with pytest.raises(PackNotFound):
            store.find("tiny")
