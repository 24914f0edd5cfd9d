from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dermedge.errors import UsageError
from dermedge.pack.manifest import Condition, Threshold, Triage
from dermedge.result import LEVELS, Box, Lesion, Level, Quality, Scores, Verdict
from dermedge.triage import (
    ALWAYS_URGENT,
    MISSED,
    NEVER_REASSURING,
    NEVER_REASSURING_PREMALIGNANT,
    RED_FLAGS,
    TEXTS,
    TREATABLE,
    UNDECIDED,
    judge,
    overall,
    stated_flags,
)

CONDITIONS = tuple(
    Condition(id, name, group, severity, ())
    for id, name, group, severity in (
        ("melanoma", "Melanoma", "malignant", 10),
        ("basal-cell-carcinoma", "Basal-cell carcinoma", "malignant", 7),
        ("squamous-cell-carcinoma", "Squamous-cell carcinoma", "malignant", 8),
        ("actinic-keratosis", "Actinic keratosis", "premalignant", 5),
        ("melanocytic-nevus", "Melanocytic nevus", "benign", 1),
        ("seborrheic-keratosis", "Seborrheic keratosis", "benign", 1),
        ("psoriasis", "Psoriasis", "inflammatory", 2),
        ("warts", "Warts", "infectious", 1),
        ("normal-skin", "Normal skin", "normal", 0),
    )
)
IDS = tuple(condition.id for condition in CONDITIONS)
GROUPS = {condition.id: condition.group for condition in CONDITIONS}
MALIGNANT = tuple(id for id in IDS if GROUPS[id] == "malignant")
OTHERS = tuple(id for id in IDS if GROUPS[id] != "malignant")

GOOD = Quality(sharpness=100.0, exposure=0.5, contrast=0.3, glare=0.0, size=400)
BLURRED = dataclasses.replace(GOOD, problems=("blurred",), advice=("Hold still.",))


def cut(value: float, sensitivity: float | None = None) -> Threshold:
    return Threshold(value, sensitivity, sensitivity, 12 if sensitivity else 0, 30 if sensitivity else 0, "tests")


TRIAGE = Triage(urgent=cut(0.6), refer=cut(0.25), refer_premalignant=cut(0.4), unclear=cut(0.15), reassure=0.5)
LAX = Triage(urgent=cut(0.999), refer=cut(0.99), refer_premalignant=cut(0.99), unclear=cut(0.99), reassure=0.0)
"""What a pack calibrated badly could ask for."""


def scores(
    probabilities: Mapping[str, float], *, rejected: bool = False, calibrated: bool = True, rejection: float = 0.95
) -> Scores:
    total = sum(probabilities.values())
    shares = {id: p / total for id, p in probabilities.items()}
    malignant = sum(p for id, p in shares.items() if GROUPS[id] == "malignant")
    referral = malignant + sum(p for id, p in shares.items() if GROUPS[id] == "premalignant")
    return Scores(
        "dermoscopy",
        MappingProxyType(shares),
        malignant,
        referral,
        rejection if rejected else 0.01,
        rejected,
        calibrated,
    )


def verdict(
    probabilities: Mapping[str, float], triage: Triage = TRIAGE, quality: Quality = GOOD, **options: bool
) -> Verdict:
    judged = {key: options.pop(key) for key in ("by_hand",) if key in options}
    return judge(scores(probabilities, **options), quality, triage, CONDITIONS, **judged)


def rank(level: Level) -> int:
    return LEVELS.index(level)


@pytest.mark.parametrize("triage", [TRIAGE, LAX], ids=["sound", "lax"])
def test_benign_51_melanoma_45_is_never_reassuring(triage: Triage) -> None:
    answer = verdict({"melanocytic-nevus": 0.51, "melanoma": 0.45, "psoriasis": 0.04}, triage)
    assert rank(answer.level) >= rank("refer")


@pytest.mark.parametrize("second", [id for id in IDS if id != "melanoma"])
@pytest.mark.parametrize("triage", [TRIAGE, LAX], ids=["sound", "lax"])
def test_melanoma_95_is_urgent_whatever_is_second(second: str, triage: Triage) -> None:
    assert verdict({"melanoma": 0.95, second: 0.05}, triage).level == "urgent"


