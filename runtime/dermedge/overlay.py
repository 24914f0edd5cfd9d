"""The picture of a scan: numbered boxes, heat maps, outlines, and what was said, below.

Levels differ by colour (Okabe and Ito's, which colour-blind people tell apart), by marker shape, by line and
by word: never by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .caption import PANEL, Colour, Row, written
from .errors import UsageError
from .result import Box, Lesion, Level, Scan
from .saliency import laid_over, on_photo
from .segmenter import edge

Rect = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Style:
    """How a level looks."""

    colour: Colour
    corners: int
    """Of its marker; 0 is a round one."""
    turn: float
    """Of the marker, in degrees."""
    dash: float
    """Length of the line's dashes, in line widths; 0 is a solid line."""
    weight: float
    """Of the line, against the normal one."""
    hollow: bool = False
    """Whether its marker is an outline only."""


# The same shapes as in a terminal's finding: a level looks alike wherever a person meets it.
STYLES: dict[Level, Style] = {
    "urgent": Style((213, 94, 0), corners=4, turn=45, dash=0, weight=1.6),
    "refer": Style((230, 159, 0), corners=3, turn=-90, dash=0, weight=1),
    "unclear": Style((86, 180, 233), corners=4, turn=0, dash=5, weight=1),
    "watch": Style((0, 158, 115), corners=0, turn=0, dash=0, weight=0.7),
    "no-lesion": Style((170, 170, 170), corners=4, turn=45, dash=2, weight=0.9, hollow=True),
}

HEAT_STOPS: tuple[Colour, ...] = (
    (46, 30, 110), (44, 80, 150), (30, 126, 152), (34, 168, 134), (96, 205, 90), (180, 222, 44),
    (253, 231, 37),
)
"""Evenly rising in lightness from blue to yellow, without red against green; far from the colours of skin."""
HEAT_OPACITY = 0.55
HEAT_FROM, HEAT_FULL = 0.25, 0.7
"""Shares of the peak where the heat map begins to show and where it is most opaque."""
TEXT: Colour = (240, 240, 240)
FAINT: Colour = (176, 180, 186)
DISCLAIMER = "Screening aid, not a diagnosis."
SMALLEST_SIDE = 160
"""A picture below this cannot hold a caption."""


