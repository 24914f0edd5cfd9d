"""Calibration finds the scale and biases that made the labels, and its cuts keep their aims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermedge.pack.manifest import Condition
from dermedge.triage import ALWAYS_URGENT, NEVER_REASSURING, NEVER_REASSURING_PREMALIGNANT
from dermedge_export.siglip.calibrate import (
    REJECTION,
    RIDGE,
    Aims,
    Evidence,
    Rows,
    calibrate,
    cautious,
    enough,
    fit,
    softmax,
    uncalibrated,
)

CONDITIONS = (
    Condition("melanoma", "Melanoma", "malignant", 10, ()),
    Condition("actinic-keratosis", "Actinic keratosis", "premalignant", 5, ()),
    Condition("melanocytic-nevus", "Nevus", "benign", 1, ()),
    Condition("rosacea", "Rosacea", "inflammatory", 1, ()),
)
START = uncalibrated(4, 2, 100.0, -16.0)


def evidence(count: int = 1200, seed: int = 0) -> Evidence:
    """Labels drawn from softmax(0.2 * 100 * cosine + bias): so 1 / temperature is 0.2; no rosacea among them."""
    rng = np.random.default_rng(seed)
    cosines = rng.normal(0.1, 0.1, (count, 4))
    shares = softmax(0.2 * 100 * cosines + np.array([0.7, -0.4, -0.3, -40.0]))
    labels = np.array([rng.choice(4, p=p) for p in shares])
    return Evidence(cosines, labels, tuple(f"lesion {i}" for i in range(count)), np.full((count, 2), -0.1), "made up")


def test_the_fit_finds_what_made_the_labels() -> None:
    seen = evidence(6000)
    found = fit(100 * seen.cosines, seen.labels)
    assert found.inverse_temperature == pytest.approx(0.2, rel=0.15)
    assert found.bias[3] == 0
    assert abs(found.bias.sum()) < 1e-9


def test_conditions_without_photographs_are_not_learned_to_be_absent() -> None:
    seen = evidence(600)
    found = fit(100 * seen.cosines, seen.labels)
    assert found.probabilities(seen.cosines, 100.0)[:, 3].mean() > 0.1


def test_the_fit_is_a_minimum() -> None:
    seen = evidence(300)
    logits = 100 * seen.cosines[:, :3]
    weight = 1 / (np.bincount(seen.labels)[seen.labels] * 3)

    def loss(inverse: float, bias: Rows) -> float:
        chosen = softmax(inverse * logits + bias)[np.arange(len(logits)), seen.labels]
        return float(-(weight * np.log(chosen)).sum() + RIDGE / 2 * ((inverse - 1) ** 2 + (bias**2).sum()))

    found = fit(100 * seen.cosines, seen.labels)
    inverse, bias = found.inverse_temperature, found.bias[:3]
    best = loss(inverse, bias)
    for change in (*np.eye(3) * 0.01, *np.eye(3) * -0.01):
        assert loss(inverse, bias + change) > best
    assert min(loss(inverse * 1.01, bias), loss(inverse * 0.99, bias)) > best


def test_a_calibrated_modality_says_what_its_cuts_were_measured_on() -> None:
    scoring, triage, told = calibrate(evidence(), CONDITIONS, START)
    assert scoring.calibrated
    assert scoring.temperature > 1
    assert triage.refer.sensitivity is not None and triage.refer.sensitivity >= 0.95
    assert triage.unclear.value <= triage.refer.value <= triage.urgent.value <= ALWAYS_URGENT
    assert triage.refer.value <= NEVER_REASSURING
    assert triage.refer_premalignant.value <= NEVER_REASSURING_PREMALIGNANT
    assert triage.refer.positives > 100 and triage.refer.data == "made up"
    assert told["calibration_error"] < 0.2
    assert told["malignant_auc"] > 0.8


def test_a_higher_sensitivity_lowers_the_cut() -> None:
    cuts = [calibrate(evidence(), CONDITIONS, START, Aims(refer=aim))[1].refer.value for aim in (0.8, 0.9, 0.99)]
    assert cuts[0] >= cuts[1] > cuts[2]


def test_rejection_lets_next_to_all_labelled_lesions_through() -> None:
    near = replace(evidence(), rejects=np.random.default_rng(1).normal(0.2, 0.1, (1200, 2)))
    scoring, _, _ = calibrate(near, CONDITIONS, START)
    logits = np.concatenate([100 * near.cosines + np.array(scoring.bias), 100 * near.rejects - 16], axis=1)
    masses = softmax(logits)[:, 4:].sum(axis=1)
    assert (masses < scoring.rejection).mean() >= 0.994
    assert scoring.rejection >= REJECTION


def test_a_lesion_photographed_often_counts_once() -> None:
    seen = evidence(60)
    one = replace(seen, lesions=("the same lesion",) * 60)
    assert enough(seen, CONDITIONS) is None
    assert "at least 10" in str(enough(one, CONDITIONS))


def test_uncalibrated_means_cautious() -> None:
    assert not START.calibrated
    assert START.temperature == 1
    triage = cautious()
    assert triage.refer.sensitivity is None and triage.refer.positives == 0
    assert triage.refer.value < NEVER_REASSURING
