"""What a person reads in a terminal: the finding, a pack's summary, and the one line that an error is."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from .result import Lesion, Level, Quality, Scan, Scores, Verdict

if TYPE_CHECKING:  # so that the doctor can report on a box where numpy is missing
    from .pack.manifest import Condition, Manifest, Threshold

DISCLAIMER = "dermedge is a screening aid, not a diagnosis."
TOP = 3
"""How many conditions are shown where nobody asked for another number."""

BAR = 20
MARGIN = "  "
INDENT = "       "
"""As wide as the labels: what belongs to the line above stands beneath its text."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A level's shape, its stand-in in ASCII, its words, and its colour out of the 256 of a terminal."""

    shape: str
    ascii: str
    words: str
    colour: int


# Near to the overlay pictures' shapes and colours; shape and words alone tell the levels apart.
MARKS: dict[Level, Mark] = {
    "urgent": Mark("■", "!!", "URGENT: see a doctor within days", 202),
    "refer": Mark("▲", "!", "REFER: have a doctor look at it", 214),
    "unclear": Mark("◆", "?", "UNCLEAR: could not be judged", 74),
    "watch": Mark("●", "o", "WATCH: keep an eye on it", 36),
    "no-lesion": Mark("□", "-", "NO LESION FOUND", 248),
}


@dataclass(frozen=True, slots=True)
class Style:
    """What the terminal can show."""

    width: int = 80
    colour: bool = False
    unicode: bool = True

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """Colours only on a terminal that wants them; the width is the terminal's, 80 where there is none."""
        terminal = stream.isatty()
        colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        width = shutil.get_terminal_size().columns if terminal else 80
        return cls(max(40, min(width, 120)), colour, is_unicode(stream))

    def paint(self, text: str, *codes: int | str) -> str:
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if self.colour else text

    def wrap(self, label: str, text: str, indent: str = MARGIN) -> str:
        """`label` and `text` over as many lines as they need, the later ones beneath the text."""
        return textwrap.fill(
            text,
            self.width,
            initial_indent=indent + label,
            subsequent_indent=indent + " " * len(label),
            break_on_hyphens=False,
        )


def is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "ascii").lower().replace("-", "").startswith("utf")


def printable(text: str) -> str:
    """`text` with everything that could steer a terminal (or reverse its writing) spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def complain(what: str) -> None:
    """One line on stderr."""
    print(f"dermedge: {printable(' '.join(what.split()))}", file=sys.stderr, flush=True)


def print_json(value: Mapping[str, Any]) -> None:
    """One line on stdout; ASCII only, so that no name is an escape to the terminal and any encoding will do."""
    print(json.dumps(value, allow_nan=False), flush=True)


def finding(
    scan: Scan,
    conditions: Sequence[Condition],
    style: Style,
    top: int | None = None,
    agreements: Mapping[int, float] | None = None,
) -> str:
    """The whole answer to one photograph; `agreements` are what `--explain` found, by lesion number."""
    known = {condition.id: condition for condition in conditions}
    about = [f"{scan.photo.width} x {scan.photo.height}"]
    if scan.modality:
        about.append({"dermoscopy": "dermoscopy", "phone": "phone photograph"}[scan.modality])
    lines = [style.paint(printable(scan.photo.name), 1) + f"  ({', '.join(about)})"]
    several = len(scan.lesions) > 1
    if several or not scan.lesions:
        lines += _verdict(scan.verdict, style, with_reasons=not scan.lesions)
    for lesion in scan.lesions:
        if several:
            lines += [
                "",
                MARGIN + style.paint(f"Lesion {lesion.number} of {len(scan.lesions)}", 1) + f" at {_place(lesion)}",
            ]
        lines += _verdict(lesion.verdict, style, with_reasons=False)
        lines += _lesion(lesion, known, style, top)
        # What is wrong with the whole frame is a lone lesion's trouble too; one sentence about it is enough.
        alone = not several and lesion.quality.usable
        lines += _advice(scan.quality if alone else lesion.quality, style)
        if agreements and lesion.number in agreements:
            lines.append(style.wrap("Check: ", agreement_words(agreements[lesion.number])))
    if several:
        lines += _advice(scan.quality, style)
    lines += [style.wrap("Note:  ", printable(note)) for note in scan.photo.notes]
    if not scan.pack.calibrated:
        lines.append(
            style.wrap(
                "Note:  ",
                f"the pack {scan.pack.id} is uncalibrated: its percentages are no "
                "probabilities, and it never reassures.",
            )
        )
    provider = scan.provider.removesuffix("ExecutionProvider")
    seconds = scan.seconds.get("total", 0.0)
    lines.append(MARGIN + style.paint(f"pack {scan.pack.id} {scan.pack.version}, {provider}, {seconds:.2f} s", 2))
    return "\n".join(lines)


def agreement_words(agreement: float) -> str:
    """What the correlation of the one-pass heat map with the occlusion's means."""
    if agreement >= 0.6:
        meaning = "agrees with"
    elif agreement >= 0.3:
        meaning = "agrees only in part with"
    else:
        meaning = "does not agree with"
    end = "" if agreement >= 0.3 else "; do not rely on the heat map"
    return f"the heat map {meaning} covering up parts of the lesion (agreement {agreement:.2f}){end}"


