"""A screen as a small SVG that looks the same everywhere: no font is fetched, and a cell is a cell."""

from __future__ import annotations

import base64
import io
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from PIL import Image, ImageColor
from rich.style import Style
from textual.app import App
from textual.strip import Strip

WIDTH, HEIGHT = 10, 20
"""Of a cell, in the picture's units."""
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"

STROKES: dict[str, str] = {
    "─": "M0 10H10", "━": "M0 10H10", "│": "M5 0V20", "╭": "M5 20V16Q5 10 10 10", "╮": "M0 10Q5 10 5 16V20",
    "╰": "M5 0V4Q5 10 10 10", "╯": "M0 10Q5 10 5 4V0", "╸": "M0 10H5", "╺": "M5 10H10", "┌": "M5 20V10H10",
    "┐": "M0 10H5V20", "└": "M5 0V10H10", "┘": "M0 10H5V0",
}
"""Drawn, for a font's letters leave gaps between the lines."""
BLOCKS: dict[str, tuple[float, float, float, float, float]] = {
    "▔": (0, 0, 10, 2.5, 1), "▁": (0, 17.5, 10, 2.5, 1), "▂": (0, 15, 10, 5, 1), "▃": (0, 12.5, 10, 7.5, 1),
    "▅": (0, 7.5, 10, 12.5, 1), "▆": (0, 5, 10, 15, 1), "▇": (0, 2.5, 10, 17.5, 1), "▊": (0, 0, 7.5, 20, 1),
    "▌": (0, 0, 5, 20, 1), "▎": (0, 0, 2.5, 20, 1), "▏": (0, 0, 1.25, 20, 1), "▐": (5, 0, 5, 20, 1),
    "▕": (8.75, 0, 1.25, 20, 1), "░": (0, 0, 10, 20, 0.25), "▒": (0, 0, 10, 20, 0.5), "▓": (0, 0, 10, 20, 0.75),
}
"""Left, top, width, height, opacity."""


@dataclass(frozen=True, slots=True)
class Cell:
    character: str
    colour: str
    background: str
    bold: bool
    italic: bool
    underline: bool


def svg(app: App[int], title: str) -> str:
    """What is on the screen now."""
    cells = [_line(strip) for strip in app.screen._compositor.render_strips()[: app.size.height]]
    width, height = app.size.width * WIDTH, app.size.height * HEIGHT
    whole = f'width="{width + 20}" height="{height + 20}"'
    ((commonest, _),) = Counter(cell.background for line in cells for cell in line).most_common(1)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -10 {width + 20} {height + 20}">',
            f"<title>{escape(title)}</title>",
            f"<style>text {{ font: 16px {FONTS}; white-space: pre }} .b {{ font-weight: bold }}",
            ".i { font-style: italic } .u { text-decoration: underline }",
            "path { fill: none; stroke-width: 1.5 }</style>",
            f'<rect x="-10" y="-10" {whole} rx="8" fill="{commonest}"/>',
            f'<image width="{width}" height="{height}" href="data:image/png;base64,{_grounds(cells)}"/>',
            *(drawn for y, line in enumerate(cells) for drawn in _drawn(line, y)),
            "</svg>\n",
        ]
    )


def _line(strip: Strip) -> list[Cell]:
    cells = []
    for text, style, _control in strip:
        cells += [_cell(character, style or Style.null()) for character in text]
    return cells


def _cell(character: str, style: Style) -> Cell:
    colour = style.color.get_truecolor().hex if style.color else "#ffffff"
    ground = style.bgcolor.get_truecolor().hex if style.bgcolor else "#000000"
    if style.reverse:
        colour, ground = ground, colour
    return Cell(character, colour, ground, bool(style.bold), bool(style.italic), bool(style.underline))


def _grounds(cells: list[list[Cell]]) -> str:
    """What lies behind the letters, two pixels a cell: the half cells of a photograph are pixels anyway."""
    picture = Image.new("RGB", (len(cells[0]), 2 * len(cells)))
    for y, line in enumerate(cells):
        for x, cell in enumerate(line):
            upper = cell.colour if cell.character in "▀█" else cell.background
            lower = cell.colour if cell.character in "▄█" else cell.background
            picture.putpixel((x, 2 * y), ImageColor.getrgb(upper)[:3])
            picture.putpixel((x, 2 * y + 1), ImageColor.getrgb(lower)[:3])
    # Enlarged here, for not everything that shows an SVG leaves the edges of pixels as they are.
    enlarged = picture.resize((picture.width * WIDTH, picture.height * HEIGHT // 2), Image.Resampling.NEAREST)
    packed = io.BytesIO()
    enlarged.save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def _kind(cell: Cell) -> tuple[str, object]:
    if cell.character in " ▀▄█":
        return "ground", None
    if cell.character in STROKES:
        return "strokes", cell.colour
    if cell.character in BLOCKS:
        return "blocks", (cell.character, cell.colour)
    return "text", (cell.colour, cell.bold, cell.italic, cell.underline)


def _drawn(line: list[Cell], y: int) -> Iterator[str]:
    x = 0
    for (kind, _), run in itertools.groupby(line, _kind):
        same = list(run)
        left, top = x * WIDTH, y * HEIGHT
        x += len(same)
        first = same[0]
        if kind == "text":
            marks = [mark for mark, on in (("b", first.bold), ("i", first.italic), ("u", first.underline)) if on]
            styled = f' class="{" ".join(marks)}"' if marks else ""
            words = escape("".join(cell.character for cell in same))
            yield (
                f'<text x="{left}" y="{top + 15}" fill="{first.colour}" textLength="{len(same) * WIDTH}"'
                f' lengthAdjust="spacingAndGlyphs"{styled}>{words}</text>'
            )
        elif kind == "strokes":
            for number, cell in enumerate(same):
                yield (
                    f'<path transform="translate({left + number * WIDTH} {top})" d="{STROKES[cell.character]}"'
                    f' stroke="{cell.colour}"/>'
                )
        elif kind == "blocks":
            bx, by, width, height, opacity = BLOCKS[first.character]
            wide = (len(same) - 1) * WIDTH + width if width == WIDTH else width
            steps = [0] if width == WIDTH else range(len(same))
            for number in steps:
                yield (
                    f'<rect x="{left + bx + number * WIDTH:g}" y="{top + by:g}" width="{wide:g}" height="{height:g}"'
                    f' fill="{first.colour}" opacity="{opacity:g}"/>'
                )
