"""The whole of `make export` on a small checkpoint: a pack that the runtime serves, the same bytes, or nothing."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import tiny_pack
import tiny_siglip
from dermedge import Scanner, UsageError
from dermedge.golden import require_golden
from dermedge.pack import verify
from dermedge_export.cli import main
from dermedge_export.siglip import export, labelled
from dermedge_export.siglip.lesion_parts import from_pack
from dermedge_export.siglip.load import load


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack whose detector is taken, with its golden photographs as samples."""
    return tiny_pack.build(tmp_path_factory.mktemp("source") / "tiny")


def order(out: Path, tiny: Path) -> export.Order:
    """With the gates that a real export has to keep."""
    return export.Order(out=out, detector=str(tiny), samples=tiny / "golden", crops=10)


@pytest.fixture(scope="module")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("artifacts") / "tiny-medsiglip"
    export.export(load(str(tiny_siglip.shared())), order(out, tiny))
    yield out


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_runtime_serves_the_pack_and_says_that_it_is_uncalibrated(exported: Path, tiny: Path) -> None:
    with Scanner.open(exported, provider="cpu") as scanner:
        require_golden(scanner)
        scan = scanner.scan(tiny / "golden" / "phone.png", modality="phone")
    assert not scan.pack.calibrated
    assert scan.verdict.level != "watch"
    for lesion in scan.lesions:
        assert len(lesion.scores.probabilities) == 16
        assert not lesion.scores.calibrated


def test_the_pack_says_where_it_comes_from_and_carries_the_terms(exported: Path) -> None:
    pack = verify(exported)
    manifest = pack.manifest
    assert manifest.source.model == "tiny-medsiglip"
    assert manifest.source.revision.startswith("sha256:")
    assert {"torch", "transformers", "optimum-onnx", "onnxruntime"} <= set(manifest.created_with)
    assert manifest.licences[0].name.startswith("Health AI Developer Foundations")
    notice = pack.read("NOTICE-HAI-DEF.txt").decode()
    assert "https://developers.google.com/health-ai-developer-foundations/terms" in notice
    assert "Modified" in notice
    card = pack.read(manifest.card).decode()
    assert "No figure on real MedSigLIP weights" in card
    melanoma = manifest.conditions[0]
    assert len(melanoma.prompts) == 11 and melanoma.prompts[0].startswith("Dermoscopy image")
    assert all(cut.data.startswith("not measured") for cut in (manifest.triage["phone"].refer,))


def test_the_report_stands_beside_the_pack(exported: Path) -> None:
    report = json.loads(exported.with_name("tiny-medsiglip-report.json").read_text())
    shipped = [rung for rung in report["rungs"] if rung["shipped"]]
    assert len(shipped) == 1
    assert shipped[0]["megabytes"] > 0 and shipped[0]["seconds"] > 0 and shipped[0]["peak_mb"] > 30
    assert report["pack"]["digest"] == verify(exported).manifest.digest
    assert "torch" in report["made_with"]
    assert report["calibration"]["phone"] == "no labelled photographs were given"
    words = exported.with_name("tiny-medsiglip-report.md").read_text()
    assert "shipped" in words and "uncalibrated" in words and "Health AI" in words
    assert sorted(p.name for p in exported.parent.iterdir()) == [
        "tiny-medsiglip", "tiny-medsiglip-report.json", "tiny-medsiglip-report.md"
    ]  # fmt: skip


