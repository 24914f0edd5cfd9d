"""Cuts reach what they were chosen for, count missed lesions, and keep the order that a manifest needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermedge_export.answers import Answer
from dermedge_export.compact.about import CONDITIONS
from dermedge_export.compact.thresholds import Aims, Masses, choose_levels, operating_points
from dermedge_export.photos import LabelledPhoto, Stored

HARMLESS = "melanocytic-nevus"


def answer(i: int, label: str, malignant: float, premalignant: float = 0.0, *, found: bool = True) -> Answer:
    photo = LabelledPhoto(
        collection="ham10000",
        id=f"{i}",
        label=label,
        split="val",
        group=f"lesion {i}",
        lesion=f"lesion {i}",
        image=Stored(Path("unread")),
        mask=None,
        box=None,
        facts={},
    )
    probabilities = dict.fromkeys((c.id for c in CONDITIONS), 0.0)
    probabilities |= {
        "melanoma": malignant,
        "actinic-keratosis": premalignant,
        HARMLESS: 1 - malignant - premalignant,
    }
    return Answer(
        photo=photo,
        level="watch",
        modality="dermoscopy" if found else None,
        boxes=(),
        refused=(),
        probabilities=probabilities if found else None,
        malignant=malignant if found else 0.0,
        referral=malignant + premalignant if found else 0.0,
        level_with_facts=None,
        probabilities_with_facts=None,
        overlap=None,
        proposed=None,
        dice=None,
    )


def masses(*answers: Answer) -> Masses:
    return Masses.of(answers, CONDITIONS, "drawn")


def spread(label: str, low: float, high: float, count: int = 100, start: int = 0) -> list[Answer]:
    return [answer(start + i, label, float(m)) for i, m in enumerate(np.linspace(low, high, count))]


def test_each_cut_reaches_what_it_was_chosen_for() -> None:
    found = masses(*spread("mel", 0.1, 0.95), *spread("nv", 0.0, 0.16, 90, 100), *spread("nv", 0.2, 0.5, 10, 200))
    triage = choose_levels(found)
    assert triage.refer.sensitivity == 0.95
    assert triage.unclear.sensitivity == 0.99
    assert triage.urgent.specificity == 0.95
    assert (triage.refer.positives, triage.refer.negatives) == (100, 100)
    assert triage.unclear.value < triage.refer.value < triage.urgent.value


def test_a_missed_lesion_counts_against_the_sensitivity_and_does_not_drag_the_cuts_down() -> None:
    found, nevi = spread("mel", 0.1, 0.95), spread("nv", 0.0, 0.5, start=100)
    missed = [answer(900 + i, "mel", 0, found=False) for i in range(25)]
    whole, missing = choose_levels(masses(*found, *nevi)), choose_levels(masses(*found, *missed, *nevi))
    assert missing.refer.value == whole.refer.value
    assert missing.unclear.value == whole.unclear.value
    assert missing.refer.sensitivity == 0.95 * 100 / 125
    assert missing.refer.positives == 125


def test_unclear_spares_benign_lesions_as_far_as_few_malignant_ones_are_lost() -> None:
    nevi = spread("nv", 0.0, 0.25, start=100)
    cancers = [*spread("mel", 0.02, 0.03, 3), *spread("mel", 0.2, 0.9, 97, start=10)]
    triage = choose_levels(masses(*cancers, *nevi))
    assert triage.unclear.sensitivity is not None
    assert 0.96 <= triage.unclear.sensitivity < 0.98
    assert triage.unclear.specificity is not None
    assert triage.unclear.specificity == pytest.approx(0.6, abs=0.02)


def test_what_the_benign_lesions_do_not_need_is_caution_for_the_others() -> None:
    triage = choose_levels(masses(*spread("mel", 0.24, 0.9), *spread("nv", 0.0, 0.25, start=100)))
    assert triage.unclear.sensitivity == 1
    assert triage.unclear.specificity == pytest.approx(0.6, abs=0.02)
    assert triage.unclear.value < 0.16, "no cancer lies below .24, and still the cut stays where 60 % are spared"


def test_a_label_that_may_be_premalignant_counts_for_the_referral_mass_alone() -> None:
    keratoses = [answer(300 + i, "akiec", 0.0, 0.2 + i / 500) for i in range(50)]
    triage = choose_levels(masses(*spread("mel", 0.25, 0.9), *spread("nv", 0.0, 0.2, start=100), *keratoses))
    assert triage.refer.positives == 100
    assert triage.refer.value > 0.25
    assert triage.refer_premalignant.positives == 150
    assert triage.refer_premalignant.value < 0.25


def test_no_cut_lies_above_the_runtimes_own_ceilings() -> None:
    triage = choose_levels(masses(*spread("mel", 0.97, 1.0), *spread("nv", 0.9, 0.96, start=100)))
    assert triage.refer.value <= 0.30
    assert triage.refer_premalignant.value <= 0.50
    assert triage.urgent.value <= 0.80


MASS = st.floats(0, 0.5).map(lambda m: round(m, 4))


@settings(max_examples=40)
@given(
    st.lists(st.tuples(MASS, MASS, st.booleans()), min_size=3, max_size=30),
    st.lists(st.tuples(MASS, MASS, st.booleans()), min_size=3, max_size=30),
)
def test_whatever_the_answers_the_cuts_are_in_the_manifests_order(
    cancers: list[tuple[float, float, bool]], moles: list[tuple[float, float, bool]]
) -> None:
    answers = [answer(i, "mel", m, p, found=f or i == 0) for i, (m, p, f) in enumerate(cancers)]
    answers += [answer(1000 + i, "nv", m, p, found=f or i == 0) for i, (m, p, f) in enumerate(moles)]
    triage = choose_levels(masses(*answers))
    assert 0 <= triage.unclear.value <= min(triage.refer.value, triage.refer_premalignant.value)
    assert triage.refer.value <= triage.urgent.value <= 0.8


def test_operating_points_are_also_judged_on_lesions_that_did_not_choose_them() -> None:
    rng = np.random.default_rng(3)
    answers = [answer(i, "mel", float(m)) for i, m in enumerate(rng.beta(4, 2, 200))]
    answers += [answer(500 + i, "nv", float(m)) for i, m in enumerate(rng.beta(2, 4, 200))]
    points = operating_points(masses(*answers), CONDITIONS, Aims(points=(0.9,)))
    assert set(points) == {"0.90"}
    point = points["0.90"]
    assert point["sensitivity"] >= 0.9
    assert point["sensitivity_left_out"] == pytest.approx(0.9, abs=0.03)
    assert point["specificity_left_out"] == pytest.approx(point["specificity"], abs=0.03)
    assert (point["positives"], point["negatives"]) == (200, 200)