def test_melanoma_30_nevus_28_bcc_27_counts_57_and_says_the_type_is_undecided() -> None:
    answer = verdict(
        {
            "melanoma": 0.30,
            "melanocytic-nevus": 0.28,
            "basal-cell-carcinoma": 0.27,
            "seborrheic-keratosis": 0.15,
        }
    )
    assert rank(answer.level) >= rank("refer")
    assert answer.headline == UNDECIDED
    assert "0.57" in answer.reasons[0]


def test_one_leading_malignant_type_is_not_called_undecided() -> None:
    answer = verdict({"melanoma": 0.50, "basal-cell-carcinoma": 0.05, "melanocytic-nevus": 0.45})
    assert answer.level == "refer"
    assert answer.headline == TEXTS["refer"].seen


def test_malignant_types_are_summed_although_none_reaches_a_threshold() -> None:
    answer = verdict(
        {
            "melanoma": 0.21,
            "basal-cell-carcinoma": 0.21,
            "squamous-cell-carcinoma": 0.21,
            "melanocytic-nevus": 0.37,
        }
    )
    assert answer.level == "urgent"


@pytest.mark.parametrize(
    ("probabilities", "level"),
    [
        ({"melanocytic-nevus": 0.95, "melanoma": 0.05}, "watch"),
        ({"actinic-keratosis": 0.45, "melanocytic-nevus": 0.55}, "refer"),
        ({"actinic-keratosis": 0.20, "melanocytic-nevus": 0.80}, "unclear"),
        ({"melanocytic-nevus": 0.40, "seborrheic-keratosis": 0.35, "psoriasis": 0.25}, "unclear"),
        ({"melanoma": 0.25, "melanocytic-nevus": 0.75}, "refer"),
        ({"melanoma": 0.60, "melanocytic-nevus": 0.40}, "urgent"),
        ({"psoriasis": 0.90, "melanocytic-nevus": 0.10}, "watch"),
    ],
)
def test_each_level_begins_at_its_threshold(probabilities: Mapping[str, float], level: Level) -> None:
    assert verdict(probabilities).level == level


@pytest.mark.parametrize(
    ("probabilities", "level"),
    [
        ({"melanoma": ALWAYS_URGENT, "melanocytic-nevus": 1 - ALWAYS_URGENT}, "urgent"),
        ({"melanoma": NEVER_REASSURING, "melanocytic-nevus": 1 - NEVER_REASSURING}, "refer"),
        (
            {
                "actinic-keratosis": NEVER_REASSURING_PREMALIGNANT,
                "melanocytic-nevus": 1 - NEVER_REASSURING_PREMALIGNANT,
            },
            "refer",
        ),
    ],
)
def test_no_pack_can_lift_a_threshold_over_the_fixed_ceiling(probabilities: Mapping[str, float], level: Level) -> None:
    answer = verdict(probabilities, LAX)
    assert answer.level == level
    assert "the fixed" in answer.reasons[0]


def test_a_measured_threshold_says_its_sensitivity() -> None:
    measured = dataclasses.replace(TRIAGE, refer=cut(0.25, sensitivity=0.95))
    answer = verdict({"melanoma": 0.28, "melanocytic-nevus": 0.72}, measured)
    assert "sensitivity 0.95 of 12" in answer.reasons[0]


@pytest.mark.parametrize("flag", RED_FLAGS)
@pytest.mark.parametrize(
    "probabilities",
    [
        {"melanocytic-nevus": 0.97, "melanoma": 0.03},
        {"melanocytic-nevus": 0.5, "psoriasis": 0.5},
        {"melanoma": 0.4, "melanocytic-nevus": 0.6},
        {"melanoma": 0.9, "melanocytic-nevus": 0.1},
    ],
)
def test_a_red_flag_only_raises(flag: str, probabilities: Mapping[str, float]) -> None:
    without = verdict(probabilities)
    flagged = judge(scores(probabilities), GOOD, TRIAGE, CONDITIONS, flags=[flag])
    assert rank(flagged.level) == max(rank(without.level), rank("refer"))
    assert any(RED_FLAGS[flag] in reason for reason in flagged.reasons)


