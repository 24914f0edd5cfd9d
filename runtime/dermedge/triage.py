"""From probabilities to a level, its two plain texts, and the rules and numbers behind it.

Rules run from the worst level down, and each one only compares masses: growing malignant mass can therefore never
lower a level, and the order of the conditions can never matter. A reassuring answer is what is left when every rule
that speaks against it has stayed silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import UsageError
from .result import LEVELS, Lesion, Level, Quality, Scores, Verdict

if TYPE_CHECKING:  # importing the pack loads numpy, which whoever wants no more than the red flags does not need
    from .pack.manifest import Condition, Threshold, Triage

NEVER_REASSURING = 0.30
"""From this malignant mass on, `refer` at least, whatever a pack's own threshold says: almost one in three is no
chance to wave through, and a pack calibrated badly must not be able to."""

NEVER_REASSURING_PREMALIGNANT = 0.50
"""The same for malignant and premalignant together: more likely than not."""

ALWAYS_URGENT = 0.80
"""From this malignant mass on, `urgent`, whatever a pack's own threshold says."""

PROFILE = "set by hand in a profile"
"""What stands in a threshold's `data` where no pack set it: nothing was measured there."""

RED_FLAGS: dict[str, str] = {
    "bleeding": "it bleeds or oozes without having been hurt",
    "growing": "it is growing",
    "changing": "its colour or shape is changing",
    "itching": "it itches or hurts",
    "new-after-40": "it appeared after the age of 40",
    "not-healing": "it is a sore that does not heal",
    "family-history": "there was melanoma in the family or before",
}
"""What a person can say about a lesion; each can only raise its level."""


@dataclass(frozen=True, slots=True)
class LevelText:
    """The two plain texts of a level."""

    seen: str
    do: str


TEXTS: dict[Level, LevelText] = {
    "urgent": LevelText(
        "This spot has strong features of skin cancer.",
        "See a doctor, best a skin doctor, within days, and show them this spot. Do not wait for it to change. "
        "Only an examination can tell what it is.",
    ),
    "refer": LevelText(
        "This spot has features that a doctor should look at.",
        "Have a doctor examine it within the next few weeks; sooner if it bleeds, grows or changes.",
    ),
    "unclear": LevelText(
        "This spot could not be judged with confidence.",
        "Take another photograph as advised. If it stays unclear, or the spot is new, changing or worries you, "
        "have a doctor look at it.",
    ),
    "watch": LevelText(
        "No features of skin cancer stood out in this photograph.",
        "Look at it again in one to three months. See a doctor at once if it grows, changes colour or shape, "
        "bleeds, itches, or simply worries you: this is a screening aid and it can miss things.",
    ),
    "no-lesion": LevelText(
        "No skin lesion was found in this photograph.",
        "If there is a spot, move closer until it fills about a third of the picture, or mark it by hand. "
        "If it worries you, have a doctor look at it.",
    ),
}

UNDECIDED = "This spot has malignant features; which type is undecided."
"""The headline where the malignant types share the mass and none of them leads."""

MISSED = "No skin lesion was found in this photograph, but what was stated about it is a reason to see a doctor."
"""The headline where a red flag was stated and nothing was found to pin it on."""

TREATABLE = " A doctor or pharmacist can say whether it needs treatment."
"""Added where the likeliest harmless answer is an inflammation or an infection."""


def judge(
    scores: Scores,
    quality: Quality,
    triage: Triage,
    conditions: Sequence[Condition],
    *,
    by_hand: bool = False,
    flags: Iterable[str] = (),
    margin: float = 0.0,
    own: Scores | None = None,
) -> Verdict:
    """The verdict on one lesion.

    `margin` is how far a harmless condition must be ahead of the referral mass to reassure. `own` are the scores by
    the pack's own numbers where `scores` are not: the fixed ceilings hold for both.
    """
    known = {condition.id: condition for condition in conditions}
    level, reasons = _by_scores(scores, quality, triage, known, by_hand, margin)
    if own is not None and not own.rejected:
        least, reason = _by_ceilings(own)
        if LEVELS.index(least) > LEVELS.index(level):
            level, reasons = least, [reason, *reasons]
    stated = stated_flags(flags)
    if stated:
        level = max(level, "refer", key=LEVELS.index)
        reasons += [f"red flag stated: {RED_FLAGS[flag]}" for flag in stated]
    text = TEXTS[level]
    return Verdict(level, _headline(level, scores, known), text.do + _treatment(level, scores, known), tuple(reasons))


