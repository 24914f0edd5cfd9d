"""Validation figures of answers whose quality is known."""

from __future__ import annotations

import numpy as np
import pytest

import tiny_collections
from dermedge_export.compact.data import NEV, Photo, read_photos
from dermedge_export.compact.validate import Outputs, figures, is_malignant, rejection_mass, softmax


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    folder = tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=2)
    return read_photos(folder, ("ham", "pad", "isic", "negative"), ("val",))


def answers(photos: list[Photo], certainty: float) -> Outputs:
    conditions, rejects = np.zeros((len(photos), 8)), np.full((len(photos), 4), -certainty)
    modalities = np.zeros((len(photos), 2))
    for row, photo in enumerate(photos):
        if photo.conditions:
            conditions[row, photo.conditions[-1]] = certainty
        else:
            rejects[row, photo.reject] = certainty
        modalities[row, photo.modality] = certainty
    return Outputs(conditions, rejects, modalities)


def test_the_truth_scores_one_everywhere(photos: list[Photo]) -> None:
    found = figures(photos, answers(photos, 9.0))
    assert set(found) == {
        "ham_balanced", "ham_melanoma_auc", "ham_malignant_auc", "pad_balanced", "pad_melanoma_auc",
        "pad_malignant_auc", "isic_melanoma_auc", "reject_auc", "modality",
    }  # fmt: skip
    assert all(value == 1 for value in found.values()), found


def test_an_answer_that_never_changes_is_chance(photos: list[Photo]) -> None:
    found = figures(photos, answers(photos, 0.0))
    assert found["ham_balanced"] == pytest.approx(1 / 7)
    assert found["pad_balanced"] == pytest.approx(1 / 6)
    assert all(value == 0.5 for name, value in found.items() if name.endswith("auc"))


def test_either_condition_of_a_label_is_right(photos: list[Photo]) -> None:
    outputs = answers(photos, 9.0)
    for row, photo in enumerate(photos):
        if len(photo.conditions) == 2:
            outputs.conditions[row] = 0
            outputs.conditions[row, photo.conditions[0]] = 9
    assert figures(photos, outputs)["ham_balanced"] == 1


def test_an_inverted_answer_is_worse_than_chance(photos: list[Photo]) -> None:
    found = figures(photos, answers(photos, -9.0))
    assert found["ham_melanoma_auc"] == found["pad_malignant_auc"] == found["reject_auc"] == 0


def test_only_the_sources_that_are_there_are_measured(photos: list[Photo]) -> None:
    phone = [p for p in photos if p.source == "pad"]
    assert set(figures(phone, answers(phone, 3.0))) == {
        "pad_balanced", "pad_melanoma_auc", "pad_malignant_auc", "modality",
    }  # fmt: skip


def test_malignant_is_what_each_collection_counts_as_such(photos: list[Photo]) -> None:
    flags = dict(zip([(p.source, p.label) for p in photos], is_malignant(photos), strict=True))
    assert {key for key, flag in flags.items() if flag} == {
        ("ham", "mel"), ("ham", "bcc"), ("ham", "akiec"), ("pad", "MEL"), ("pad", "BCC"), ("pad", "SCC"),
        ("isic", "melanoma"),
    }  # fmt: skip


def test_the_rejection_mass_is_what_the_rejects_have_of_everything() -> None:
    conditions, rejects = np.zeros((1, 8)), np.zeros((1, 4))
    assert rejection_mass(conditions, rejects) == pytest.approx(4 / 12)
    conditions[0, NEV] = 50
    assert rejection_mass(conditions, rejects) == pytest.approx(0)


def test_softmax_of_extreme_logits_stays_finite() -> None:
    found = softmax(np.array([[1e4, -1e4, 0.0]]))
    np.testing.assert_allclose(found, [[1, 0, 0]], atol=1e-12)
