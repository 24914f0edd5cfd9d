"""What is measured of detector and segmenter is what the runtime does with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import tiny_collections
import tiny_pack
from dermedge.detector import Detector
from dermedge.graph import GraphSettings
from dermedge.pack import VerifiedPack, verify
from dermedge.photo import read_photo
from dermedge.result import Box, Detection
from dermedge.segmenter import Segmenter
from dermedge_export.compact import measure_detector
from dermedge_export.compact.measure_detector import MeasureSettings, Seen, deliver, found, look, lowest_confidence
from dermedge_export.photos import LabelledPhoto, find_collections
from dermedge_export.yolo import new_model

CPU = GraphSettings("cpu", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=1)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> VerifiedPack:
    return verify(tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny"))


@pytest.fixture(scope="module")
def melanomas(data: Path) -> list[LabelledPhoto]:
    return [p for p in find_collections(data)["ham10000"].photos if p.label == "mel"]


def seen(photo: LabelledPhoto, *detections: tuple[tuple[float, float, float, float], float]) -> Seen:
    return Seen(photo, read_photo(photo.open()), tuple(Detection(Box(*box), c) for box, c in detections))


def test_a_detector_that_finds_every_lesion_is_measured_as_such(
    pack: VerifiedPack, melanomas: list[LabelledPhoto]
) -> None:
    looked = look(Detector.open(pack, CPU).find, melanomas)
    assert [s.labelled for s in looked] == melanomas
    measured = found(looked, pack.manifest.detector.confidence)
    assert measured["rate"] == 1
    assert measured["found"] == measured["found_by_surest_box"] == measured["photographs"] == len(melanomas)


def test_a_box_beside_the_lesion_or_below_the_confidence_does_not_count(melanomas: list[LabelledPhoto]) -> None:
    photo = melanomas[0]
    box = photo.lesion_box()
    assert box is not None
    beside = (0.0, 0.0, 20.0, 20.0)
    cases = [seen(photo, (box, 0.9)), seen(photo, (box, 0.1)), seen(photo, (beside, 0.9), (box, 0.6)), seen(photo)]
    measured = found(cases, 0.5)
    assert measured == {
        "photographs": 4, "found": 2, "rate": 0.5, "found_by_surest_box": 1, "boxes_per_photograph": 0.75,
    }  # fmt: skip


def test_a_photograph_whose_lesion_nobody_outlined_counts_neither_way(melanomas: list[LabelledPhoto]) -> None:
    photo = replace(melanomas[0], box=None, mask=None)
    measured = found([seen(photo, ((0.0, 0.0, 20.0, 20.0), 0.9))], 0.5)
    assert (measured["photographs"], measured["rate"], measured["boxes_per_photograph"]) == (0, None, 1)


@pytest.mark.parametrize(("allowed", "confidence"), [(0.0, 0.91), (0.1, 0.81), (0.5, 0.41), (1.0, 0.02)])
def test_the_lowest_confidence_leaves_the_allowed_share_of_negatives_with_a_box(
    melanomas: list[LabelledPhoto], allowed: float, confidence: float
) -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    negatives = [seen(melanomas[0], (box, i / 10 + 0.005), (box, 0.001)) for i in range(10)]
    assert lowest_confidence(negatives, allowed, 0.02) == confidence
    boxed = np.mean([bool(s.above(confidence)) for s in negatives])
    assert boxed <= allowed


def test_an_outline_is_judged_over_the_whole_photograph(pack: VerifiedPack, melanomas: list[LabelledPhoto]) -> None:
    segmenter = Segmenter.open(pack, CPU)
    photo = melanomas[0]
    box = photo.lesion_box()
    assert box is not None
    assert measure_detector.outline_dice(segmenter, seen(photo), Box(*box)) > 0.9
    assert measure_detector.outline_dice(segmenter, seen(photo), Box(0, 0, 30, 30)) < 0.5
    assert measure_detector.outline_dice(segmenter, seen(photo), None) == 0


def test_what_is_delivered_is_measured_and_opens_in_the_runtime(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save({"model": new_model()}, tmp_path / "best.pt")
    deliver(data, tmp_path / "best.pt", tmp_path / "out", MeasureSettings(dermoscopy_outlines=2, runs=1))
    for name in ("detector", "encoder", "decoder"):
        assert onnxruntime.InferenceSession(str(tmp_path / "out" / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    detector, segmenter = (json.loads((tmp_path / "out" / f"{n}.json").read_text()) for n in ("detector", "segmenter"))
    assert detector["ham10000_val"]["photographs"] == 7
    assert detector["negatives_val"]["photographs"] == 2
    assert detector["negatives_val"]["with_box"] <= MeasureSettings.negatives_with_box * 2
    assert segmenter["ham10000_val"]["dice_mask_box_float"] > 0.8
    assert segmenter["ham10000_val"]["dice_mask_box_int8"] == pytest.approx(
        segmenter["ham10000_val"]["dice_mask_box_float"], abs=0.05
    )
    assert not list((tmp_path / "out").glob("*.part"))