def overall(lesions: Sequence[Lesion], frame: Quality, refused: int, flags: Iterable[str] = ()) -> Verdict:
    """The photograph's verdict: its worst lesion's, or why there is nothing to judge."""
    if lesions:
        worst = max(lesions, key=lambda lesion: (LEVELS.index(lesion.verdict.level), lesion.scores.malignant))
        if len(lesions) == 1:
            return worst.verdict
        reason = f"lesion {worst.number} is the most worrying of {len(lesions)}"
        return Verdict(
            worst.verdict.level, worst.verdict.headline, worst.verdict.advice, (reason, *worst.verdict.reasons)
        )
    reasons = ["the detector found no lesion" if not refused else
               f"the detector proposed {refused} place(s), the tower recognised no lesion there"]
    # A frame that shows nothing is no evidence that nothing is there.
    level: Level = "no-lesion" if frame.usable else "unclear"
    reasons += [f"the photograph is {problem}" for problem in frame.problems]
    headline = TEXTS["no-lesion"].seen if frame.usable else "The photograph is too poor to find a lesion in it."
    advice = TEXTS[level].do
    if stated := stated_flags(flags):
        # The person sees the spot, whatever the detector missed.
        level, headline, advice = "refer", MISSED, TEXTS["refer"].do
        reasons += [f"red flag stated: {RED_FLAGS[flag]}" for flag in stated]
    return Verdict(level, headline, " ".join((*frame.advice, advice)), tuple(reasons))


def looked_away(verdict: Verdict, places: int) -> Verdict:
    """The same where a profile leaves out places that the pack would look at: that is doubt, not an all-clear."""
    reasons = (f"{places} place(s) that the pack would look at are too faint for the profile", *verdict.reasons)
    if LEVELS.index(verdict.level) >= LEVELS.index("unclear"):
        return replace(verdict, reasons=reasons)
    return Verdict("unclear", TEXTS["unclear"].seen, TEXTS["unclear"].do, reasons)


def signed(verdict: Verdict, profile: str | None) -> Verdict:
    """A finding under other numbers than the pack's says so."""
    if profile is None:
        return verdict
    said = f"judged under the profile {profile}, not by the pack's numbers alone"
    return replace(verdict, reasons=(*verdict.reasons, said))


def stated_flags(flags: Iterable[str]) -> tuple[str, ...]:
    """The red flags in their own order, each once; an unknown one is an error, not a flag ignored."""
    asked = set(flags)
    unknown = sorted(asked - RED_FLAGS.keys())
    if unknown:
        raise UsageError(f"unknown red flag {unknown[0]!r}; there are: {', '.join(RED_FLAGS)}")
    return tuple(flag for flag in RED_FLAGS if flag in asked)


