"""What a trace holds is what really ran, and judging it again runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tiny_graphs
import tiny_pack
from dermedge.errors import ProfileError, UsageError
from dermedge.profile import CUT_LIMITS, LIMITS, Calibration, Cuts, Profile
from dermedge.result import LEVELS, MODALITIES, Scan
from dermedge.scanner import Scanner
from dermedge.scorer import Facts
from dermedge.trace import Trace, proposals
from dermedge.triage import ALWAYS_URGENT, NEVER_REASSURING, NEVER_REASSURING_PREMALIGNANT

TWO = tiny_pack.skin_with_spots(("melanocytic-nevus", 70, 80, 30), ("basal-cell-carcinoma", 180, 170, 36))
FAINT = tiny_pack.skin_with_spots(("melanoma", 80, 128, 40), ((216, 172, 142), 190, 128, 25))
"""The second spot is paler than the pack's detector needs."""


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanner]:
    with Scanner.open(tiny_pack.build(tmp_path_factory.mktemp("pack") / "tiny")) as opened:
        yield opened


@pytest.fixture(scope="module")
def trace(scanner: Scanner) -> Trace:
    return scanner.look(TWO)


@pytest.fixture(scope="module")
def mixed(scanner: Scanner) -> tuple[Trace, ...]:
    """Lesions of every kind, also in between."""
    colours = [tiny_graphs.SPOT_COLOURS[id] for id in ("melanoma", "melanocytic-nevus", "actinic-keratosis")]
    between = tuple(int(0.57 * m + 0.43 * n) for m, n in zip(colours[0], colours[1], strict=True))
    spots: list[Any] = ["melanoma", "melanocytic-nevus", "actinic-keratosis", "dermatofibroma", between]
    return tuple(scanner.look(tiny_pack.skin_with_spots((spot, 128, 128, 50))) for spot in spots)


def profile(scanner: Scanner, **values: Any) -> Profile:
    """Cuts hold for both modalities."""
    cuts = Cuts(**{name: values.pop(name) for name in list(values) if name in CUT_LIMITS})
    return Profile.of(scanner.pack.ref, Calibration(dermoscopy=cuts, phone=cuts, **values))


def answer(scan: Scan) -> dict[str, Any]:
    return {key: value for key, value in scan.as_json().items() if key != "seconds"}


def test_a_scan_is_a_look_and_a_judgement(scanner: Scanner, trace: Trace) -> None:
    told = {"facts": Facts(age=75), "flags": ["growing"]}
    judged = scanner.judge(trace, **told, mask=True)  # type: ignore[arg-type]
    scanned = scanner.scan(TWO, **told, mask=True)  # type: ignore[arg-type]
    assert answer(judged) == answer(scanned)
    assert judged.seconds["tower"] == trace.seconds["tower"] > 0
    assert judged.seconds["total"] > trace.seconds["total"]


def test_a_trace_holds_what_the_graphs_were_given_and_answered(scanner: Scanner, trace: Trace) -> None:
    assert trace.sight is not None
    detector = tiny_pack._session(scanner.pack.folder / "graphs" / "detector.onnx")
    tower = tiny_pack._session(scanner.pack.folder / "graphs" / "tower.onnx")
    [boxes] = detector.run(["boxes"], {"images": trace.sight.pixels[np.newaxis]})
    assert np.array_equal(boxes[0], trace.sight.boxes)
    assert len(trace.looks) == 2
    for look in trace.looks:
        [vector] = tiny_pack.embed(tower, [look.crop.pixels])
        assert np.allclose(vector, look.embedding.vector, atol=1e-6)


def test_a_trace_cannot_be_changed(trace: Trace) -> None:
    assert trace.sight is not None
    for pixels in (trace.photo.pixels, trace.sight.pixels, trace.sight.boxes, trace.looks[0].crop.pixels):
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0] = 1


def test_proposals_reach_below_the_threshold_and_begin_with_what_was_looked_at(scanner: Scanner) -> None:
    seen = scanner.look(FAINT)
    proposed = proposals(seen, scanner.pack.manifest)
    assert tuple(proposed[: len(seen.looks)]) == tuple(look.detection for look in seen.looks)
    assert len(proposed) > len(seen.looks)
    assert all(found.confidence < tiny_pack.CONFIDENCE for found in proposed[len(seen.looks) :])
    assert proposals(scanner.look(FAINT, whole=True), scanner.pack.manifest) == ()