def pack_summary(manifest: Manifest, style: Style) -> str:
    """Who a pack is, what it knows and how well, for `pack show`."""
    lines = [
        f"{manifest.id} {manifest.version}",
        f"{MARGIN}digest       {manifest.digest}",
        f"{MARGIN}made from    {manifest.source.model} ({manifest.source.revision})",
        style.wrap("intended use ", manifest.intended_use),
        "",
        "Licences",
    ]
    lines += [style.wrap("", f"{one.name}, {one.applies_to}: {one.notice}") for one in manifest.licences]
    lines += ["", "Conditions"]
    lines += [f"{MARGIN}{one.id:28}{one.name:28}{one.group}" for one in manifest.conditions]
    for modality, triage in manifest.triage.items():
        calibrated = "calibrated" if manifest.scoring[modality].calibrated else "uncalibrated"
        lines += ["", f"Thresholds for {modality} ({calibrated})"]
        for name in ("urgent", "refer", "refer_premalignant", "unclear"):
            lines.append(style.wrap(f"{name:20}", _threshold(getattr(triage, name))))
        lines.append(f"{MARGIN}{'reassure':20}{triage.reassure:.2f}")
    lines += ["", "Metrics", *_metrics(manifest.metrics, MARGIN)]
    return "\n".join(printable(line) for text in lines for line in text.split("\n"))


def _verdict(verdict: Verdict, style: Style, *, with_reasons: bool) -> list[str]:
    mark = MARKS[verdict.level]
    shape = mark.shape if style.unicode else mark.ascii
    lines = [
        MARGIN + style.paint(f"{shape} {mark.words}", 1, "38;5", mark.colour),
        style.wrap("Seen:  ", verdict.headline),
        style.wrap("Do:    ", verdict.advice),
    ]
    if with_reasons:
        lines += _reasons(verdict.reasons, style)
    return lines


def _lesion(lesion: Lesion, known: Mapping[str, Condition], style: Style, top: int | None) -> list[str]:
    # Probabilities of what is no lesion mean nothing, and a person would read them all the same.
    lines = [] if lesion.scores.nothing else _probabilities(lesion.scores, known, style, top)
    lines += _reasons(lesion.verdict.reasons, style)
    lines += [style.wrap("Known: ", shift) for shift in lesion.scores.shifts]
    if lesion.mask is not None:
        cover = float(lesion.mask.pixels.mean()) * lesion.mask.region.width * lesion.mask.region.height
        lines.append(style.wrap("Size:  ", f"its outline covers {cover:,.0f} pixels of the photograph"))
    return lines


def _probabilities(scores: Scores, known: Mapping[str, Condition], style: Style, top: int | None) -> list[str]:
    """The likeliest conditions as bars, and both masses."""
    ranked = scores.ranked()[: TOP if top is None else top]
    column = max(len(known[condition].name) for condition, _ in ranked)
    full, empty = ("█", "░") if style.unicode else ("#", ".")
    length = max(4, min(BAR, style.width - len(MARGIN + INDENT) - column - 6))
    lines = []
    for condition, probability in ranked:
        filled = round(probability * length)
        bar = full * filled + empty * (length - filled)
        lines.append(f"{MARGIN}{INDENT}{known[condition].name:{column}} {bar} {percent(probability)}")
    masses = f"malignant {percent(scores.malignant).strip()}, with premalignant {percent(scores.referral).strip()}"
    return [*lines, style.wrap(INDENT, masses)]


def _reasons(reasons: Sequence[str], style: Style) -> list[str]:
    return [
        style.wrap("Why:   " if number == 0 else INDENT, printable(reason)) for number, reason in enumerate(reasons)
    ]


def _advice(quality: Quality, style: Style) -> list[str]:
    if quality.usable:
        return []
    return [style.wrap("Photo: ", f"{', '.join(quality.problems)}. {' '.join(quality.advice)}")]


def percent(probability: float) -> str:
    """Four columns; nothing is ever called certain or impossible by rounding."""
    if 0 < probability < 0.005:
        return " <1%"
    return ">99%" if 0.995 <= probability < 1 else f"{probability:4.0%}"


def _place(lesion: Lesion) -> str:
    x, y, width, height = lesion.box.as_xywh()
    return f"{x:.0f},{y:.0f}, {width:.0f} x {height:.0f} pixels" + (", marked by hand" if lesion.by_hand else "")


def _threshold(threshold: Threshold) -> str:
    if threshold.sensitivity is None or threshold.specificity is None:
        return f"{threshold.value:.2f}  not measured ({threshold.data})"
    return (
        f"{threshold.value:.2f}  sensitivity {threshold.sensitivity:.1%} of {threshold.positives}, "
        f"specificity {threshold.specificity:.1%} of {threshold.negatives} ({threshold.data})"
    )


def _metrics(metrics: Mapping[str, object], indent: str) -> list[str]:
    lines: list[str] = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}", *_metrics(value, indent + MARGIN)]
        else:
            lines.append(f"{indent}{name:24} {value:.4g}" if isinstance(value, float) else f"{indent}{name:24} {value}")
    return lines
