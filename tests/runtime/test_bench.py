from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_pack
from dermedge.bench import GENERATED, Measured, generate, measure, spread, table, write_submission
from dermedge.cli import main
from dermedge.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "mole.jpg"
    tiny_pack.skin_with_spots(("melanoma", 300, 220, 90), size=(640, 480)).save(path, quality=95)
    return path


@pytest.fixture(scope="module")
def measured(pack: Path, photo: Path) -> Measured:
    # Parent memory must not count: these 400 MB would show in the new process's peak if it did.
    ballast = np.ones(50_000_000)
    found = measure(pack=str(pack), photo=photo, repeat=3, threads=1, low_memory=True, cold_starts=1)
    assert ballast.any()
    return found


def test_the_generated_photograph_is_the_same_every_time_and_a_jpeg() -> None:
    first = generate(640, 480)
    assert first == generate(640, 480)
    picture = Image.open(io.BytesIO(first))
    assert (picture.format, picture.size) == ("JPEG", (640, 480))
    spot, skin = (np.asarray(picture)[y, x].astype(int).sum() for x, y in ((224, 216), (600, 440)))
    assert spot < skin - 100


def test_every_step_and_the_whole_are_measured(measured: Measured) -> None:
    steps = {"decode", "quality", "detector", "crop", "tower", "scorer", "triage", "saliency", "total"}
    assert steps <= measured.steps.keys()
    assert all(0 <= step.p50 <= step.p95 for step in measured.steps.values())
    assert measured.steps["total"].p50 >= measured.steps["detector"].p50
    assert measured.ratio == pytest.approx(measured.steps["total"].p50 / measured.decode.p50, rel=0.01)
    assert (measured.scans, measured.threads, measured.low_memory, measured.lesions) == (3, 1, True, 1)
    assert (measured.photo, measured.provider) == ("mole.jpg", "CPUExecutionProvider")


def test_the_cold_start_is_a_new_process_with_a_memory_of_its_own(measured: Measured) -> None:
    assert measured.cold_start.p50 > measured.steps["total"].p50
    assert 30 < measured.peak_mb < 300


def test_json_is_complete_and_the_table_shows_every_figure(measured: Measured) -> None:
    found = json.loads(json.dumps(measured.as_json(), allow_nan=False))
    assert found["steps"]["total"]["p95"] == measured.steps["total"].p95
    assert {"photo", "pack", "provider", "threads", "decode", "ratio", "cold_start", "peak_mb"} <= found.keys()
    text = table(measured)
    for name in (*measured.steps, "Pillow's full decode", "total / full decode", "cold start", "peak memory"):
        assert name in text
    assert f"{measured.ratio:.2f}" in text
    assert "generated" in GENERATED


def test_percentiles_are_in_milliseconds() -> None:
    spread_of = spread([0.001 * n for n in range(1, 101)])
    assert spread_of.p50 == pytest.approx(50.5)
    assert spread_of.p95 == pytest.approx(95.05)


def test_a_photograph_that_cannot_be_compared_is_refused(pack: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    tiny_pack.plain((9, 9, 9)).save(picture)
    for path, message in ((picture, "is no JPEG"), (tmp_path / "missing.jpg", "cannot be read")):
        with pytest.raises(UsageError, match=message):
            measure(pack=str(pack), photo=path)


def test_what_is_handed_back_holds_figures_and_machine_and_names_nobody(measured: Measured, tmp_path: Path) -> None:
    write_submission(measured, tmp_path / "out.json")
    text = (tmp_path / "out.json").read_text()
    found = json.loads(text)
    assert found["schema"] == 1
    assert found["measured"]["steps"]["total"]["p95"] == measured.steps["total"].p95
    assert len(found["measured"]["digest"]) == 64
    assert found["machine"]["libraries"]["numpy"] == np.__version__
    assert "mole.jpg" not in text  # a photograph's name may be a person's
    assert socket.gethostname() not in text
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_the_generated_photograph_is_named_since_every_machine_can_make_it(measured: Measured, tmp_path: Path) -> None:
    write_submission(replace(measured, photo=GENERATED), tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["measured"]["photo"] == GENERATED


def test_a_place_that_does_not_exist_is_refused_before_anything_is_measured(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere" / "out.json"
    assert main(["bench", "--pack", str(pack), "--submit-file", str(missing)]) == 2
    assert capsys.readouterr().err.strip().endswith("its folder does not exist; make it, or give another place")


def test_the_command_line_writes_the_file_and_still_prints_the_table(
    pack: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    command = ["bench", "--pack", str(pack), "--photo", str(photo), "--repeat", "1", "--submit-file", str(out)]
    assert main(command) == 0
    assert "cold start" in capsys.readouterr().out
    assert json.loads(out.read_text())["measured"]["scans"] == 1


def test_the_embedded_pack_keeps_to_its_memory() -> None:
    """A new process for each, on 12 megapixels: 300 MB, and 200 MB with --low-memory."""
    plain, low = (measure(repeat=1, cold_starts=1, low_memory=low_memory) for low_memory in (False, True))
    assert plain.lesions == low.lesions > 0
    assert plain.peak_mb <= 300
    assert low.peak_mb <= 200


GROWTH = """
import re
from pathlib import Path
from dermedge import Scanner

def own_mb():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

photos = [path.read_bytes() for path in sorted(Path("artifacts/samples").glob("*.jpg"))]
with Scanner.open(low_memory=True, threads=2) as scanner:
    scanner.scan(photos[0], name="first")
    first = own_mb()
    for photo in photos * 4:
        scanner.scan(photo, name="next")
    print(first, own_mb())
"""


def test_with_little_memory_a_box_that_scans_all_day_does_not_grow() -> None:
    """The C library would keep what is freed in pieces, and after twenty photographs half as much again."""
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True, cwd=ROOT)
    first, later = map(float, done.stdout.split())
    assert later < 1.25 * first
    assert later < 110