def test_judging_again_needs_no_graph(scanner: Scanner) -> None:
    with Scanner.open(scanner.pack.folder) as other:
        trace = other.look(TWO)
    # Its graphs are gone: whatever runs one from here on fails.
    with pytest.raises(UsageError, match="closed"):
        other.look(TWO)
    plain = other.judge(trace)
    strict = other.judge(trace, profile=profile(other, urgent=0.01))
    other.judge(trace, profile=profile(other, temperature=3.0, reassure=0.9, margin=0.5, modality="dermoscopy"))
    other.judge(trace, profile=profile(other, confidence=0.9))
    assert answer(plain) == answer(scanner.scan(TWO))
    assert strict.verdict.level == "urgent" and strict.seconds["tower"] == plain.seconds["tower"]


def test_every_answer_under_a_profile_says_so(scanner: Scanner, trace: Trace) -> None:
    mine = replace(profile(scanner, refer=0.2), name="mine")
    for scan in (scanner.judge(trace, profile=mine), scanner.scan(tiny_pack.skin_with_spots(), profile=mine)):
        assert scan.profile == scan.as_json()["profile"] == "mine"
        for verdict in (scan.verdict, *(lesion.verdict for lesion in scan.lesions)):
            assert sum("under the profile mine" in reason for reason in verdict.reasons) == 1
    assert scanner.judge(trace).profile is None and scanner.judge(trace).as_json()["profile"] is None


def test_a_profile_names_its_own_thresholds_and_the_packs_as_such(scanner: Scanner, trace: Trace) -> None:
    reasons = scanner.judge(trace, profile=profile(scanner, urgent=0.05)).verdict.reasons
    assert any("the profile's 0.05 for urgent" in reason for reason in reasons)
    reasons = scanner.judge(trace, profile=profile(scanner, refer=0.05)).verdict.reasons
    assert any("the pack's" in reason and "for urgent" in reason for reason in reasons)


def test_a_profile_for_another_pack_is_refused_everywhere(scanner: Scanner, trace: Trace) -> None:
    other = replace(profile(scanner), digest="0" * 64)
    for act in (
        lambda: scanner.scan(TWO, profile=other),
        lambda: scanner.look(TWO, profile=other),
        lambda: scanner.judge(trace, profile=other),
        lambda: scanner.lacking(trace, other),
        lambda: scanner.look_again(trace, other),
    ):
        with pytest.raises(ProfileError, match="was made for the pack"):
            act()


def test_what_needs_a_new_crop_is_said_and_looked_at_on_request_only(scanner: Scanner) -> None:
    seen = scanner.look(FAINT)
    for change, lacking in (({"context": 2.5}, 1), ({"confidence": 0.05}, 1), ({"confidence": 0.9}, 0)):
        wanted = profile(scanner, **change)
        assert scanner.lacking(seen, wanted) >= lacking
        if not lacking:
            assert scanner.lacking(seen, wanted) == 0
            scanner.judge(seen, profile=wanted)
            continue
        with pytest.raises(UsageError, match="look again"):
            scanner.judge(seen, profile=wanted)
        again = scanner.look_again(seen, wanted)
        assert scanner.lacking(again, wanted) == 0
        assert answer(scanner.judge(again, profile=wanted)) == answer(scanner.scan(FAINT, profile=wanted))
        assert again.sight is seen.sight, "the detector is not asked again"
        # What was looked at before is kept: going back costs nothing.
        assert scanner.lacking(again, None) == 0
        assert answer(scanner.judge(again)) == answer(scanner.judge(seen))
        once_more = scanner.look_again(again, None)
        assert [look.embedding for look in once_more.looks] == [look.embedding for look in seen.looks]


def test_looking_away_is_no_all_clear(scanner: Scanner) -> None:
    """A detector that has to be very sure must not turn a finding into none."""
    blind = profile(scanner, confidence=0.9)
    said = "1 place(s) that the pack would look at are too faint for the profile"
    pale = (205, 160, 130)
    hidden = scanner.look(tiny_pack.skin_with_spots((pale, 128, 128, 25)))
    assert len(hidden.looks) == 1
    scan = scanner.judge(hidden, profile=blind)
    assert scan.lesions == () and scan.verdict.level == "unclear" and said in scan.verdict.reasons
    beside = scanner.look(tiny_pack.skin_with_spots(("melanoma", 80, 128, 40), (pale, 190, 128, 25)))
    scan = scanner.judge(beside, profile=blind)
    assert len(scan.lesions) == 1 and scan.verdict.level == "urgent" and said in scan.verdict.reasons
    assert said not in scanner.judge(beside).verdict.reasons


