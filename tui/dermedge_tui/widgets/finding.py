"""The answer in words: what was seen, what to do, what it could be, why, and how to take a better picture."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from dermedge import Lesion, Quality

from .. import phrases
from ..language import _
from ..levels import percent, short
from ..session import Entry
from .bars import Bars

SHOWN = 5
"""Conditions; the rest is in the numbers page."""


class Finding(VerticalScroll):
    """Scrolls with the arrow keys; everything in it wraps."""

    DEFAULT_CSS = """
    Finding { padding: 0 1; }
    Finding > * { height: auto; margin-bottom: 1; }
    Finding > .label { color: $accent; text-style: bold; margin-bottom: 0; }
    Finding > .headline { text-style: bold; }
    Finding > .small { color: $secondary; }
    """

    def tell(self, entry: Entry, lesion: Lesion | None, plain: bool = False) -> None:
        """About one lesion, or about a photograph in which there is none."""
        self.remove_children()
        self.mount_all(_said(entry, lesion, plain))
        self.scroll_home(animate=False)


def _said(entry: Entry, lesion: Lesion | None, plain: bool) -> Iterator[Widget]:
    scan = entry.scan
    verdict = lesion.verdict if lesion else scan.verdict
    if lesion and len(scan.lesions) > 1:
        place = _("Lesion {number} of {count}").format(number=lesion.number, count=len(scan.lesions))
        yield _text(f"{place}: {short(verdict.level, plain)}", "label")
    yield _text(phrases.prose(verdict.headline), "headline")
    yield _text(_("What to do"), "label")
    yield _text(phrases.prose(verdict.advice))
    # Probabilities of what is no lesion mean nothing, and a person would read them all the same.
    if lesion and not lesion.scores.nothing:
        yield _text(_("What it could be"), "label")
        ranked = lesion.scores.ranked()[:SHOWN]
        yield Bars([(phrases.condition(id, entry.names.get(id, id)), p) for id, p in ranked], plain=plain)
        yield _text(
            _("Malignant types together {malignant}, with their early forms {referral}.").format(
                malignant=percent(lesion.scores.malignant), referral=percent(lesion.scores.referral)
            )
        )
    yield _text(_("Why"), "label")
    yield _text("\n".join(f"- {phrases.reason(reason)}" for reason in verdict.reasons))
    yield from _photograph(lesion.quality if lesion and not lesion.quality.usable else scan.quality)
    if notes := [phrases.reason(note) for note in scan.photo.notes]:
        yield _text("\n".join(f"- {note}" for note in notes), "small")
    if not scan.pack.calibrated:
        yield _text(_("This pack is uncalibrated: its percentages are no probabilities, and it never reassures."))
    yield _text(_("A screening aid, not a diagnosis. It can miss things."), "small")


def _photograph(quality: Quality) -> Iterator[Widget]:
    if quality.usable:
        return
    yield _text(_("The photograph"), "label")
    problems = ", ".join(phrases.problem(problem) for problem in quality.problems)
    advice = " ".join(phrases.prose(advice) for advice in quality.advice)
    yield _text(f"{problems}. {advice}")


def _text(text: str, classes: str = "") -> Static:
    return Static(Content(text), classes=classes)
