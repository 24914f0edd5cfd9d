from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import tiny_pack
from dermedge.errors import ManifestInvalid, UsageError, VectorsInvalid
from dermedge.pack.manifest import Prior
from dermedge.pack.verify import VerifiedPack, verify
from dermedge.result import MODALITIES, Modality
from dermedge.scorer import Facts, Scorer, in_band, percent

IDS = [row[0] for row in tiny_pack.CONDITIONS]
NOBODY = Facts()


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> VerifiedPack:
    return verify(tiny_pack.build(tmp_path_factory.mktemp("pack")))


@pytest.fixture(scope="module")
def scorer(pack: VerifiedPack) -> Scorer:
    return Scorer.open(pack)


def unit(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    return (values / np.linalg.norm(values)).astype(np.float32)


def changed(pack: VerifiedPack, modality: Modality = "phone", **fields: Any) -> Scorer:
    """The pack's scorer with some of one modality's scoring fields replaced."""
    manifest, names = pack.manifest, pack.manifest.vectors
    scoring = {**manifest.scoring, modality: replace(manifest.scoring[modality], **fields)}
    vectors = [pack.array(name) for name in (names.prompts, names.rejects, names.modalities)]
    return Scorer(replace(manifest, scoring=scoring), *vectors)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("condition", IDS)
def test_a_conditions_own_vector_scores_highest_for_it(
    scorer: Scorer, modality: Modality, condition: str
) -> None:
    scores = scorer.score(scorer.vector(modality, condition), modality, NOBODY)  # type: ignore[arg-type]
    assert scores.ranked()[0][0] == condition
    assert scores.modality == modality
    assert scorer.modality(scorer.vector(modality, condition))[0] == modality  # type: ignore[arg-type]


def test_probabilities_follow_the_manifests_formula(pack: VerifiedPack) -> None:
    scorer = changed(pack, scale=7.0, temperature=1.5, bias=tuple(np.linspace(-1, 1, 8).tolist()),
                     reject_bias=(0.25,) * len(pack.manifest.scoring["phone"].reject_bias))
    vector = unit(np.random.default_rng(0).standard_normal(16))
    prompts, rejects = (pack.array(f"vectors/{name}.npy").astype(float) for name in ("prompts", "rejects"))
    logits = 7 * prompts[1] @ vector.astype(float) + np.linspace(-1, 1, 8)
    expected = np.exp(logits / 1.5) / np.exp(logits / 1.5).sum()
    against = np.exp(7 * rejects @ vector.astype(float) + 0.25).sum()

    scores = scorer.score(vector, "phone", NOBODY)
    assert list(scores.probabilities) == IDS
    assert list(scores.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-12)
    assert scores.rejection == pytest.approx(against / (against + np.exp(logits).sum()), abs=1e-12)
    assert scores.malignant == pytest.approx(expected[:3].sum(), abs=1e-12)
    assert scores.referral == pytest.approx(expected[:4].sum(), abs=1e-12)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e6))
def test_probabilities_sum_to_one_however_steep_the_scale(
    pack: VerifiedPack, seed: int, scale: float
) -> None:
    vector = unit(np.random.default_rng(seed).standard_normal(16))
    scores = changed(pack, scale=scale).score(vector, "phone", NOBODY)
    values = np.array(list(scores.probabilities.values()))
    assert np.isfinite(values).all() and (values >= 0).all()
    assert values.sum() == pytest.approx(1, abs=1e-9)
    assert 0 <= scores.malignant <= scores.referral <= 1
    assert 0 <= scores.rejection <= 1


@given(st.permutations(range(8)), st.integers(0, 2**32 - 1))
def test_the_order_of_the_conditions_changes_nothing(
    pack: VerifiedPack, order: list[int], seed: int
) -> None:
    manifest = pack.manifest
    shuffled = replace(manifest, conditions=tuple(manifest.conditions[i] for i in order), priors=())
    prompts = pack.array("vectors/prompts.npy")
    others = (pack.array("vectors/rejects.npy"), pack.array("vectors/modalities.npy"))
    vector = unit(np.random.default_rng(seed).standard_normal(16))
    first = Scorer(manifest, prompts, *others).score(vector, "phone", NOBODY)
    second = Scorer(shuffled, prompts[:, order], *others).score(vector, "phone", NOBODY)
    assert dict(first.probabilities) == pytest.approx(dict(second.probabilities), abs=1e-12)
    assert first.malignant == pytest.approx(second.malignant, abs=1e-12)


def test_bare_skin_and_objects_are_rejected_and_lesions_are_not(pack: VerifiedPack, scorer: Scorer) -> None:
    rejects = pack.array("vectors/rejects.npy")
    assert all(scorer.score(row, "phone", NOBODY).rejected for row in rejects[:8])
    vector = scorer.vector("phone", "melanoma").astype(np.float32)
    assert not scorer.score(vector, "phone", NOBODY).rejected


def test_rejection_at_the_threshold_rejects(pack: VerifiedPack, scorer: Scorer) -> None:
    vector = unit(np.random.default_rng(3).standard_normal(16))
    mass = scorer.score(vector, "phone", NOBODY).rejection
    assert changed(pack, rejection=mass).score(vector, "phone", NOBODY).rejected
    assert not changed(pack, rejection=np.nextafter(mass, 1)).score(vector, "phone", NOBODY).rejected