def test_looking_again_keeps_a_lesion_marked_by_hand(scanner: Scanner) -> None:
    seen = scanner.look(TWO, box=(40, 50, 60, 60))
    wide = profile(scanner, context=3.0)
    assert scanner.lacking(seen, wide) == 1
    [look] = scanner.look_again(seen, wide).looks
    assert look.detection.by_hand and look.crop.region.width == pytest.approx(180)


def test_the_working_leads_to_the_scores(scanner: Scanner, trace: Trace) -> None:
    facts = Facts(age=75, sex="male", site="face")
    for modality in MODALITIES:
        vector = trace.looks[0].embedding.vector
        working, scores = (f(vector, modality, facts) for f in (scanner.scorer.working, scanner.scorer.score))
        logits = np.array([(t.logit + t.shift) / working.temperature for t in working.conditions.values()])
        shares = np.exp(logits) / np.exp(logits).sum()
        assert shares.tolist() == pytest.approx(list(scores.probabilities.values()), abs=1e-9)
        refused = np.exp([t.logit for t in working.rejects]).sum()
        kept = np.exp([t.logit for t in working.conditions.values()]).sum()
        assert refused / (refused + kept) == pytest.approx(scores.rejection, abs=1e-9)
        for terms in working.conditions.values():
            assert terms.logit == pytest.approx(working.scale * terms.cosine + terms.bias)
        assert sum(working.modalities.values()) == pytest.approx(1)


def rank(scan: Scan) -> int:
    return LEVELS.index(scan.verdict.level)


def numbers(names: list[str]) -> st.SearchStrategy[dict[str, float]]:
    limits = {**CUT_LIMITS, **LIMITS}
    return st.fixed_dictionaries({}, optional={n: st.floats(limits[n].low, limits[n].high) for n in names})


CHEAP = [*CUT_LIMITS, "margin"]


@settings(max_examples=150)
@given(st.data())
def test_a_stricter_number_never_gives_a_milder_level(
    scanner: Scanner, mixed: tuple[Trace, ...], data: st.DataObject
) -> None:
    seen = data.draw(st.sampled_from(mixed))
    base = data.draw(numbers(CHEAP))
    name = data.draw(st.sampled_from([name for name in CHEAP if name != "temperature"]))
    limit = {**CUT_LIMITS, **LIMITS}[name]
    low, high = sorted(data.draw(st.tuples(*[st.floats(limit.low, limit.high)] * 2)))
    strict, lax = (high, low) if name in ("reassure", "margin") else (low, high)
    first, second = (scanner.judge(seen, profile=profile(scanner, **{**base, name: v})) for v in (lax, strict))
    assert rank(second) >= rank(first), (name, lax, strict, base)


@settings(max_examples=150)
@given(st.data())
def test_no_calibration_gets_past_the_fixed_ceilings(
    scanner: Scanner, mixed: tuple[Trace, ...], data: st.DataObject
) -> None:
    """Not even a temperature that moves the masses themselves."""
    seen, values = data.draw(st.sampled_from(mixed)), data.draw(numbers(CHEAP))
    own = scanner.judge(seen).lesions[0].scores
    level = rank(scanner.judge(seen, profile=profile(scanner, **values)))
    if own.malignant >= ALWAYS_URGENT:
        assert level >= LEVELS.index("urgent")
    if own.malignant >= NEVER_REASSURING or own.referral >= NEVER_REASSURING_PREMALIGNANT:
        assert level >= LEVELS.index("refer")


def test_those_ceilings_are_reached_by_the_lesions_tried(scanner: Scanner, mixed: tuple[Trace, ...]) -> None:
    """Else the test above could not fail."""
    masses = [scanner.judge(seen).lesions[0].scores.malignant for seen in mixed]
    assert any(mass >= ALWAYS_URGENT for mass in masses)
    assert any(NEVER_REASSURING <= mass < ALWAYS_URGENT for mass in masses)
    assert any(mass < NEVER_REASSURING for mass in masses)


def test_a_picture_of_nothing_has_a_trace_too(scanner: Scanner) -> None:
    seen = scanner.look(Image.new("RGB", (64, 48), (230, 185, 155)))
    assert seen.looks == () and scanner.lacking(seen, profile(scanner, context=2.0)) == 0
    assert scanner.judge(seen, profile=profile(scanner, context=2.0)).lesions == ()
