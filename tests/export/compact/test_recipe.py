"""From labelled photographs to a pack that scans, killed on the way and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

import tiny_collections
import tiny_pack
from dermedge import Scanner
from dermedge.pack import verify
from dermedge_export import card
from dermedge_export.compact.about import PROSE
from dermedge_export.compact.batches import BatchSettings
from dermedge_export.compact.detect import DetectorSettings
from dermedge_export.compact.export_tower import ExportSettings
from dermedge_export.compact.measure_detector import MeasureSettings
from dermedge_export.compact.network import NetworkSettings
from dermedge_export.compact.recipe import Places, Recipe, make, within
from dermedge_export.compact.soup import SoupSettings
from dermedge_export.compact.train import TrainSettings

COMPACT = Path(__file__).parents[3] / "artifacts" / "compact"
LITE0 = NetworkSettings("lite0", dimension=16)
SHORT = TrainSettings(epochs=3, steps=16, sizes=((1.0, 64),), freeze_after=0.0, warmup=2, average=0.6, evaluate_every=9)
TINY = Recipe(
    network=LITE0,
    batches=BatchSettings(batch=24, ham=0.5, isic=0.1, pad=0.3),
    trunk=replace(SHORT, epochs=4, until=0.5),
    branches=(replace(SHORT, epochs=2), replace(SHORT, epochs=1)),
    averaging=SoupSettings(size=64, batches=4),
    left_out_network=LITE0,
    left_out=TrainSettings(epochs=1, steps=2, sizes=((1.0, 64),), evaluate_every=9),
    export=ExportSettings(size=64, views=1, compared_views=(1,), calibration_crops=40, balanced_accuracy_cost=1.0,
                          auc_cost=1.0),
    detector=DetectorSettings(side=96, dermoscopy=60, phone=40, close=4, composed=8, negatives=12, bare=4, blank=4,
                              validation_dermoscopy=4, validation_composed=2, epochs=3, batch=8, learning_rate=2e-3,
                              bfloat16=False),
    measuring=MeasureSettings(side=96, dermoscopy_outlines=2, runs=1),
    bf16=False,
)  # fmt: skip


def test_runs_share_the_minutes_by_the_epochs_that_they_really_run() -> None:
    timed = within(TINY, 50.0)
    spent = [run.minutes * run.until for run in (timed.trunk, *timed.branches) if run.minutes is not None]
    assert spent == pytest.approx([50 * 2 / 5, 50 * 2 / 5, 50 * 1 / 5])
    assert replace(timed, trunk=TINY.trunk, branches=TINY.branches) == TINY


def build(room: Path) -> None:
    places = Places(room / "data", room / "work", room / "coco.safetensors", room / "samples", room / "compact")
    make(places, TINY, release="0.0.1", workers=1)


def folded_weights(path: Path) -> None:
    """The embedded pack's detector in the layout of the COCO weights: an untrained one would find nothing so soon."""
    named = {}
    for tensor in onnx.load(COMPACT / "detector.onnx").graph.initializer:
        if tensor.name.startswith("model.model."):
            values = torch.from_numpy(onnx.numpy_helper.to_array(tensor).astype(np.float32))
            named[tensor.name.removeprefix("model.").removesuffix("_half")] = values
    save_file(named, path)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    tiny_collections.build(tmp_path / "data", a_class=3, train=3)
    (tmp_path / "samples").mkdir()
    picture = tiny_pack.skin_with_spots(("melanoma", 96, 90, 34), size=(192, 192))
    (tmp_path / "samples" / "melanoma.jpg").write_bytes(tiny_collections.encoded(picture, "JPEG"))
    (tmp_path / "samples" / "ATTRIBUTION.md").write_text("Drawn.\n")
    folded_weights(tmp_path / "coco.safetensors")
    return tmp_path


def killed_in_the_middle_of(stage: Path, room: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(tiny_collections.__file__).parent)}
    process = subprocess.Popen([sys.executable, __file__, str(room)], env=environment, start_new_session=True)
    while not stage.exists():
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_build_that_is_killed_twice_still_ends_in_a_pack_that_scans(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_in_the_middle_of(room / "work" / "branch-1" / "last.pt", room)
    killed_in_the_middle_of(room / "work" / "detector" / "scenes" / "images", room)
    tower = (room / "work" / "tower.pt").read_bytes()
    build(room)
    said = capsys.readouterr().out
    assert "tower: average the branches              done" in said
    assert "tower: quantize and calibrate            done" in said
    assert (room / "work" / "tower.pt").read_bytes() == tower, "the finished tower was trained again"
    pack = verify(room / "compact")
    assert not card.differs(pack.folder, PROSE)
    assert "## Cameras never seen" in (pack.folder / "MODEL_CARD.md").read_text()
    with Scanner.open(pack.folder) as scanner:
        scan = scanner.scan(room / "samples" / "melanoma.jpg")
    assert scan.verdict.level in ("urgent", "refer", "unclear", "watch", "no-lesion")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
