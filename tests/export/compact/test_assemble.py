"""From what training leaves behind to a measured pack, with graphs that know colours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tiny_collections
import tiny_pack
from dermedge import UsageError
from dermedge.pack import VerifiedPack, verify
from dermedge_export import card
from dermedge_export.compact import assemble
from dermedge_export.compact.about import CONDITIONS, PROSE
from dermedge_export.evaluate import SPLITS, answer_all, chosen
from dermedge_export.photos import find_collections

FOLDERS = ("tower", "detector", "samples")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tower`, `detector` and `samples`, as the training steps and the project would leave them."""
    room = tmp_path_factory.mktemp("delivered")
    tiny = verify(tiny_pack.build(room / "tiny"))
    manifest = tiny.manifest
    for name in FOLDERS:
        (room / name).mkdir()
    for folder, name in (
        ("tower", "tower"),
        ("detector", "detector"),
        ("detector", "encoder"),
        ("detector", "decoder"),
    ):
        (room / folder / f"{name}.onnx").write_bytes(tiny.read(f"graphs/{name}.onnx"))
    for name in ("prompts", "rejects", "modalities"):
        np.save(room / "tower" / f"{name}.npy", tiny.array(f"vectors/{name}.npy"))
    scores = {
        "conditions": [c.id for c in manifest.conditions],
        "modalities": list(manifest.scoring),
        "size": manifest.tower.size,
        "context": manifest.tower.context,
        "padding": list(manifest.tower.padding),
        "views": 1,
        "modality_scale": manifest.vectors.modality_scale,
        "quantization": {"passed": True},
        "scoring": [
            {
                "modality": modality,
                "bias": list(s.bias),
                "temperature": s.temperature,
                "scale": s.scale,
                "reject_bias": 0.0,
                "rejection_threshold": s.rejection,
            }
            for modality, s in manifest.scoring.items()
        ],
    }
    found = {name: getattr(manifest.detector, name) for name in ("size", "confidence", "iou", "max_lesions")}
    assert manifest.segmenter is not None
    outlines = {name: getattr(manifest.segmenter, name) for name in ("size", "context", "threshold")}
    for path, value in (
        ("tower/scoring.json", scores),
        ("detector/detector.json", found),
        ("detector/segmenter.json", outlines),
    ):
        (room / path).write_text(json.dumps(value))
    picture = tiny_pack.skin_with_spots(("melanoma", 128, 128, 50))
    (room / "samples" / "melanoma.jpg").write_bytes(tiny_collections.encoded(picture, "JPEG"))
    (room / "samples" / "ATTRIBUTION.md").write_text("Drawn.\n")
    return room


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=3)


@pytest.fixture(scope="module")
def pack(delivered: Path, data: Path) -> VerifiedPack:
    out = delivered / "compact"
    arguments = [f"--{name}={delivered / name}" for name in FOLDERS]
    assert assemble.main([*arguments, f"--data={data}", f"--out={out}", "--release=0.1.0"]) == 0
    return verify(out)


def test_the_pack_carries_the_eight_conditions_and_the_terms_of_its_data(pack: VerifiedPack) -> None:
    assert pack.manifest.conditions == CONDITIONS
    terms = {licence.name for licence in pack.manifest.licences}
    assert {"CC BY-NC 4.0", "AGPL-3.0", "CC BY 4.0", "Apache-2.0"} <= terms


def test_the_cuts_were_measured_on_validation_lesions(pack: VerifiedPack) -> None:
    for triage in pack.manifest.triage.values():
        assert triage.refer.positives > 0
        assert triage.refer.sensitivity is not None
        assert "validation" in triage.refer.data


def test_the_figures_are_those_that_measuring_the_finished_pack_gives(pack: VerifiedPack, data: Path) -> None:
    from dermedge_export import figures

    answers = answer_all(pack.folder, chosen(find_collections(data), SPLITS, None), workers=1, masks=True)
    points = pack.manifest.metrics["operating_points"]
    again = figures.report(answers, pack.manifest.conditions, points, SPLITS, [])
    committed = json.loads((pack.folder / "pack.json").read_text())["metrics"]["evaluation"]
    assert json.loads(json.dumps(again)) == committed


def test_the_card_agrees_with_the_manifest(pack: VerifiedPack) -> None:
    assert not card.differs(pack.folder, PROSE)


def test_pictures_of_failures_are_phone_photographs_and_lie_in_the_pack(pack: VerifiedPack) -> None:
    for failure in pack.manifest.metrics["known_failures"]:
        assert failure["id"].startswith("PAT_")
        assert pack.read(failure["file"])[:2] == b"\xff\xd8"


def test_conditions_in_another_order_are_refused(delivered: Path) -> None:
    from dermedge import PackError

    tower = delivered / "shuffled"
    tower.mkdir()
    scores = json.loads((delivered / "tower" / "scoring.json").read_text())
    (tower / "scoring.json").write_text(json.dumps(scores | {"conditions": scores["conditions"][::-1]}))
    with pytest.raises(PackError, match="in order"):
        assemble.read_parts(tower, delivered / "detector", delivered / "samples", "1")


def test_a_tower_that_failed_its_int8_gate_is_refused(delivered: Path) -> None:
    from dermedge import PackError

    tower = delivered / "spoiled"
    tower.mkdir()
    scores = json.loads((delivered / "tower" / "scoring.json").read_text())
    (tower / "scoring.json").write_text(json.dumps(scores | {"quantization": {"passed": False}}))
    with pytest.raises(PackError, match="gate"):
        assemble.read_parts(tower, delivered / "detector", delivered / "samples", "1")


def test_a_part_that_was_not_trained_yet_is_named(delivered: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"scoring\.json.*train"):
        assemble.read_parts(tmp_path, delivered / "detector", delivered / "samples", "1")
