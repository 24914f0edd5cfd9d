"""The card is rendered from the manifest alone, shows every figure in it, and a card that says otherwise is found."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tiny_pack
from dermedge.pack import verify
from dermedge_export import card, cli
from dermedge_export.card import Prose, Section
from dermedge_export.compact.about import PACK_ID, PROSE
from dermedge_export.packer import write_pack
from tiny_parts import parts as tiny_parts

TINY_PROSE = Prose("A tiny pack", "For tests.", (Section("Data", "Drawn."),), (Section("Limits", "All."),))
POINT = {
    "value": 0.21,
    "sensitivity": 0.95,
    "specificity": 0.7,
    "sensitivity_left_out": 0.93,
    "specificity_left_out": 0.69,
    "positives": 40,
    "negatives": 60,
    "data": "drawn photographs",
}


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "lesions": 31, "photographs": 37}


def world(**more: Any) -> dict[str, Any]:
    group = {
        "photographs": 37,
        "lesions": 31,
        "malignant_lesions": 7,
        "malignant_auc": figure(0.8123),
        "malignant_not_reassured": figure(0.9512),
        "benign_in_watch": None,
    }
    return {
        "collection": "pad_ufes",
        "split": "val",
        "photographs": 37,
        "lesions": 31,
        "figures": {
            "brier": None,
            "melanoma_auc": figure(0.9312),
            "balanced_accuracy": figure(0.8034),
            "sensitivity_at_90": figure(0.9),
            "specificity_at_95": figure(0.61),
            "sensitivity_at_95": figure(0.95),
        },
        "classes": {"MEL": {"recall": figure(0.7123), "auc": figure(0.9312), "levels": {"refer": 3, "watch": 1}}},
        "subgroups": {"fitzpatrick": {"II": group, "V": group}},
        **more,
    }


METRICS: dict[str, Any] = {
    "evaluation": {
        "notes": ["drawn for tests"],
        "phone": world(),
        "dermoscopy": world(collection="ham10000", subgroups={"sex": world()["subgroups"]["fitzpatrick"]}),
        "another_dermatoscope": {
            "collection": "isic2017",
            "split": "val",
            "photographs": 9,
            "lesions": 9,
            "figures": {"melanoma_auc": figure(0.8612)},
        },
        "negatives": {
            "collection": "negatives",
            "split": "val",
            "photographs": 5,
            "figures": {"with_box": figure(0.0412), "with_verdict": figure(0.0112)},
            "kinds": {"hand": {"with_box": figure(0.0512), "with_verdict": figure(0.0212)}},
        },
    },
    "left_out": {
        "network": "lite0",
        "trained_on": ["ham10000", "negatives"],
        "sections": [
            {"collection": "isic2017", "how": "31 melanomas.", "figures": {"melanoma_auc": figure(0.8444)}},
        ],
    },
    "artefacts": {
        "photographs": 300,
        "malignant": 150,
        "malignant_auc": 0.9222,
        "drawn": {"ruler": {"mean_move": 0.0123, "mean_rise": -0.0034, "malignant_auc": 0.9111}},
    },
    "operating_points": {"phone": {"0.95": POINT, "0.90": POINT | {"value": 0.33}}},
    "known_failures": [{"id": "PAT_1", "file": "failures/PAT_1.jpg", "label": "melanoma", "said": "`watch`"}],
}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = tiny_parts(tmp_path_factory.mktemp("source"))
    folder = tmp_path_factory.mktemp("card") / "pack"
    write_pack(replace(parts, metrics=METRICS, card=partial(card.render, prose=TINY_PROSE)), folder)
    return folder


@pytest.fixture(scope="module")
def text(pack: Path) -> str:
    return (pack / "MODEL_CARD.md").read_text()


def test_the_card_renders_to_the_same_text_from_the_manifest_that_was_read(pack: Path, text: str) -> None:
    assert card.render(verify(pack).manifest, TINY_PROSE) == text
    assert not card.differs(pack, TINY_PROSE)


def test_a_card_that_says_something_else_than_its_manifest_is_found(pack: Path, text: str, tmp_path: Path) -> None:
    forged = tmp_path / "pack"
    for path in pack.rglob("*"):
        if path.is_file():
            (forged / path.relative_to(pack)).parent.mkdir(parents=True, exist_ok=True)
            (forged / path.relative_to(pack)).write_bytes(path.read_bytes())
    better = text.replace("| balanced accuracy | 0.803 |", "| balanced accuracy | 0.903 |")
    assert better != text
    tiny_pack.replace_file(forged, "MODEL_CARD.md", better.encode())
    assert card.differs(forged, TINY_PROSE)


@pytest.mark.parametrize(
    "line",
    [
        "| balanced accuracy | 0.803 | 0.753 to 0.853 | 31 | 37 |",
        "| melanoma AUC | 0.861 | 0.811 to 0.911 | 31 | 37 |",
        "| Brier score (0 to 2) | not measured | - | - | - |",
        "| MEL | 0.712 (0.662 to 0.762), n=31 | 0.931 (0.881 to 0.981), n=31 | refer 3, watch 1 |",
        "| V | 37 | 31 | 7 | 0.812 (0.762 to 0.862), n=31 | 0.951 (0.901 to 1.001), n=31 | - |",
        "| hand | 0.051 (0.001 to 0.101), n=31 | 0.021 (-0.029 to 0.071), n=31 |",
        "| 95 % sensitivity | 0.210 | 0.950 | 0.700 | 0.930 and 0.690 | 40 + 60 photographs, drawn photographs |",
        "| ![PAT_1](failures/PAT_1.jpg) | melanoma | `watch` |",
        "| melanoma AUC | 0.844 | 0.794 to 0.894 | 31 | 37 |",
        "| ruler | 0.012 | -0.003 | 0.911 |",
        "Note: drawn for tests.",
        "## Limits",
    ],
)
def test_every_figure_stands_in_the_card_with_its_interval_and_its_lesions(text: str, line: str) -> None:
    assert line in text.splitlines()


def test_cameras_never_seen_have_a_section_only_where_they_were_measured(pack: Path, text: str) -> None:
    assert "## Cameras never seen" in text
    assert "HAM10000 and photographs without a lesion alone" in text
    manifest = verify(pack).manifest
    without = {name: value for name, value in METRICS.items() if name not in ("left_out", "artefacts")}
    plain = card.render(replace(manifest, metrics=without), TINY_PROSE)
    assert "Cameras never seen" not in plain
    assert "### Rims" not in plain


def test_operating_points_stand_behind_the_aucs_the_strictest_first(text: str) -> None:
    names = [line.split(" | ")[0].strip("| ") for line in text.splitlines() if line.startswith("| ")]
    first = names.index("balanced accuracy")
    assert names[first : first + 5] == [
        "balanced accuracy",
        "melanoma AUC",
        "sensitivity at the 95 % threshold",
        "specificity at the 95 % threshold",
        "sensitivity at the 90 % threshold",
    ]


def test_wherever_skin_types_are_or_could_be_shown_the_card_says_which_were_hardly_seen(text: str) -> None:
    assert text.count("Hardly any photograph here shows skin of Fitzpatrick type V or VI") == 2


def test_the_compact_packs_prose_holds_no_figure_of_merit() -> None:
    prose = " ".join(section.text for section in (*PROSE.before, *PROSE.after))
    # The quantization gate is a rule, not a result.
    assert re.findall(r"(?<!\d)0?\.\d{2,}", prose) == [".003"]


def test_the_command_checks_and_prints(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["card", "--pack", str(pack)]) == 1
    assert "no text is known" in capsys.readouterr().err
    options = card.argparse.Namespace(pack=str(pack), check=False)
    assert card.run(options, {"tiny": TINY_PROSE}) == 0
    assert capsys.readouterr().out == (pack / "MODEL_CARD.md").read_text()
    options.check = True
    assert card.run(options, {"tiny": TINY_PROSE}) == 0
    assert card.run(options, {"tiny": PROSE, PACK_ID: PROSE}) == 1
    assert "disagree" in capsys.readouterr().err
