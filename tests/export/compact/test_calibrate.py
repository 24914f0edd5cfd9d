"""Calibration finds what was put in, and keeps what it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermedge import UsageError
from dermedge_export import metrics
from dermedge_export.compact import calibrate
from dermedge_export.compact.calibrate import CalibrationSettings, calibrate_modality, fit_bias, fit_temperature
from dermedge_export.compact.data import ACK, CONDITIONS, DFB, HAM_LABELS, MEL, NEV, PAD_LABELS, SCC, VAS, Photo
from dermedge_export.compact.validate import MALIGNANT, Outputs, group_probabilities, rejection_mass, softmax

SETTINGS = CalibrationSettings()
HAM = list(HAM_LABELS.values())
SINGLE = [(i,) for i in range(4)]


def photo(i: int, source: str, label: str, *, group: str | None = None, reject: int = -1) -> Photo:
    conditions = {"ham": HAM_LABELS, "pad": PAD_LABELS}.get(source, {}).get(label, ())
    pixels = np.zeros((1, 1, 3), np.uint8)
    world = 0 if source == "ham" else 1
    return Photo(source, f"{i}", "val", label, pixels, (0, 0, 1, 1), conditions, world, group or f"{i}", reject)


def drawn(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and truths drawn with the very probabilities that they state."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    return logits, np.array([rng.choice(classes, p=p) for p in softmax(logits)])


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_known_scaling(scale: float) -> None:
    logits, truth = drawn(4000, 4)
    assert fit_temperature(logits * scale, truth, SINGLE) == pytest.approx(scale, rel=0.12)


def test_a_class_of_two_conditions_is_right_with_either() -> None:
    logits, truth = drawn(4000, 4)
    grouped = [(0,), (1,), (2, 3)]
    found = fit_temperature(2 * logits, np.minimum(truth, 2), grouped)
    assert found == pytest.approx(2, rel=0.12)


def test_no_temperature_is_taken_that_makes_the_answers_worse() -> None:
    """Flat enough, two conditions of a class outweigh any other one, and being wrong is what is then expected.

    A fifth of these answers are twice as sure as the others, and no better than chance: by calibration alone a
    temperature of about two is best, at which a third of the balanced accuracy is lost.
    """
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 900, p=(0.8, 0.1, 0.1))
    logits = rng.normal(0, 0.3, (900, 4))
    seen = np.where(rng.random(900) < 0.2, rng.choice(3, 900), truth)
    logits[np.arange(900), seen] += np.where(seen == truth, 1.6, 3.2)
    grouped = [(0,), (1,), (2, 3)]

    def balanced(temperature: float) -> float:
        answers = group_probabilities(softmax(logits / temperature), grouped).argmax(1)
        return metrics.balanced_accuracy(truth, answers)

    assert balanced(2.4) < balanced(1.0) - 0.2
    assert balanced(fit_temperature(logits, truth, grouped)) > balanced(1.0) - 0.01


def of_balanced_training(count: int) -> tuple[np.ndarray, np.ndarray]:
    """What a tower says that takes all classes for equally frequent, of photographs that mostly show one."""
    rng = np.random.default_rng(3)
    truth = rng.choice(4, count, p=(0.9, 0.05, 0.03, 0.02))
    seen = rng.normal(0, 1, (count, 4)) + 1.5 * np.eye(4)[truth]
    return 1.5 * seen, truth


def test_answers_are_as_balanced_as_their_calibration_allows() -> None:
    logits, truth = of_balanced_training(2000)
    owners = [f"{i}" for i in range(len(truth))]
    free, tried = calibrate.weigh(logits, truth, SINGLE, owners, SETTINGS)
    assert free.balanced_accuracy == max(w.balanced_accuracy for w in tried)
    limit = free.calibration_error - 0.003
    taken, tried = calibrate.weigh(logits, truth, SINGLE, owners, replace(SETTINGS, calibration_error=limit))
    assert taken.weighting is not None and taken.weighting < 1 and taken.calibration_error <= limit
    better = [w for w in tried if w.balanced_accuracy > taken.balanced_accuracy]
    assert better and all(w.calibration_error > limit for w in better)


@pytest.mark.parametrize(
    ("errors", "taken"),
    [
        # Weightings None, 1, .75, .5, .25, 0: the more balanced, the better the balanced accuracy here.
        ((0.04, 0.03, 0.02, 0.02, 0.02, 0.02), None),
        ((0.05, 0.03, 0.02, 0.02, 0.02, 0.02), 1.0),
        ((0.04, 0.03, 0.09, 0.05, 0.02, 0.02), 0.25),
        ((0.09, 0.08, 0.07, 0.06, 0.05, 0.06), 0.25),
    ],
)
def test_a_lucky_weighting_among_bad_ones_is_not_taken(errors: tuple[float, ...], taken: float | None) -> None:
    weightings = (None, *SETTINGS.weightings)
    tried = [calibrate.Weighed(w, 0.8 - 0.01 * i, e) for i, (w, e) in enumerate(zip(weightings, errors, strict=True))]
    assert calibrate.choice(tried, 0.04).weighting == taken


def test_few_photographs_cannot_choose_a_weighting() -> None:
    logits, truth = of_balanced_training(200)
    taken, tried = calibrate.weigh(logits, truth, SINGLE, [f"{i}" for i in range(200)], SETTINGS)
    assert [w.weighting for w in tried] == [None, 1.0]
    assert taken.balanced_accuracy == max(w.balanced_accuracy for w in tried)


def test_the_bias_undoes_a_known_offset_and_sums_to_nothing() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(4), 500)
    evidence = rng.normal(0, 1, (2000, 4))
    evidence[np.arange(2000), truth] += 1.0
    offset = np.array([1.5, -0.5, -1.0, 0.0])
    bias = fit_bias(evidence + offset, truth, SINGLE, ridge=0.0)
    assert bias.sum() == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(bias, -offset, atol=0.2)


def test_a_ridge_pulls_the_bias_towards_nothing() -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat(np.arange(4), 6)
    logits = rng.normal(0, 1, (24, 4))
    logits[:, 0] += 3
    free, held = (fit_bias(logits, truth, SINGLE, ridge) for ridge in (0.0, 0.4))
    assert np.abs(held).max() < 0.5 * np.abs(free).max()


@pytest.mark.parametrize("ridge", [1.0, 5.0, 40.0])
def test_a_strong_ridge_still_descends(ridge: float) -> None:
    logits, truth = drawn(60, 4)
    bias = fit_bias(logits + np.array([3.0, 0, 0, 0]), truth, SINGLE, ridge)
    assert np.isfinite(bias).all()
    assert 0 < np.abs(bias).max() < 0.5


def test_a_modality_that_no_lesion_was_taken_for_is_an_error() -> None:
    outputs, photos = judged()
    with pytest.raises(UsageError, match="no validation lesion was taken for phone"):
        calibrate.rejection(outputs, photos, 1, SETTINGS)


def judged(count: int = 300, seed: int = 3) -> tuple[Outputs, list[Photo]]:
    """Lesions, mostly but not always recognised, and photographs of nothing among them."""
    rng = np.random.default_rng(seed)
    labels = list(HAM_LABELS)
    photos = [photo(i, "ham", labels[i % 7], group=f"lesion {i // 2 * 2 + i % 2}") for i in range(count)]
    photos += [photo(1000 + i, "negative", "hand", reject=0) for i in range(60)]
    photos += [photo(2000 + i, "skin", "nv", reject=3) for i in range(40)]
    conditions, rejects = rng.normal(0, 1, (len(photos), 8)), rng.normal(-3, 1, (len(photos), 4))
    for row, p in enumerate(photos):
        if p.reject >= 0:
            rejects[row, p.reject] += 6
        else:
            conditions[row, p.conditions[0]] += 3
    modalities = np.tile([4.0, 0.0], (len(photos), 1))
    return Outputs(conditions, rejects, modalities), photos


@pytest.mark.parametrize("allowed", [0.0, 0.005, 0.02, 0.2])
def test_the_rejection_threshold_loses_no_more_lesions_than_it_says(allowed: float) -> None:
    outputs, photos = judged()
    found = calibrate.rejection(outputs, photos, 0, replace(SETTINGS, lost_lesions=allowed))
    mass = rejection_mass(outputs.conditions, outputs.rejects)
    lesion = np.array([p.reject < 0 for p in photos])
    lost = (mass[lesion] >= found["rejection_threshold"]).mean()
    assert lost <= allowed
    assert found["lesions_lost"] == pytest.approx(lost, abs=1e-4)
    assert found["lesions"] == lesion.sum()
    hands = np.array([p.label == "hand" for p in photos])
    assert found["nothing"]["hand"] == {  # type: ignore[index]
        "photographs": 60,
        "rejected": pytest.approx((mass[hands] >= found["rejection_threshold"]).mean(), abs=1e-4),
    }
    assert set(found["nothing"]) == {"hand", "skin"}  # type: ignore[call-overload]


def test_only_photographs_taken_for_the_modality_choose_its_rejection() -> None:
    outputs, photos = judged()
    elsewhere = outputs.modalities.copy()
    elsewhere[:50] = (0.0, 4.0)
    found = calibrate.rejection(replace(outputs, modalities=elsewhere), photos, 0, SETTINGS)
    assert found["lesions"] == 250


def test_a_label_that_may_be_malignant_or_not_is_left_out_of_the_operating_points() -> None:
    photos = [photo(0, "ham", "mel"), photo(1, "ham", "akiec"), photo(2, "ham", "nv")]
    inside, known = calibrate.positives(photos, MALIGNANT)
    assert inside.tolist() == [True, False, False]
    assert known.tolist() == [True, False, True]


def test_operating_points_reach_their_sensitivity() -> None:
    outputs, photos = judged()
    members = [p for p in photos if p.source == "ham"]
    mass = softmax(outputs.conditions[: len(members)])[:, list(MALIGNANT)].sum(1)
    found = calibrate.operating_points(mass, members, MALIGNANT, SETTINGS)
    assert found["positives"] == sum(p.label in ("mel", "bcc") for p in members)
    for point, wanted in zip(found["points"], SETTINGS.sensitivities, strict=True):  # type: ignore[call-overload]
        assert point["sensitivity"] >= wanted
        assert point["cross_fitted_sensitivity"] == pytest.approx(wanted, abs=0.06)


def test_one_lesions_photographs_share_a_fold() -> None:
    owners = [f"lesion {i // 3}" for i in range(60)]
    folds = calibrate.fold_numbers(owners, 5)
    assert all(len(set(folds[i : i + 3])) == 1 for i in range(0, 60, 3))
    assert set(folds) == set(range(5))
    np.testing.assert_array_equal(folds, calibrate.fold_numbers(owners, 5))


def test_a_dermatoscopes_bias_is_fitted_where_it_helps_and_says_the_same_of_both_parts_of_a_label() -> None:
    outputs, photos = judged()
    offset = np.zeros(8)
    offset[NEV], offset[MEL] = 2.5, -2.5
    constants, bias = calibrate_modality(replace(outputs, conditions=outputs.conditions + offset), photos, 0, SETTINGS)
    figures = constants["metrics"]
    assert isinstance(figures, dict)
    assert bias[MEL] > 0 > bias[NEV]
    assert bias[SCC] == bias[ACK]
    (_, without, _), *_ = figures["weightings_cross_fitted"]
    assert figures["balanced_accuracy"] > without + 0.05
    assert constants["bias"] == pytest.approx(bias, abs=1e-5)


def test_a_bias_that_does_not_help_others_is_not_kept() -> None:
    rng = np.random.default_rng(0)
    photos = [photo(i, "ham", label) for i, label in enumerate(list(HAM_LABELS) * 6)]
    logits = np.full((len(photos), 8), -4.0)
    for row, p in enumerate(photos):
        logits[row, p.conditions[0]] = 4 + rng.normal()
    outputs = Outputs(logits, np.zeros((len(photos), 4)), np.tile([4.0, 0.0], (len(photos), 1)))
    _, bias = calibrate_modality(outputs, photos, 0, SETTINGS)
    assert not bias.any()


def test_a_phone_gets_no_fitted_bias_and_prefers_no_condition_it_was_never_shown() -> None:
    rng = np.random.default_rng(0)
    photos = [photo(i, "pad", label, group=f"patient {i // 2}") for i, label in enumerate(list(PAD_LABELS) * 12)]
    logits = rng.normal(0, 1, (len(photos), 8))
    for row, p in enumerate(photos):
        logits[row, p.conditions[0]] += 2
    outputs = Outputs(logits, np.zeros((len(photos), 4)), np.tile([0.0, 4.0], (len(photos), 1)))
    constants, bias = calibrate_modality(outputs, photos, 1, SETTINGS)
    assert constants["modality"] == "phone"
    assert [CONDITIONS[i] for i in np.flatnonzero(bias)] == [CONDITIONS[DFB], CONDITIONS[VAS]]
    assert set(bias[[DFB, VAS]]) == {SETTINGS.unseen_bias}
