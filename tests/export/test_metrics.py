"""The figures against values worked out by hand, and against what must hold for any answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermedge_export import metrics

SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=2, max_size=60).filter(
    lambda rows: len({positive for positive, _ in rows}) == 2
)


def columns(rows: list[tuple[bool, float]]) -> tuple[metrics.Flags, metrics.Numbers]:
    return np.array([p for p, _ in rows], bool), np.array([s for _, s in rows], float)


def test_balanced_accuracy_weighs_classes_and_not_answers() -> None:
    truth = np.array([0, 0, 0, 0, 1, 2])
    predicted = np.array([0, 0, 0, 1, 1, 0])
    assert metrics.balanced_accuracy(truth, predicted) == pytest.approx((0.75 + 1 + 0) / 3)


def test_an_answer_that_was_not_given_is_a_wrong_one() -> None:
    assert metrics.balanced_accuracy(np.array([0, 0, 1, 1]), np.array([0, -1, 1, 1])) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("positive", "score", "expected"),
    [
        ([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 1.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 0.0),
        ([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], 0.75),
        ([1, 1, 0, 0], [0.5, 0.5, 0.5, 0.5], 0.5),
        ([1, 0, 0], [0.5, 0.5, 0.1], 0.75),
    ],
)
def test_auc_is_the_share_of_pairs_in_order_with_ties_counting_half(
    positive: list[int], score: list[float], expected: float
) -> None:
    assert metrics.auc(np.array(positive, bool), np.array(score)) == pytest.approx(expected)


@given(SCORED)
def test_auc_equals_the_count_over_all_pairs_and_mirrors_when_scores_are_negated(
    rows: list[tuple[bool, float]],
) -> None:
    positive, score = columns(rows)
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert metrics.auc(positive, score) == pytest.approx(float(np.mean(pairs)))
    assert metrics.auc(positive, -score) == pytest.approx(1 - metrics.auc(positive, score))


def test_auc_of_one_side_alone_is_undefined() -> None:
    assert math.isnan(metrics.auc(np.array([True, True]), np.array([0.1, 0.2])))


def test_sensitivity_counts_the_cut_itself_and_specificity_does_not() -> None:
    positive = np.array([True, True, True, False, False])
    score = np.array([0.9, 0.5, 0.1, 0.5, 0.2])
    assert metrics.sensitivity(positive, score, 0.5) == pytest.approx(2 / 3)
    assert metrics.specificity(positive, score, 0.5) == pytest.approx(1 / 2)


@given(SCORED, st.sampled_from((0.5, 0.9, 0.95, 1.0)))
def test_a_chosen_cut_reaches_what_was_wanted_and_the_next_one_does_not(
    rows: list[tuple[bool, float]], wanted: float
) -> None:
    positive, score = columns(rows)
    cut = metrics.cut_for_sensitivity(positive, score, wanted)
    assert metrics.sensitivity(positive, score, cut) >= wanted
    assert metrics.sensitivity(positive, score, float(np.nextafter(cut, 2))) < wanted

    cut = metrics.cut_for_specificity(positive, score, wanted)
    assert metrics.specificity(positive, score, cut) >= wanted
    assert metrics.specificity(positive, score, float(np.nextafter(cut, -1))) < wanted


def test_no_cut_is_chosen_without_positives() -> None:
    with pytest.raises(ValueError, match="no positive"):
        metrics.cut_for_sensitivity(np.array([False]), np.array([0.3]), 0.95)


def test_calibration_error_weighs_each_bin_by_its_answers() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55])
    correct = np.array([True, True, True, False, True])
    # One bin is over-sure by .95 - .75, the other too modest by 1 - .55.
    assert metrics.expected_calibration_error(confidence, correct) == pytest.approx((4 * 0.2 + 1 * 0.45) / 5)


def test_answers_that_are_sure_and_right_have_no_calibration_error() -> None:
    assert metrics.expected_calibration_error(np.ones(4), np.ones(4, bool)) == 0.0


def test_brier_is_nought_for_the_truth_and_two_for_its_opposite() -> None:
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert metrics.brier(probabilities, np.array([0, 0])) == 0.0
    assert metrics.brier(probabilities, np.array([1, 1])) == 2.0
    assert metrics.brier(np.array([[0.5, 0.3, 0.2]]), np.array([0])) == pytest.approx(0.25 + 0.09 + 0.04)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 50 / 150),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
        ((0, 0, 10, 10), (20, 20, 30, 30), 0.0),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
    ],
)
def test_iou(a: metrics.Rectangle, b: metrics.Rectangle, expected: float) -> None:
    assert metrics.iou(a, b) == pytest.approx(expected)


def test_dice_is_twice_the_overlap_over_both() -> None:
    a = np.array([[1, 1, 0], [0, 0, 0]], bool)
    b = np.array([[0, 1, 1], [1, 0, 0]], bool)
    assert metrics.dice(a, b) == pytest.approx(2 * 1 / 5)
    assert metrics.dice(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 1.0


def test_an_interval_holds_the_value_and_is_the_same_every_time() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5, 1, 200)
    groups = [f"lesion {i}" for i in range(200)]

    def mean(i: metrics.Indices) -> float:
        return float(values[i].mean())

    interval = metrics.bootstrap(mean, groups)
    assert interval is not None
    assert interval == metrics.bootstrap(mean, groups)
    assert interval.low < values.mean() < interval.high
    # The standard error of 200 values with deviation 1 is .071; the interval has 1.96 of them to each side.
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(200), rel=0.12)


def test_photographs_of_one_lesion_are_no_independent_evidence() -> None:
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(0, 1, 20), 10)

    def mean(i: metrics.Indices) -> float:
        return float(values[i].mean())

    by_lesion = metrics.bootstrap(mean, [f"lesion {i // 10}" for i in range(200)])
    by_photo = metrics.bootstrap(mean, [f"photo {i}" for i in range(200)])
    assert by_lesion is not None
    assert by_photo is not None
    assert by_lesion.high - by_lesion.low > 2 * (by_photo.high - by_photo.low)


def test_an_interval_that_is_mostly_undefined_is_not_given() -> None:
    positive = np.array([True, False, False, False, False, False])
    score = np.linspace(0, 1, 6)

    def rarely(i: metrics.Indices) -> float:
        return metrics.auc(positive[i], score[i]) if positive[i].sum() > 1 else math.nan

    assert metrics.bootstrap(rarely, list("abcdef")) is None
