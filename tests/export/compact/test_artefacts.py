"""Artefacts change the crop, and are found out where they decide."""

from __future__ import annotations

import numpy as np
import pytest

from dermedge_export.compact import artefacts
from dermedge_export.compact.artefacts import ARTEFACTS, probe, probed
from dermedge_export.compact.data import HAM_LABELS, MEL, NEV, Photo, Pixels

LABELS = ["mel", "bcc", "nv", "nv", "nv", "df"] * 4
PHOTOS = [
    Photo("ham", str(i), "val", label, np.zeros((1, 1, 3), np.uint8), (0, 0, 1, 1), HAM_LABELS[label], 0, str(i))
    for i, label in enumerate(LABELS)
]
CROPS = np.full((len(LABELS), 96, 96, 3), 180, np.uint8)
CROPS[[p.label in ("mel", "bcc") for p in PHOTOS], 30:60, 30:60] = 60


def answer(darkness: np.ndarray) -> np.ndarray:
    shares = np.zeros((len(darkness), 8))
    shares[:, MEL], shares[:, NEV] = darkness, 1 - darkness
    return shares


@pytest.mark.parametrize("name", ARTEFACTS)
def test_an_artefact_is_drawn_on_a_copy_and_leaves_the_lesion_to_be_seen(name: str) -> None:
    crop = CROPS[0].copy()
    drawn = ARTEFACTS[name](crop)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(crop, CROPS[0])
    assert (drawn != crop).any()
    assert drawn[30:60, 30:60].mean() < 0.7 * drawn[64:80, 40:60].mean()


def test_a_judge_of_the_middle_is_moved_by_no_rim_or_ruler_and_a_judge_of_the_corners_is() -> None:
    def by_middle(crops: Pixels) -> np.ndarray:
        return answer((crops[:, 40:50, 40:50, 1] < 120).mean((1, 2)))

    def by_corner(crops: Pixels) -> np.ndarray:
        return answer((crops[:, :8, :8, 1] < 120).mean((1, 2)))

    steady, fooled = probe(PHOTOS, CROPS, by_middle), probe(PHOTOS, CROPS, by_corner)
    assert steady["malignant_auc"] == 1
    assert steady["drawn"]["black vignette"] == {"mean_move": 0, "mean_rise": 0, "malignant_auc": 1}
    assert steady["drawn"]["ruler"]["mean_move"] == 0
    assert fooled["drawn"]["black vignette"]["mean_rise"] > 0.5


def test_as_many_malignant_as_benign_photographs_are_probed_and_only_dermatoscope_ones() -> None:
    places = probed(PHOTOS, each=5)
    assert [PHOTOS[i].label in ("mel", "bcc") for i in places] == [True] * 5 + [False] * 5
    assert len(set(places)) == 10
    assert artefacts.probed([p for p in PHOTOS if p.label == "nv"], each=50) == list(range(12))
