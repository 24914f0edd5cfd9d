"""What a person takes home: the finding in plain words, as a code that a phone reads, without any network."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from dermedge import Level

from ..language import N_, _, day
from ..levels import MARKS

if TYPE_CHECKING:
    from .widgets.code import Modules

TO_DO: dict[Level, str] = {
    "urgent": N_("See a doctor within days."),
    "refer": N_("Have a doctor look at it within weeks."),
    "unclear": N_("Not judged. If in doubt, ask a doctor."),
    "watch": N_("Look again in 1 to 3 months. If it changes, see a doctor."),
    "no-lesion": N_("If a spot worries you, ask a doctor."),
}
"""Short: each letter makes the code finer, and the screen has 24 lines."""


def words(level: Level, when: date) -> str:
    """Level, what to do, the day, and what this is; nothing about the person."""
    name = _(MARKS[level].name)
    return f"dermedge {day(when)}\n{name}. {_(TO_DO[level])}\n{_('A screening aid, no diagnosis.')}"


def modules(text: str) -> Modules:
    """The dark and light squares.

    The least error correction: a screen has no scratches, and larger squares read better. UTF-8 without saying so in
    the code: phones recognise it, and some stumble over the standard's way to say it.
    """
    import segno

    code = segno.make(text, micro=False, error="l", boost_error=False, encoding="utf-8")
    return tuple(tuple(row) for row in code.matrix)
