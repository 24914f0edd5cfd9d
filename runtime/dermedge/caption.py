"""Sentences set in a panel of a given width, in the font that Pillow brings along."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PANEL: Colour = (22, 24, 28)
SPELT = str.maketrans({0x2013: "-", 0x2014: "-", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2192: "->",
                       0x2264: "<=", 0x2265: ">="})
"""Dashes, quotes and signs that the built-in font lacks, in letters that it has."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sentence of the caption."""

    text: str
    font: Font
    colour: Colour
    icon: Image.Image | None = None


def written(rows: Sequence[Row], width: int, unit: int) -> Image.Image:
    """The sentences below each other, in a panel as wide as asked and as high as they need."""
    indent = round(2.5 * unit)
    lines: list[Row] = []
    for row in rows:
        parts = _wrapped(plain(row.text), row.font, width - indent - unit)
        lines += [replace(row, text=part, icon=row.icon if i == 0 else None) for i, part in enumerate(parts)]
    heights = [round(line.font.getbbox("Ag")[3] * 1.4) for line in lines]
    panel = Image.new("RGB", (width, sum(heights) + unit), PANEL)
    brush = ImageDraw.Draw(panel)
    y = unit // 2
    for line, height in zip(lines, heights, strict=True):
        if line.icon:
            panel.paste(line.icon, (unit, y + (height - line.icon.height) // 2), line.icon)
        brush.text((indent, y + height / 2), line.text, fill=line.colour, font=line.font, anchor="lm")
        y += height
    return panel


def plain(text: str) -> str:
    """The text in the letters that the built-in font has."""
    spelt = unicodedata.normalize("NFKD", text.translate(SPELT))
    return "".join(c if " " <= c <= "~" else "?" for c in spelt if not unicodedata.combining(c))


def _wrapped(text: str, font: Font, width: float) -> list[str]:
    """Lines that fit; a word wider than a line is broken."""
    lines = [""]
    for word in _breakable(text.split(" "), font, width):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _breakable(words: Iterable[str], font: Font, width: float) -> Iterator[str]:
    for word in words:
        while font.getlength(word) > width and len(word) > 1:
            shorter = range(len(word) - 1, 0, -1)
            fitting = next((n for n in shorter if font.getlength(word[:n]) <= width), 1)
            yield word[:fitting]
            word = word[fitting:]
        yield word
