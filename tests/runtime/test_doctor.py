from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny_pack
from dermedge import doctor
from dermedge.cli import main
from dermedge.doctor import cgroup_limit, examine, table
from dermedge.errors import GoldenMismatch
from dermedge.golden import Check, require_golden, self_test
from dermedge.report import Style
from dermedge.scanner import Scanner


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return tiny_pack.build(tmp_path / "tiny")


def states(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_a_sound_box_passes(pack: Path) -> None:
    checks = examine(str(pack))
    found = states(checks)
    assert {name: state for name, state in found.items() if state == "fail"} == {}
    for name in ("python", "numpy", "pillow", "onnxruntime", "pack", "golden/phone.png", "cpu", "threads"):
        assert found[name] == "ok"
    for name in ("memory", "terminal", "camera", "pack store"):
        assert found[name] in ("ok", "note")
    assert max(check.exit_status for check in checks) == 0


def test_providers_that_are_not_there_are_a_note_and_say_where_to_find_them(pack: Path) -> None:
    [cuda] = [check for check in examine(str(pack)) if check.name == "cuda"]
    assert cuda.state == "note"
    assert "onnxruntime-gpu" in cuda.detail


def moved_box(document: dict[str, Any]) -> None:
    document["golden"]["photos"][0]["boxes"][0][0] += 30


def other_probabilities(document: dict[str, Any]) -> None:
    shares = document["golden"]["photos"][0]["probabilities"][0]
    shares["melanoma"], shares["melanocytic-nevus"] = shares["melanocytic-nevus"], shares["melanoma"]


def one_lesion_fewer(document: dict[str, Any]) -> None:
    document["detector"]["max_lesions"] = 1


def biased_scoring(document: dict[str, Any]) -> None:
    document["scoring"]["dermoscopy"]["bias"][4] = 40.0


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (moved_box, "boxes off by 30.0 px"),
        (other_probabilities, r"probabilities off by 0\.9"),
        (one_lesion_fewer, r"1 lesion\(s\) found instead of 2"),
        (biased_scoring, r"probabilities off by"),
    ],
)
def test_a_pack_that_answers_otherwise_than_it_should_fails(
    pack: Path, change: Callable[[dict[str, Any]], None], detail: str
) -> None:
    tiny_pack.edit_manifest(pack, change)
    with Scanner.open(pack) as scanner:
        failed = [check for check in self_test(scanner) if check.state == "fail"]
        with pytest.raises(GoldenMismatch, match=detail):
            require_golden(scanner)
    assert len(failed) == 1
    assert re.search(detail, failed[0].detail)
    assert "do not use it" in failed[0].remedy
    assert failed[0].exit_status == 4


def test_embeddings_that_differ_fail(pack: Path) -> None:
    import numpy as np

    vectors = np.load(pack / "golden/phone.npy")
    file = io.BytesIO()
    np.save(file, np.roll(vectors, 1, axis=0))
    tiny_pack.replace_file(pack, "golden/phone.npy", file.getvalue())
    with Scanner.open(pack) as scanner:
        assert states(self_test(scanner)) == {"golden/dermoscopy.png": "ok", "golden/phone.png": "fail"}


def test_an_altered_pack_fails_and_nothing_of_it_is_run(pack: Path) -> None:
    (pack / "graphs/tower.onnx").write_bytes(b"something else")
    found = states(examine(str(pack)))
    assert found["pack"] == "fail"
    assert "golden/phone.png" not in found


def test_an_uncalibrated_pack_is_a_note(tmp_path: Path) -> None:
    raw = tiny_pack.build(tmp_path / "raw", calibrated=False)
    [check] = [check for check in examine(str(raw)) if check.name == "pack"]
    assert check.state == "note" and "never reassures" in check.detail


def pretend(folder: Path, distribution: str, version: str) -> None:
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("distribution", "version", "name", "detail"),
    [
        ("numpy", "1.26.4", "numpy", "1.26.4 is too old"),
        ("pillow", "12.2.0", "pillow", "12.2.0 is too old"),
        ("onnxruntime-gpu", "1.31.1", "onnxruntime", "overwrite each other's files"),
    ],
)
def test_an_environment_changed_behind_its_back_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distribution: str, version: str, name: str, detail: str
) -> None:
    pretend(tmp_path, distribution, version)
    monkeypatch.syspath_prepend(str(tmp_path))
    checks = examine(None)
    [failed] = [check for check in checks if check.state == "fail"]
    assert failed.name == name and detail in failed.detail
    assert failed.remedy
    assert failed.exit_status == 1
    assert "pack" not in states(checks), "with a broken installation the pack cannot be judged"


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "1073741824\n"}, 1024),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "536870912\n"}, 512),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_memory_limit_is_read(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cgroup_limit(tmp_path) == limit


def test_the_table_has_a_line_a_check_and_what_to_do_beneath_a_failure() -> None:
    checks = [
        Check("pack", "pack", "fail", "altered \x1b[2J", "Install it again."),
        Check("camera", "camera", "note", "none"),
    ]
    lines = table(checks, Style()).splitlines()
    assert lines[0] == "FAIL  pack    altered \\x1b[2J"
    assert lines[1].strip() == "-> Install it again."
    assert lines[2] == "note  camera  none"
    assert lines[-1] == "1 of 2 checks failed"
    assert table(checks[1:], Style()).endswith("everything that is needed works")


def test_the_command_prints_the_checks_and_exits_by_them(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--pack", str(pack)]) == 0
    assert "golden/phone.png" in capsys.readouterr().out
    assert main(["doctor", "--pack", str(tmp_path / "missing"), "--json"]) == 4
    checks = json.loads(capsys.readouterr().out)["checks"]
    [failed] = [check for check in checks if check["state"] == "fail"]
    assert failed["name"] == "pack" and failed["remedy"]
    assert {"area", "name", "state", "detail", "remedy"} == failed.keys()


def test_the_least_versions_are_those_that_the_package_declares() -> None:
    declared = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for name, (major, minor) in doctor.LEAST.items():
        assert re.search(rf'"{name}>={major}\.{minor}\b', declared), name


def test_a_missing_library_is_diagnosed_and_not_a_crash() -> None:
    command = "import sys; sys.modules['numpy'] = None; from dermedge.cli import main; sys.exit(main(['doctor']))"
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == ""
    assert re.search(r"^FAIL +numpy", run.stdout, re.MULTILINE)
    assert "pip install --force-reinstall numpy" in run.stdout