def test_an_uncalibrated_pack_says_so(pack: VerifiedPack, scorer: Scorer) -> None:
    vector = unit(np.ones(16))
    assert scorer.score(vector, "phone", NOBODY).calibrated
    assert not changed(pack, calibrated=False).score(vector, "phone", NOBODY).calibrated


def test_probabilities_cannot_be_written_to(scorer: Scorer) -> None:
    scores = scorer.score(unit(np.ones(16)), "phone", NOBODY)
    with pytest.raises(TypeError):
        scores.probabilities["melanoma"] = 0.0  # type: ignore[index]


def between(scorer: Scorer, modality: Modality, *conditions: str) -> NDArray[np.float32]:
    return unit(np.sum([scorer.vector(modality, condition) for condition in conditions], axis=0))


@pytest.mark.parametrize(
    ("modality", "facts", "rises", "falls", "said"),
    [
        ("dermoscopy", Facts(age=75), "melanoma", None, "age 75: melanoma"),
        ("dermoscopy", Facts(age=22), "melanocytic-nevus", "melanoma", "age 22: melan"),
        ("dermoscopy", Facts(sex="male"), "melanoma", None, "sex male: melanoma"),
        ("phone", Facts(site="face"), "basal-cell-carcinoma", None, "site face: basal-cell-carcinoma"),
    ],
)
def test_facts_shift_the_probabilities_and_say_how(
    scorer: Scorer, modality: Modality, facts: Facts, rises: str, falls: str | None, said: str
) -> None:
    vector = between(scorer, modality, rises, falls or "seborrheic-keratosis")
    without, scores = scorer.score(vector, modality, NOBODY), scorer.score(vector, modality, facts)
    assert scores.probabilities[rises] > without.probabilities[rises]
    assert falls is None or scores.probabilities[falls] < without.probabilities[falls]
    assert without.shifts == ()
    (shift,) = scores.shifts
    assert shift.startswith(said) and " % -> " in shift
    assert scores.rejection == without.rejection


def test_shifts_of_several_facts_add_up(pack: VerifiedPack, scorer: Scorer) -> None:
    vector = between(scorer, "dermoscopy", "melanoma", "melanocytic-nevus")
    scores = scorer.score(vector, "dermoscopy", Facts(age=70, sex="male"))
    shifted = changed(pack, "dermoscopy", bias=(0.6, *[0.0] * 7)).score(vector, "dermoscopy", NOBODY)
    assert dict(scores.probabilities) == pytest.approx(dict(shifted.probabilities), abs=1e-12)
    assert [shift.split(":")[0] for shift in scores.shifts] == ["age 70", "sex male"]


@pytest.mark.parametrize("facts", [Facts(age=45), Facts(sex="female"), Facts(site="back")])
def test_a_fact_that_the_pack_knows_nothing_about_changes_nothing_and_says_so(
    scorer: Scorer, facts: Facts
) -> None:
    vector = between(scorer, "dermoscopy", "melanoma", "melanocytic-nevus")
    scores = scorer.score(vector, "dermoscopy", facts)
    assert scores.probabilities == scorer.score(vector, "dermoscopy", NOBODY).probabilities
    (shift,) = scores.shifts
    assert "not used" in shift


@pytest.mark.parametrize(
    "wrong", [{"age": -1}, {"age": 121}, {"sex": "m"}, {"sex": ""}, {"site": "../etc"}, {"site": ""},
              {"site": "x" * 60}],
)
def test_impossible_facts_are_a_wrong_usage(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Facts(**wrong)


@pytest.mark.parametrize(
    ("age", "band", "inside"),
    [(60, "60-69", True), (69, "60-69", True), (70, "60-69", False), (59, "60-69", False),
     (80, "80+", True), (120, "80+", True), (79, "80+", False), (0, "0-9", True), (5, "old", False)],
)
def test_age_bands(age: int, band: str, inside: bool) -> None:
    assert in_band(age, band) is inside


def test_a_pack_with_a_nonsensical_age_band_is_refused(pack: VerifiedPack) -> None:
    prior = Prior("phone", "age", "sixties", (0.0,) * 8, 3)
    vectors = [pack.array(f"vectors/{name}.npy") for name in ("prompts", "rejects", "modalities")]
    with pytest.raises(ManifestInvalid, match="sixties"):
        Scorer(replace(pack.manifest, priors=(prior,)), *vectors)


def test_a_vector_of_another_length_is_refused(scorer: Scorer) -> None:
    with pytest.raises(VectorsInvalid, match=r"\[3\].*\[16\]"):
        scorer.score(np.ones(3, np.float32), "phone", NOBODY)


def test_an_unknown_condition_is_a_wrong_usage(scorer: Scorer) -> None:
    with pytest.raises(UsageError, match=r"'freckle'.*melanoma"):
        scorer.vector("phone", "freckle")


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0 %"), (0.004, "under 1 %"), (0.006, "1 %"), (1.0, "100 %")]
)
def test_percent_never_rounds_something_to_nothing(value: float, text: str) -> None:
    assert percent(value) == text