def test_a_red_flag_raises_even_what_looks_like_no_lesion() -> None:
    answer = judge(scores({"melanocytic-nevus": 1.0}, rejected=True), GOOD, TRIAGE, CONDITIONS, flags=["bleeding"])
    assert answer.level == "refer"


def test_an_unknown_red_flag_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown red flag 'sparkling'.*bleeding"):
        stated_flags(["bleeding", "sparkling"])


def test_red_flags_come_once_and_in_their_own_order() -> None:
    assert stated_flags(["growing", "bleeding", "growing"]) == ("bleeding", "growing")


def test_what_the_tower_refuses_is_no_lesion_and_unclear_where_a_person_pointed_at_it() -> None:
    probabilities = {"melanocytic-nevus": 1.0}
    assert verdict(probabilities, rejected=True).level == "no-lesion"
    assert verdict(probabilities, rejected=True, by_hand=True).level == "unclear"


@pytest.mark.parametrize("condition", ["melanocytic-nevus", "melanoma"])
@pytest.mark.parametrize("rejection", [0.02, 0.5, 0.89])
def test_what_only_one_of_the_networks_takes_for_a_lesion_is_unclear(condition: str, rejection: float) -> None:
    doubtful = scores({condition: 1.0}, rejected=True, rejection=rejection)
    answer = judge(doubtful, GOOD, TRIAGE, CONDITIONS)
    assert answer.level == "unclear"
    assert answer.reasons[0] == f"does not look like a skin lesion (rejection {rejection:.2f})"
    assert "the detector took it for one" in answer.reasons[1]


@pytest.mark.parametrize("options", [{"calibrated": False}, {"quality": BLURRED}], ids=["uncalibrated", "blurred"])
def test_neither_an_uncalibrated_pack_nor_a_poor_photograph_reassures(options: dict[str, object]) -> None:
    clear = {"melanocytic-nevus": 1.0}
    assert verdict(clear).level == "watch"
    assert verdict(clear, **options).level == "unclear"  # type: ignore[arg-type]


def test_a_poor_photograph_does_not_hide_malignant_mass() -> None:
    assert verdict({"melanoma": 0.9, "melanocytic-nevus": 0.1}, quality=BLURRED).level == "urgent"


def test_a_harmless_inflammation_is_sent_for_treatment_advice() -> None:
    assert verdict({"psoriasis": 0.95, "melanocytic-nevus": 0.05}).advice.endswith(TREATABLE)
    assert not verdict({"melanocytic-nevus": 0.95, "psoriasis": 0.05}).advice.endswith(TREATABLE)


def test_every_level_has_both_texts_and_none_calls_itself_a_diagnosis() -> None:
    assert set(TEXTS) == set(LEVELS)
    for text in TEXTS.values():
        assert text.seen.endswith(".") and text.do.endswith(".")
        assert "diagnos" not in (text.seen + text.do).lower()
        assert "you have" not in (text.seen + text.do).lower()


def lesion(number: int, probabilities: Mapping[str, float]) -> Lesion:
    return Lesion(number, Box(0, 0, 9, 9), 0.9, False, GOOD, scores(probabilities), verdict(probabilities))


def test_the_photograph_is_as_worrying_as_its_worst_lesion() -> None:
    answer = overall([lesion(1, {"melanocytic-nevus": 1.0}), lesion(2, {"melanoma": 0.9, "warts": 0.1})], GOOD, 0)
    assert answer.level == "urgent"
    assert answer.reasons[0] == "lesion 2 is the most worrying of 2"


@pytest.mark.parametrize(
    ("frame", "refused", "level", "reason"),
    [
        (GOOD, 0, "no-lesion", "found no lesion"),
        (GOOD, 2, "no-lesion", "proposed 2 place"),
        (BLURRED, 0, "unclear", "blurred"),
    ],
)
def test_a_photograph_without_lesions_says_why(frame: Quality, refused: int, level: Level, reason: str) -> None:
    answer = overall([], frame, refused)
    assert answer.level == level
    assert reason in " ".join(answer.reasons)


