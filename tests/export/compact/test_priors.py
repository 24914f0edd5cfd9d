from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dermedge.pack.manifest import Prior
from dermedge_export.answers import Answer
from dermedge_export.compact.about import CONDITIONS
from dermedge_export.compact.priors import FEWEST, FURTHEST, at_strength, choose_strength, learn, matching
from dermedge_export.photos import LabelledPhoto, Stored

IDS = [condition.id for condition in CONDITIONS]


def labelled(number: int, label: str, **facts: str) -> LabelledPhoto:
    key = f"IMG_{number}"
    return LabelledPhoto("ham10000", key, label, "train", key, key, Stored(Path(key)), None, None, facts)


def answered(photo: LabelledPhoto, probabilities: dict[str, float]) -> Answer:
    return Answer(photo, "watch", "dermoscopy", (), (), probabilities, 0.0, 0.0, None, None, None, None, None)


def training() -> list[LabelledPhoto]:
    """Melanomas are old, nevi are young; sex says nothing."""
    return [
        labelled(i, "mel" if i % 2 else "nv", age="75.0" if i % 2 else "25.0", sex=("male", "female")[i % 4 // 2])
        for i in range(8 * FEWEST)
    ]


def shift_of(priors: tuple[Prior, ...], value: str, condition: str) -> float:
    return next(p for p in priors if p.value == value).shift[IDS.index(condition)]


def test_a_fact_shifts_towards_what_is_commoner_with_it() -> None:
    priors = learn(training(), CONDITIONS)
    assert shift_of(priors, "70-79", "melanoma") > 0.5 > -0.5 > shift_of(priors, "70-79", "melanocytic-nevus")
    assert shift_of(priors, "0-29", "melanocytic-nevus") > 0.5
    assert abs(shift_of(priors, "female", "melanoma")) < 0.05


def test_a_condition_never_trained_on_is_left_alone_and_no_shift_is_extreme() -> None:
    priors = learn(training(), CONDITIONS)
    assert all(p.shift[IDS.index("dermatofibroma")] == 0 for p in priors)
    assert max(abs(s) for p in priors for s in p.shift) <= FURTHEST


def test_rare_facts_are_not_learned_and_one_lesion_counts_once() -> None:
    rare = [labelled(0, "mel", site="ear")] * (2 * FEWEST)
    assert not [p for p in learn([*training(), *rare], CONDITIONS) if p.fact == "site"]


@pytest.mark.parametrize(("truth", "helps"), [("mel", True), ("nv", False)])
def test_priors_are_used_only_where_they_measure_better(truth: str, helps: bool) -> None:
    priors = learn(training(), CONDITIONS)
    even = {name: 1 / len(IDS) for name in IDS}
    answers = [answered(labelled(i, truth, age="75"), even) for i in range(20)]
    choice = choose_strength(answers, priors, {"dermoscopy": 1.0}, CONDITIONS)
    assert (choice.strength > 0) is helps
    assert choice.losses[0.0] == pytest.approx(np.log(len(IDS)))


def test_strength_scales_the_shifts_and_nothing_is_left_of_them_at_none() -> None:
    priors = learn(training(), CONDITIONS)
    half = at_strength(priors, 0.5)
    assert half[0].shift[0] == pytest.approx(priors[0].shift[0] / 2, abs=1e-4)
    assert at_strength(priors, 0.0) == ()


def test_only_the_facts_that_a_photograph_has_match() -> None:
    priors = learn(training(), CONDITIONS)
    assert [p.value for p in matching(labelled(1, "mel", age="71", sex="male"), priors)] == ["70-79", "male"]