def _by_scores(
    scores: Scores, quality: Quality, triage: Triage, known: dict[str, Condition], by_hand: bool, margin: float
) -> tuple[Level, list[str]]:
    if scores.rejected:
        # Where the person or the detector takes for a lesion what the tower cannot recognise, that is doubt, not an
        # all-clear; and doubt whether it is a lesion at all is doubt about what the masses say of it, too.
        reason = f"does not look like a skin lesion (rejection {scores.rejection:.2f})"
        if by_hand:
            return "unclear", [reason, "but it was marked by hand"]
        return ("no-lesion", [reason]) if scores.nothing else ("unclear", [reason, "but the detector took it for one"])

    malignant = f"malignant mass {scores.malignant:.2f} ({_shares(scores, known, ('malignant',))})"
    referral = f"malignant and premalignant mass {scores.referral:.2f}"
    if reached := _reached(scores.malignant, triage.urgent, ALWAYS_URGENT):
        return "urgent", [f"{malignant} is at or above {reached} for urgent"]
    if reached := _reached(scores.malignant, triage.refer, NEVER_REASSURING):
        return "refer", [f"{malignant} is at or above {reached} for a referral"]
    if reached := _reached(scores.referral, triage.refer_premalignant, NEVER_REASSURING_PREMALIGNANT):
        detail = _shares(scores, known, ("malignant", "premalignant"))
        return "refer", [f"{referral} ({detail}) is at or above {reached} for a referral"]

    doubts = [f"the photograph of the lesion is {problem}" for problem in quality.problems]
    if scores.referral >= triage.unclear.value:
        doubts.append(f"{referral} is close to a referral (from {triage.unclear.value:.2f} on)")
    harmless = [(c, p) for c, p in scores.ranked() if known[c].group not in ("malignant", "premalignant")]
    if not harmless or harmless[0][1] < triage.reassure:
        best = harmless[0][1] if harmless else 0.0
        doubts.append(f"scores too flat: no harmless condition reaches {triage.reassure:.2f} (best {best:.2f})")
    elif margin and harmless[0][1] - scores.referral < margin:
        lead = harmless[0][1] - scores.referral
        doubts.append(f"no harmless condition is {margin:.2f} ahead of the {referral} (lead {lead:.2f})")
    if not scores.calibrated:
        doubts.append("this pack is uncalibrated: its probabilities must not reassure anyone")
    if doubts:
        return "unclear", doubts
    condition, probability = harmless[0]
    return "watch", [
        f"{known[condition].name} {probability:.2f}",
        f"malignant mass {scores.malignant:.2f} is below {min(triage.refer.value, NEVER_REASSURING):.2f}",
        f"{referral} is below {triage.unclear.value:.2f}",
    ]


def _by_ceilings(own: Scores) -> tuple[Level, str]:
    """What the pack's own masses come to by the fixed ceilings alone; no other numbers lower that."""
    ceilings: tuple[tuple[Level, str, float, float], ...] = (
        ("urgent", "malignant mass", own.malignant, ALWAYS_URGENT),
        ("refer", "malignant mass", own.malignant, NEVER_REASSURING),
        ("refer", "malignant and premalignant mass", own.referral, NEVER_REASSURING_PREMALIGNANT),
    )
    for level, name, mass, ceiling in ceilings:
        if mass >= ceiling:
            return level, f"{name} {mass:.2f} as the pack counts it is at or above the fixed {ceiling:.2f}"
    return "no-lesion", ""


def _reached(mass: float, threshold: Threshold, ceiling: float) -> str:
    """How the threshold that `mass` reaches is described; empty when it reaches none."""
    if mass >= threshold.value:
        if threshold.data == PROFILE:
            return f"the profile's {threshold.value:.2f}"
        if threshold.sensitivity is None:
            return f"the pack's {threshold.value:.2f}"
        return f"the pack's {threshold.value:.2f} (sensitivity {threshold.sensitivity:.2f} of {threshold.positives})"
    return f"the fixed {ceiling:.2f}" if mass >= ceiling else ""


def _shares(scores: Scores, known: dict[str, Condition], groups: tuple[str, ...]) -> str:
    shares = [f"{known[c].name.lower()} {p:.2f}" for c, p in scores.ranked() if known[c].group in groups and p >= 0.005]
    return ", ".join(shares[:4]) or "no type above 0.00"


def _headline(level: Level, scores: Scores, known: dict[str, Condition]) -> str:
    if level not in ("refer", "urgent"):
        return TEXTS[level].seen
    types = [p for c, p in scores.ranked() if known[c].group == "malignant"]
    # Undecided: much malignant mass, and no type that holds most of it.
    if scores.malignant >= NEVER_REASSURING and types and types[0] < 0.6 * scores.malignant:
        return UNDECIDED
    return TEXTS[level].seen


def _treatment(level: Level, scores: Scores, known: dict[str, Condition]) -> str:
    top = known[scores.ranked()[0][0]]
    return TREATABLE if level == "watch" and top.group in ("inflammatory", "infectious") else ""