def draw(scan: Scan, *, heat: bool = True, mask: bool = True, side: int = 1280) -> Image.Image:
    """The photograph with its longer side scaled to `side`, marked, over a caption."""
    if side < SMALLEST_SIDE:
        raise UsageError(f"an overlay picture needs a side of at least {SMALLEST_SIDE} pixels, not {side}")
    photo = scan.photo
    factor = side / max(photo.width, photo.height)
    size = max(1, round(photo.width * factor)), max(1, round(photo.height * factor))
    picture = painted(scan, size, heat=heat, mask=mask)

    unit = max(11, side // 64)
    caption = _caption(scan, max(size[0], side // 2), unit, heat)
    # A very narrow or flat photograph still gets room for its numbers.
    room = caption.width, max(size[1], 4 * unit)
    origin = (room[0] - size[0]) // 2, (room[1] - size[1]) // 2
    canvas = Image.new("RGB", (room[0], room[1] + caption.height), PANEL)
    canvas.paste(picture, origin)
    mark(canvas, scan, factor, origin, room, unit)
    canvas.paste(caption, (0, room[1]))
    return canvas


def ramp() -> NDArray[np.float32]:
    """The heat map's 256 colours, from weak to strong."""
    stops = np.array(HEAT_STOPS, np.float32)
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)


def painted(scan: Scan, size: tuple[int, int], *, heat: bool, mask: bool) -> Image.Image:
    photo = scan.photo
    picture = Image.fromarray(photo.pixels).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    maps = [on_photo(lesion.saliency, photo, size) for lesion in scan.lesions if heat and lesion.saliency]
    outlines = [lesion.mask for lesion in scan.lesions if mask and lesion.mask]
    if not maps and not outlines:
        return picture
    pixels = np.asarray(picture, np.float32)
    if maps:
        strongest = np.maximum.reduce(maps)
        colours = ramp()[(strongest * 255).astype(np.uint8)]
        shown = ((strongest - HEAT_FROM) / (HEAT_FULL - HEAT_FROM)).clip(0, 1)
        opacity = (HEAT_OPACITY * shown)[..., np.newaxis]
        pixels = pixels * (1 - opacity) + colours * opacity
    line = max(1, max(size) // 640)
    for outline in outlines:
        inside = laid_over(outline.pixels, outline.region, photo, size) > 0.5
        pixels[edge(inside, 3 * line)] = 0
        inner = inside & ~edge(inside, line)
        pixels[edge(inner, line)] = 255
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def mark(
    canvas: Image.Image,
    scan: Scan,
    factor: float,
    origin: tuple[int, int],
    room: tuple[int, int],
    unit: int,
    *,
    tags: bool = True,
) -> None:
    brush = ImageDraw.Draw(canvas)
    line = max(1.5, unit / 7)

    def placed(box: Box) -> Rect:
        # The whole line stays visible even where the box ends on the photograph's border.
        edges = (box.x0 * factor, box.y0 * factor, box.x1 * factor, box.y1 * factor)
        x0, y0, x1, y1 = (edge + origin[i % 2] for i, edge in enumerate(edges))
        right, bottom = room[0] - line - 1, room[1] - line - 1
        return max(x0, line), max(y0, line), min(x1, right), min(y1, bottom)

    for detection in scan.rejected:
        _frame(brush, placed(detection.box), STYLES["no-lesion"], line)
    for lesion in scan.lesions:
        _frame(brush, placed(lesion.box), STYLES[lesion.verdict.level], line)
    if not tags:
        return
    taken: list[Rect] = []
    # The surest lesion comes last and lies on top where tags cannot avoid each other.
    for lesion in scan.lesions:
        tag = _tag(lesion, unit)
        spot = _free_spot(placed(lesion.box), tag.size, room, taken)
        taken.append(spot)
        canvas.paste(tag, (round(spot[0]), round(spot[1])))


def _frame(brush: ImageDraw.ImageDraw, rect: Rect, style: Style, line: float) -> None:
    x0, y0, x1, y1 = rect
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    width = max(2, round(line * style.weight))
    # A dark rim keeps the line visible on skin as light as the line itself.
    for colour, thick in (((0, 0, 0), width + 2), (style.colour, width)):
        if style.dash:
            for a, b in pairwise(corners):
                for stroke in _dashes(a, b, style.dash * width):
                    brush.line(stroke, fill=colour, width=thick)
        else:
            brush.line([*corners, corners[1]], fill=colour, width=thick, joint="curve")


def _dashes(a: tuple[float, float], b: tuple[float, float], dash: float) -> Iterator[Rect]:
    count = max(1, round(math.dist(a, b) / (2 * dash)))
    for i in range(count):
        start, stop = i / count, (i + 0.55) / count
        yield (a[0] + (b[0] - a[0]) * start, a[1] + (b[1] - a[1]) * start,
               a[0] + (b[0] - a[0]) * stop, a[1] + (b[1] - a[1]) * stop)


def _tag(lesion: Lesion, unit: int) -> Image.Image:
    """A lesion's number beside its level's marker, on the level's colour."""
    font, number = ImageFont.load_default(unit), str(lesion.number)
    style = STYLES[lesion.verdict.level]
    mark = round(0.8 * unit)
    pad = unit // 4
    tag = Image.new("RGB", (3 * pad + mark + math.ceil(font.getlength(number)), unit + 2 * pad), (0, 0, 0))
    brush = ImageDraw.Draw(tag)
    brush.rectangle((1, 1, tag.width - 2, tag.height - 2), fill=style.colour)
    tag.paste((0, 0, 0), (pad, (tag.height - mark) // 2), _marker(style, mark))
    brush.text((2 * pad + mark, tag.height / 2), number, fill=(0, 0, 0), font=font, anchor="lm")
    return tag


def _marker(style: Style, size: int) -> Image.Image:
    fine = 4 * size
    shape = Image.new("L", (fine, fine))
    brush = ImageDraw.Draw(shape)
    if style.corners:
        angles = [math.radians(style.turn + 360 * i / style.corners) for i in range(style.corners)]
        drop = 0.12 if style.corners == 3 else 0.0
        corners = [(math.cos(a), drop + math.sin(a)) for a in angles]
        for reach, fill in ((1.0, 255), (0.6, 0))[: 1 + style.hollow]:
            brush.polygon([(fine / 2 * (1 + reach * x), fine / 2 * (1 + reach * y)) for x, y in corners], fill=fill)
    else:
        brush.ellipse((0, 0, fine - 1, fine - 1), fill=255)
    return shape.resize((size, size), Image.Resampling.BOX)


def _free_spot(box: Rect, size: tuple[int, int], room: tuple[int, int], taken: Sequence[Rect]) -> Rect:
    """Where a tag hides neither its lesion nor another tag: above the box, below it, and only then inside."""
    x0, y0, x1, y1 = box
    width, height = size
    starts = [(x0, y0 - height), (x1 - width, y0 - height), (x0, y1), (x1 - width, y1), (x1, y0),
              (x0 - width, y0), (x0, y0), (x1 - width, y0), (x0, y1 - height)]
    spots = [(x, y, x + width, y + height) for x, y in starts]
    inside = [s for s in spots if s[0] >= 0 and s[1] >= 0 and s[2] <= room[0] and s[3] <= room[1]]
    free = [s for s in inside if not any(_overlap(s, other) for other in taken)]
    return (free or inside)[0]


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _caption(scan: Scan, width: int, unit: int, heat: bool) -> Image.Image:
    font, small = ImageFont.load_default(unit), ImageFont.load_default(max(10, round(unit * 0.8)))
    rows: list[Row] = []
    for lesion in scan.lesions:
        rows.append(Row(_sentence(lesion, len(scan.lesions)), font, TEXT, _badge(lesion.verdict.level, unit)))
        if heat and lesion.saliency:
            condition = lesion.saliency.condition.replace("-", " ")
            text = f"heat map, weak to strong: what spoke for {condition}"
            rows.append(Row(text, small, FAINT, _scale(unit)))
    if not scan.lesions:
        verdict = scan.verdict
        badge = _badge(verdict.level, unit)
        rows.append(Row(f"{_word(verdict.level)}: {verdict.headline}", font, TEXT, badge))
    if scan.rejected:
        rows.append(Row("dotted grey: looked at, and recognised as no lesion", small, FAINT))
    pack = f"{scan.pack.id} {scan.pack.version}{'' if scan.pack.calibrated else ', uncalibrated'}"
    if scan.profile:
        pack += f", judged under the profile {scan.profile}"
    rows.append(Row(f"{DISCLAIMER} Pack: {pack}", small, FAINT))
    return written(rows, width, unit)


def _badge(level: Level, size: int) -> Image.Image:
    badge = Image.new("RGBA", (size, size), STYLES[level].colour)
    badge.putalpha(_marker(STYLES[level], size))
    return badge


def _scale(size: int) -> Image.Image:
    strip = Image.fromarray(ramp()[np.newaxis].astype(np.uint8))
    return strip.resize((size, max(4, size // 3))).convert("RGBA")


def _sentence(lesion: Lesion, among: int) -> str:
    number = f"{lesion.number}  " if among > 1 else ""
    return f"{number}{_word(lesion.verdict.level)}: {lesion.verdict.headline}"


def _word(level: Level) -> str:
    return level.replace("-", " ").upper()
