"""A screen as text that can be read and compared: its letters, then its colours and styles in runs."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Mapping

from rich.style import Style
from textual.app import App
from textual.geometry import Region

from dermedge_tui.widgets.picture import Picture

Cells = list[list[tuple[str, str]]]
"""Character and style, line by line."""

DRAWN, BLANK = "▒", " "
"""In the place of a photograph: its colours depend on how a machine rounds."""
UNSTEADY = re.compile(r"\bthreads +\d+ *|\d\.\d{3,}|\b[0-9a-f]{12,}\b")
"""The number of processors, digests, and figures with more digits than two machines agree on."""
NAMES = string.ascii_letters + string.digits


def grid(app: App[int]) -> str:
    """The whole screen."""
    cells = _cells(app)
    for picture in app.screen.query(Picture):
        _mask(cells, picture.region)
    letters = ["".join(character for character, _ in line) for line in cells]
    letters = [UNSTEADY.sub(_steady, line).rstrip() for line in letters]
    legend: dict[str, str] = {}
    runs = []
    for line in cells:
        steps = [(style, len(list(run))) for style, run in itertools.groupby(style for _, style in line)]
        runs.append(" ".join(f"{legend.setdefault(style, _name(len(legend)))}{length}" for style, length in steps))
    edge = "-" * len(cells[0])
    return "\n".join(
        [
            edge, *letters, edge,
            *(f"{name} = {style}" for style, name in legend.items()),
            *(f"{len(list(same))} x {run}" for run, same in itertools.groupby(runs)),
        ]
    )


def _steady(found: re.Match[str]) -> str:
    text = found[0]
    return "threads #".ljust(len(text)) if text.startswith("threads") else re.sub(r"\w", "#", text)


def _name(number: int) -> str:
    return NAMES[number] if number < len(NAMES) else f"({number})"


def _cells(app: App[int]) -> Cells:
    lines: Cells = []
    for strip in app.screen._compositor.render_strips()[: app.size.height]:
        line = []
        for text, style, _control in strip:
            line += [(character, _said(style)) for character in text]
        lines.append(line)
    return lines


def _said(style: Style | None) -> str:
    """Without what a click on it would do."""
    return str((style or Style.null()).clear_meta_and_links())


def _mask(cells: Cells, region: Region) -> None:
    for y in range(max(region.y, 0), min(region.bottom, len(cells))):
        line = cells[y]
        for x in range(max(region.x, 0), min(region.right, len(line))):
            character, _style = line[x]
            line[x] = (DRAWN if character not in " ▸" and not character.isdigit() else BLANK, "picture")


def joined(sizes: Mapping[tuple[int, int], str]) -> str:
    """One page in every size."""
    return "\n\n".join(f"{width} x {height}\n{text}" for (width, height), text in sizes.items()) + "\n"
