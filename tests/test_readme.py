"""The README promises commands and figures; both must be the project's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dermedge.pack import verify

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

FIGURES = {
    "balanced accuracy (7 and 6 classes)": "balanced_accuracy",
    "melanoma AUC": "melanoma_auc",
    "malignant AUC": "malignant_auc",
    "sensitivity at the 95 % threshold": "sensitivity_at_95",
    "specificity at the 95 % threshold": "specificity_at_95",
    "malignant lesions answered `urgent`, `refer` or `unclear`": "malignant_not_reassured",
    "benign lesions answered `watch`": "benign_in_watch",
    "expected calibration error": "calibration_error",
    "lesion found by the detector (IoU of at least .5)": "lesion_found",
    "Dice of the outline": "mask_dice",
}


@pytest.mark.parametrize("row", FIGURES)
def test_every_figure_is_the_embedded_packs(row: str) -> None:
    cells = re.search(rf"^\| {re.escape(row)} \| (.*) \| (.*) \|$", README, re.MULTILINE)
    assert cells, f"the README has no row {row!r}"
    evaluation = verify(ROOT / "artifacts" / "compact").manifest.metrics["evaluation"]
    for cell, world in zip(cells.groups(), ("dermoscopy", "phone"), strict=True):
        figure = evaluation[world]["figures"][FIGURES[row]]
        assert cell == f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", README))
    assert {"scan", "test"} <= named <= targets | {"alone"}


def test_every_file_it_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
