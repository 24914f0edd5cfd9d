"""Measured end to end: real photographs through the real runtime, and every answer counted as it should be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_collections
import tiny_pack
from dermedge import Scanner
from dermedge.pack import verify
from dermedge.pack.manifest import Manifest
from dermedge_export import evaluate, figures
from dermedge_export.answers import Answer
from dermedge_export.evaluate import SPLITS, answer_all, chosen
from dermedge_export.photos import find_collections


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=5)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pack.build(tmp_path_factory.mktemp("packs") / "tiny")


@pytest.fixture(scope="module")
def manifest(pack: Path) -> Manifest:
    return verify(pack).manifest


@pytest.fixture(scope="module")
def answers(data: Path, pack: Path) -> list[Answer]:
    return answer_all(pack, chosen(find_collections(data), SPLITS, None), workers=2, masks=True)


def report_of(answers: list[Answer], manifest: Manifest) -> dict[str, Any]:
    points = {"dermoscopy": {"0.95": {"value": 0.3}}}
    return figures.report(answers, manifest.conditions, points, SPLITS, [])


@pytest.fixture(scope="module")
def report(answers: list[Answer], manifest: Manifest) -> dict[str, Any]:
    return report_of(answers, manifest)


def test_answers_come_in_order_and_are_the_scanners_own(answers: list[Answer], data: Path, pack: Path) -> None:
    photos = chosen(find_collections(data), SPLITS, None)
    assert [a.photo.id for a in answers] == [p.id for p in photos]
    with Scanner.open(pack, provider="cpu", threads=1) as scanner:
        for said in answers[::17]:
            scan = scanner.scan(said.photo.open(), name=said.photo.id)
            assert said.level == scan.verdict.level
            assert said.probabilities == (dict(scan.lesions[0].scores.probabilities) if scan.lesions else None)


def test_only_the_split_asked_for_is_measured(answers: list[Answer]) -> None:
    assert all(a.photo.split == SPLITS[a.photo.collection] for a in answers)


def test_a_pack_that_knows_the_colours_is_measured_as_good(report: dict[str, Any]) -> None:
    found = report["dermoscopy"]["figures"]
    assert found["balanced_accuracy"]["value"] > 0.9
    assert found["malignant_auc"]["value"] > 0.95
    assert found["lesion_found"]["value"] > 0.9
    assert found["mask_dice"]["value"] > 0.7
    assert found["modality_recognised"]["value"] == 1.0
    assert report["negatives"]["figures"]["with_verdict"]["value"] == 0.0


def test_every_figure_says_how_many_lesions_it_rests_on(report: dict[str, Any]) -> None:
    found = report["dermoscopy"]["figures"]
    assert found["balanced_accuracy"] | {"value": 0, "low": 0, "high": 0} == {
        "value": 0,
        "low": 0,
        "high": 0,
        "lesions": 7 * 5,
        "photographs": 7 * 6,
    }
    assert found["sensitivity_at_95"]["lesions"] == 3 * 5
    assert found["specificity_at_95"]["lesions"] == 4 * 5
    assert report["phone"]["lesions"] == 6 * 5


def test_what_cannot_be_measured_is_none_and_not_a_number(report: dict[str, Any]) -> None:
    groups = report["dermoscopy"]["subgroups"]["age"]
    assert sum(group["lesions"] for group in groups.values()) == report["dermoscopy"]["lesions"]
    few = report["phone"]["subgroups"]["fitzpatrick"]["not stated"]
    assert few["malignant_auc"] is None
    assert few["lesions"] == 6


def missed(answer: Answer) -> Answer:
    return replace(
        answer,
        level="no-lesion",
        modality=None,
        boxes=(),
        refused=(),
        probabilities=None,
        malignant=0.0,
        referral=0.0,
        overlap=0.0,
        proposed=0.0,
        dice=0.0,
        level_with_facts=None,
        probabilities_with_facts=None,
    )


def test_a_lesion_that_was_not_found_counts_against_everything_but_calibration(
    answers: list[Answer], manifest: Manifest, report: dict[str, Any]
) -> None:
    lost = [missed(a) if a.photo.label == "mel" else a for a in answers]
    before, after = report["dermoscopy"]["figures"], report_of(lost, manifest)["dermoscopy"]["figures"]
    assert before["balanced_accuracy"]["value"] - after["balanced_accuracy"]["value"] > 0.1
    assert after["melanoma_auc"]["value"] <= 0.5
    assert after["malignant_not_reassured"]["value"] == pytest.approx(
        before["malignant_not_reassured"]["value"] - 1 / 3, abs=0.01
    )
    assert after["sensitivity_at_95"]["value"] < before["sensitivity_at_95"]["value"]
    assert after["mask_dice"]["value"] < before["mask_dice"]["value"]
    assert after["calibration_error"]["photographs"] == before["calibration_error"]["photographs"] - 6


def test_either_condition_of_a_merged_label_is_right(answers: list[Answer], manifest: Manifest) -> None:
    def split(a: Answer) -> Answer:
        assert a.probabilities is not None
        other = dict.fromkeys(a.probabilities, 0.0)
        return replace(
            a, probabilities=other | {"actinic-keratosis": 0.4, "squamous-cell-carcinoma": 0.2, "melanoma": 0.4}
        )

    changed = [split(a) if a.photo.label == "akiec" else a for a in answers]
    classes = report_of(changed, manifest)["dermoscopy"]["classes"]
    assert classes["akiec"]["recall"]["value"] == 1.0


def test_a_collection_that_is_not_there_is_absent(answers: list[Answer], manifest: Manifest) -> None:
    phone = [a for a in answers if a.photo.collection == "pad_ufes"]
    assert set(report_of(phone, manifest)) == {"notes", "phone"}


def test_the_command_prints_tables_and_writes_json(
    data: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    arguments = [str(data), "--pack", str(pack), "--limit", "6", "--workers", "1", "--json", str(out)]
    assert evaluate.main(arguments) == 0
    written = json.loads(out.read_text())
    assert written["dermoscopy"]["photographs"] == 6
    assert "only 6 photographs of each collection" in written["notes"][0]
    said = capsys.readouterr()
    assert "| balanced accuracy |" in said.out
    assert "20/24" not in said.out
    assert "24/24 photographs" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--limit", "0"], "--limit must be 1 or more"), (["--pack", "nowhere"], "nowhere")],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], said: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main([str(data), *arguments]) in (2, 4)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_figures_are_compared_with_the_cards_up_to_the_last_digits(report: dict[str, Any]) -> None:
    def moved(by: float) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(json.dumps(report))
        found["phone"]["figures"]["balanced_accuracy"]["value"] += by
        return found

    assert evaluate._against_card(report, moved(0.001)) == "every figure is the card's"
    assert evaluate._against_card(report, None) == "the pack's card holds no figures to compare with"
    first, *off = evaluate._against_card(report, moved(0.01)).splitlines()
    assert first == "1 figures differ from the card"
    assert off[0].startswith("phone / figures / balanced_accuracy / value: ")
