"""How a level looks on the screen: a shape, words and a colour, so that none of them is needed alone."""

from __future__ import annotations

from dataclasses import dataclass

from dermedge import Level

from .language import N_, _


@dataclass(frozen=True, slots=True)
class Mark:
    """The face of a level; its colour is the theme's variable `level-<level>`."""

    shape: str
    """Of the same family as the shapes in overlay pictures."""
    plain: str
    """For a terminal that has letters only."""
    name: str
    words: str


MARKS: dict[Level, Mark] = {
    "urgent": Mark("■", "!!", N_("URGENT"), N_("See a doctor within days")),
    "refer": Mark("▲", "!", N_("REFER"), N_("Have a doctor look at it")),
    "unclear": Mark("◆", "?", N_("UNCLEAR"), N_("Could not be judged")),
    "watch": Mark("●", "o", N_("WATCH"), N_("Keep an eye on it")),
    "no-lesion": Mark("□", "-", N_("NO LESION FOUND"), ""),
}


def short(level: Level, plain: bool = False) -> str:
    """Shape and name: `▲ REFER`."""
    mark = MARKS[level]
    return f"{mark.plain if plain else mark.shape} {_(mark.name)}"


def long(level: Level, plain: bool = False) -> str:
    """Shape, name and what it means: `▲ REFER: Have a doctor look at it`."""
    words = MARKS[level].words
    return f"{short(level, plain)}{f': {_(words)}' if words else ''}"


def percent(probability: float) -> str:
    """Nothing is ever called certain or impossible by rounding."""
    if 0 < probability < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= probability < 1 else f"{probability:.0%}"