def test_labelled_photographs_calibrate_the_kind_that_they_show(exported: Path, tiny: Path, tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photographs")
    plain = order(tmp_path / "out" / "tiny-medsiglip", tiny)
    calibrated = replace(plain, calibrate=folder)
    manifest, report = export.export(load(str(tiny_siglip.shared())), calibrated)
    assert manifest.scoring["phone"].calibrated
    assert manifest.triage["phone"].refer.sensitivity is not None
    assert manifest.triage["phone"].refer.positives == 12
    assert not manifest.scoring["dermoscopy"].calibrated
    assert "no labelled lesions" in report.calibration["dermoscopy"]
    assert report.zero_shot is not None
    worth = report.zero_shot["phone"]["melanoma"]
    assert worth["photographs"] == 12 and len(worth["descriptions"]) == 5
    # Calibration does not touch these.
    for name in ("prompts.npy", "rejects.npy", "modalities.npy"):
        assert (exported / name).read_bytes() == (calibrated.out / name).read_bytes(), name


def test_two_fresh_processes_write_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    """With other hash seeds, in other folders: whatever depended on either would differ."""
    made = []
    for seed in ("1", "2"):
        out = tmp_path / seed / "tiny-medsiglip"
        command = [
            sys.executable, "-m", "dermedge_export.cli", "medsiglip", "--model", str(tiny_siglip.shared()),
            "--out", str(out), "--detector", str(tiny), "--samples", str(tiny / "golden"), "--crops", "10",
        ]  # fmt: skip
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        made.append(bytes_of(out))
    assert made[0].keys() == made[1].keys() and "pack.json" in made[0] and "tower.onnx.data" in made[0]
    assert [name for name in made[0] if made[0][name] != made[1][name]] == []


def photographs(folder: Path) -> Path:
    folder.mkdir()
    rows = [("file", "label", "modality", "x", "y", "width", "height", "lesion")]
    for label in ("melanoma", "melanocytic-nevus"):
        for i in range(12):
            name = f"{label}-{i}.png"
            tiny_pack.skin_with_spots((label, 128, 128, 40 + i), seed=i).save(folder / name)
            rows.append((name, label, "phone", "78", "78", "100", "100", f"{label} {i}"))
    tiny_pack.plain((90, 120, 200)).save(folder / "wall.png")
    rows.append(("wall.png", "no-lesion", "phone", "", "", "", "", ""))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "labels.csv: has no rows"),
        ("file,label\na.png,warts\n", "lacks a column"),
        ("file,label,modality\na.png,measles,phone\n", "unknown label 'measles'; there are warts"),
        ("file,label,modality\na.png,warts,phone\n", "line 2: a.png is not in the folder"),
        ("file,label,modality\nlabels.csv,warts,xray\n", "modality 'xray' is neither"),
        ("file,label,modality,x,y,width,height\nlabels.csv,warts,phone,1,2,wide,4\n", "needs a number each"),
    ],
)
def test_a_faulty_calibration_folder_is_one_line(rows: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(rows)
    with pytest.raises(UsageError, match=said) as caught:
        labelled.read(tmp_path, ["warts"])
    assert "\n" not in str(caught.value)


def test_a_dry_run_says_what_it_needs_and_writes_nothing(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["medsiglip", "--model", str(tiny_siglip.shared()), "--out", str(tmp_path / "pack"), "--dry-run"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "MB of memory" in said and "uncalibrated" in said and "melanoma" in said
    assert list(tmp_path.iterdir()) == []


def test_faults_reach_the_person_as_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["medsiglip", "--model", str(tmp_path), "--out", str(tmp_path / "pack")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("medsiglip: ") and "config.json is missing" in said and said.count("\n") == 1


def test_a_name_that_no_pack_can_have_is_said_before_anything_is_made(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a pack's id"):
        export.export(load(str(tiny_siglip.shared())), replace(order(tmp_path / "pack", tiny), id="my model"))
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_is_noticed_before_anything_is_made(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(export.shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    with pytest.raises(UsageError, match="1 MB are free and about"):
        export.export(load(str(tiny_siglip.shared())), order(tmp_path / "pack", tiny))
    assert list(tmp_path.iterdir()) == []


def test_interrupted_it_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "artifacts" / "pack"
    command = [
        sys.executable, "-m", "dermedge_export.cli", "medsiglip", "--model", str(tiny_siglip.shared()),
        "--out", str(out), "--detector", str(tiny), "--samples", str(tiny / "golden"), "--crops", "8",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("quantization"):
                break
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        said = child.stderr.read()
    assert child.returncode == 130
    assert "medsiglip: interrupted; nothing was written" in said
    assert "Traceback" not in said
    assert list(out.parent.iterdir()) == []


@cache
def detector_checkpoint(folder: Path, classes: int) -> Path:
    import torch

    from dermedge_export.yolo import new_model

    torch.manual_seed(0)
    model = new_model()
    model.names = {i: "lesion" if classes == 1 else f"thing {i}" for i in range(classes)}
    path = folder / f"detector-{classes}.pt"
    torch.save({"model": model}, path)
    return path


def test_a_detector_that_knows_other_things_than_lesions_is_refused(tmp_path: Path) -> None:
    from dermedge_export.siglip.lesion_parts import from_checkpoint

    with pytest.raises(UsageError, match="find no lesion"):
        from_checkpoint(detector_checkpoint(tmp_path, 80), [])
    with pytest.raises(UsageError, match="no such file"):
        from_checkpoint(tmp_path / "none.pt", [])


def test_a_lesion_detector_is_shipped_in_int8_only_where_its_boxes_stay(tmp_path: Path, tiny: Path) -> None:
    import numpy as np
    from PIL import Image

    from dermedge_export.siglip.lesion_parts import BOX_PIXELS, from_checkpoint

    pictures = [np.asarray(Image.open(p).convert("RGB")) for p in sorted((tiny / "golden").glob("*.png"))]
    parts = from_checkpoint(detector_checkpoint(tmp_path, 1), pictures)
    assert parts.figures["weights"] == "float16" or parts.figures["int8_moves_boxes_by_pixels"] <= BOX_PIXELS
    assert parts.licences[0].name == "AGPL-3.0"
    assert len(parts.graphs[parts.detector.graph]) < 8e6


def test_a_packs_detector_brings_its_own_terms(tiny: Path) -> None:
    parts = from_pack(str(tiny))
    assert set(parts.graphs) == {"graphs/detector.onnx", "graphs/encoder.onnx", "graphs/decoder.onnx"}
    assert parts.licences