@pytest.mark.parametrize("frame", [GOOD, BLURRED])
def test_a_red_flag_counts_although_the_detector_found_nothing(frame: Quality) -> None:
    answer = overall([], frame, 0, flags=["bleeding"])
    assert answer.level == "refer"
    assert answer.headline == MISSED
    assert answer.advice.endswith(TEXTS["refer"].do)
    assert any(RED_FLAGS["bleeding"] in reason for reason in answer.reasons)


shares = st.floats(0.0, 1.0, allow_nan=False)
distributions = st.fixed_dictionaries(dict.fromkeys(IDS, shares)).filter(lambda found: sum(found.values()) > 0.01)
qualities = st.sampled_from([GOOD, BLURRED])


@st.composite
def triages(draw: st.DrawFn) -> Triage:
    """Any thresholds in the order that a manifest must keep: unclear <= refer <= urgent, and so on."""
    unclear, refer, urgent = sorted(draw(st.tuples(shares, shares, shares)))
    premalignant = draw(st.floats(unclear, 1.0, allow_nan=False))
    return Triage(cut(urgent), cut(refer), cut(premalignant), cut(unclear), draw(shares))


@given(
    distributions,
    triages(),
    qualities,
    st.sampled_from(OTHERS),
    st.sampled_from(MALIGNANT),
    st.floats(0.0, 1.0),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_moving_mass_to_a_malignant_condition_never_lowers_the_level(
    before: dict[str, float],
    triage: Triage,
    quality: Quality,
    giver: str,
    taker: str,
    part: float,
    calibrated: bool,
    rejected: bool,
    by_hand: bool,
) -> None:
    moved = before[giver] * part
    after = {**before, giver: before[giver] - moved, taker: before[taker] + moved}
    first, second = (scores(p, calibrated=calibrated, rejected=rejected) for p in (before, after))
    # Rounding must not decide: the property is about mass that grew.
    assume(second.malignant > first.malignant and second.referral >= first.referral - 1e-12)
    second = dataclasses.replace(second, referral=max(second.referral, first.referral))
    low, high = (judge(s, quality, triage, CONDITIONS, by_hand=by_hand) for s in (first, second))
    assert rank(high.level) >= rank(low.level)


@given(
    distributions,
    triages(),
    qualities,
    st.randoms(use_true_random=False),
    st.sets(st.sampled_from(list(RED_FLAGS))),
)
def test_the_order_of_the_conditions_never_matters(
    probabilities: dict[str, float], triage: Triage, quality: Quality, chance: random.Random, flags: set[str]
) -> None:
    straight = scores(probabilities)
    items, conditions = list(straight.probabilities.items()), list(CONDITIONS)
    chance.shuffle(items)
    chance.shuffle(conditions)
    shuffled = dataclasses.replace(straight, probabilities=MappingProxyType(dict(items)))
    assert judge(straight, quality, triage, CONDITIONS, flags=sorted(flags)) == judge(
        shuffled, quality, triage, conditions, flags=sorted(flags, reverse=True)
    )


@given(distributions, triages(), qualities, st.booleans(), st.booleans(), st.booleans())
def test_every_verdict_has_reasons_and_both_texts(
    probabilities: dict[str, float],
    triage: Triage,
    quality: Quality,
    calibrated: bool,
    rejected: bool,
    by_hand: bool,
) -> None:
    answer = judge(
        scores(probabilities, calibrated=calibrated, rejected=rejected),
        quality,
        triage,
        CONDITIONS,
        by_hand=by_hand,
    )
    assert answer.reasons and all(answer.reasons)
    assert answer.headline and answer.advice


@given(distributions, triages(), qualities)
def test_watch_is_only_what_every_rule_lets_pass(
    probabilities: dict[str, float], triage: Triage, quality: Quality
) -> None:
    found = scores(probabilities)
    if judge(found, quality, triage, CONDITIONS).level == "watch":
        assert found.malignant < min(triage.refer.value, NEVER_REASSURING)
        assert found.referral < min(triage.unclear.value, NEVER_REASSURING_PREMALIGNANT)
        assert quality.usable
