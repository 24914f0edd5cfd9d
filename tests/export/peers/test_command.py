"""One short run of the whole bench on the embedded pack, without OpenVINO: figures, chart and document."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dermedge import UsageError
from dermedge_export.peers import chart, command
from dermedge_export.peers.document import in_words
from dermedge_export.peers.figures import BASE, OURS, OURS_LOW, goals, ratio
from dermedge_export.peers.race import Entry, race

ROOT = Path(__file__).parents[3]
PACK, SAMPLES = ROOT / "artifacts" / "compact", ROOT / "artifacts" / "samples"


def options(folder: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    paths = ["--pack", PACK, "--photos", SAMPLES, "--room", folder / "room", "--docs", folder / "docs"]
    return parser.parse_args([*map(str, paths), "--rounds", "1", "--cold-starts", "1", *more])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers")
    assert command.run(options(folder)) == 0
    return folder


@pytest.fixture(scope="module")
def figures(done: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((done / "docs" / "benchmarks.json").read_text())
    return found


def test_every_contestant_ran_the_same_scan(figures: dict[str, Any]) -> None:
    rows = figures["compact"]["contestants"]
    others = {"torch fp32 eager, channels last", "torch bf16 eager", "ONNX Runtime, its defaults"}
    assert {BASE, OURS, OURS_LOW, *others} == rows.keys()
    assert figures["compact"]["left_out"] == {}
    for row in rows.values():
        assert row["crops"] == rows[OURS]["crops"] > 0
        assert all(spread["p50"] > 0 for spread in row["scan_ms"].values())
        assert 0 < row["private_mb"] <= row["peak_mb"]


def test_torch_answers_exactly_as_the_float_graph_and_ours_nearly(figures: dict[str, Any]) -> None:
    rows = figures["compact"]["contestants"]
    assert figures["compact"]["sameness"]["torch"] < 1e-4
    assert rows[BASE]["agreement"]["cosine"] == 1.0
    assert rows["ONNX Runtime, its defaults"]["agreement"]["cosine"] > 0.9999
    # One view after the other is added up in another order than eight at once, and int8 rounds some the other way.
    for ours in (rows[OURS]["agreement"], rows[OURS_LOW]["agreement"]):
        assert ours["cosine"] > 0.999 and ours["malignant_shift"] < 0.02
        assert ours["box_pixels"] == 0 and ours["other_boxes"] == 0


def test_the_parts_of_a_scan_add_up_to_it(figures: dict[str, Any]) -> None:
    ours = figures["compact"]["contestants"][OURS]
    [total] = ours["raw_ms"][command.BIG]
    assert sum(ours["steps_ms"].values()) == pytest.approx(total, abs=0.1)
    assert ours["steps_ms"]["tower network"] > 0 and ours["steps_ms"]["detector network"] > 0


def test_the_document_shows_goals_machine_and_computed_costs(done: Path, figures: dict[str, Any]) -> None:
    text = (done / "docs" / "BENCHMARKS.md").read_text()
    for name in figures["compact"]["contestants"]:
        assert name in text
    assert "Not measured yet: `make bench-peers WIDE=1`" in text
    assert figures["versions"]["torch"] in text
    [pi] = re.findall(r"^\| Raspberry Pi 4 \| compact scan .*", text, re.MULTILINE)
    assert "| computed |" in pi
    assert text.count("| computed |") == 4


def test_what_decoding_at_a_fraction_saves_is_measured_not_remembered(done: Path, figures: dict[str, Any]) -> None:
    found = figures["compact"]["decoding"]
    assert found["scale"] == 0.5 and found["crops"] == figures["compact"]["contestants"][OURS]["crops"]
    assert 0 < found["fraction"]["reading"] < found["full"]["reading"]
    assert found["decoder"]["half"] <= found["fraction"]["reading"] * 1.2
    text = (done / "docs" / "BENCHMARKS.md").read_text()
    reading = f"| {found['full']['reading']:.1f} | {found['fraction']['reading']:.1f} |"
    assert f"| reading: decode, upright, sRGB, array {reading}" in text


def test_the_chart_is_drawn_within_its_frame(done: Path) -> None:
    root = ElementTree.parse(done / "docs" / "pictures" / "benchmarks.svg").getroot()
    width, height = (float(side) for side in root.attrib["viewBox"].split()[2:])
    shapes = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(shapes) > 10
    for shape in shapes:
        left, top = float(shape.get("x", 0)), float(shape.get("y", 0))
        assert left + float(shape.attrib["width"]) <= width and top + float(shape.attrib["height"]) <= height


def test_a_figure_handed_back_stands_beside_the_computed_ones(figures: dict[str, Any]) -> None:
    from dermedge_export.peers.submissions import Submission

    cpu = "CPUExecutionProvider"
    pi = Submission("Raspberry Pi 4", "compact 0.1.0", cpu, False, "mine", 1, 812.4, 900.1, 2000, 161)
    [line] = re.findall(r"^\| Raspberry Pi 4 \| compact 0.1.0: .*", in_words(figures, [pi]), re.MULTILINE)
    assert "| measured | 812 (p95 900) | 161 |" in line and "another photograph" in line


def test_the_document_is_rewritten_from_the_last_figures_without_measuring(
    figures: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="measure first"):
        command.run(options(tmp_path, "--no-measure"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "benchmarks.json").write_text(json.dumps(figures))
    assert command.run(options(tmp_path, "--no-measure")) == 0
    assert (tmp_path / "docs" / "BENCHMARKS.md").read_text() == in_words(figures, [])
    assert not (tmp_path / "room").exists()


def test_wide_figures_of_an_earlier_run_are_kept_and_drawn(figures: dict[str, Any]) -> None:
    row = {"megabytes": 439.0, "load_seconds": 0.4, "cold_seconds": 1.2, "peak_mb": 600.0, "private_mb": 110.0,
           "seconds": 1.0, "cosine": 1.0, "centred_cosine": 1.0}  # fmt: skip
    names = {"ours": "dermedge: int8", "ours_low": "dermedge low"}
    timed = {BASE: 5.5, "ONNX Runtime fp32": 2.4, "OpenVINO int8 weights only": 1.0}
    timed |= dict.fromkeys(names.values(), 1.0)
    rows = {name: {**row, "seconds": seconds} for name, seconds in timed.items()}
    wide = {**names, "contestants": rows, "rounds": 1, "crops": 3, "date": "2020-01-01", "load": 0.0,
            "operations": {"int8": 1, "floating": 1, "weights": 1}}  # fmt: skip
    text = in_words({**figures, "wide": wide}, [])
    assert "| wide tower, times torch fp32 eager | at least 5 | 5.50 | reached |" in text
    assert "Wide tower" in chart.draw({**figures, "wide": wide})


def test_figures_of_a_busy_machine_say_so(figures: dict[str, Any]) -> None:
    busy, idle = ({**figures, "load": load} for load in (1e3, 0.0))
    assert "**The machine was busy**" in in_words(busy, [])
    assert "busy machine" in chart.draw(busy)
    assert "busy" not in in_words(idle, []) + chart.draw(idle)
    for goal in goals(busy):
        assert (goal.verdict == "not judged: busy machine") == goal.timed
    assert any(goal.timed for goal in goals(busy)) and not all(goal.timed for goal in goals(busy))


def test_a_contestant_that_cannot_run_is_left_out_with_its_reason(done: Path) -> None:
    [room] = (done / "room").iterdir()
    entries = [Entry("broken", "torch-float32", "/bin/false"), Entry(OURS, "dermedge", sys.executable)]
    runs, left_out = race(
        entries, {"one": [next(SAMPLES.glob("*.jpg"))]}, pack=PACK, networks=room, threads=1, rounds=1, cold_starts=1,
        say=lambda _: None,
    )  # fmt: skip
    assert runs.keys() == {OURS}
    assert left_out == {"broken": "broken does not run: no reason given"}


def test_a_contestant_that_hangs_is_stopped_and_left_out(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [room] = (done / "room").iterdir()
    asleep = tmp_path / "asleep"
    asleep.write_text("#!/bin/sh\nexec sleep 600\n")
    asleep.chmod(0o755)
    monkeypatch.setattr("dermedge_export.peers.race.LONGEST", 0.5)
    _, left_out = race(
        [Entry("asleep", "dermedge", str(asleep))], {"one": [next(SAMPLES.glob("*.jpg"))]}, pack=PACK, networks=room,
        threads=1, rounds=1, cold_starts=1, say=lambda _: None,
    )  # fmt: skip
    assert left_out == {"asleep": "asleep does not run: no reason given"}


def test_no_photographs_and_no_openvino_are_errors_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.jpg"):
        command.run(options(tmp_path, "--photos", str(tmp_path)))
    with pytest.raises(UsageError, match="has no openvino and nncf"):
        command.run(options(tmp_path, "--openvino", sys.executable))


def test_a_ratio_is_taken_within_each_round() -> None:
    """A round in which everything took ten times as long says the same as the others."""
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2.0
