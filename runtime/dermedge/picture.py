"""A scan's photograph at the size that a screen has room for: whole, or one part of it enlarged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from .overlay import STYLES, mark, painted
from .result import Box, Lesion, Level, Mask, Saliency, Scan

FINE = 400
"""Below this many pixels on the longer side a box is a bare line of one pixel: a rim would bury the lesion."""
CLOSEST = 16
"""Pixels of the original that an enlarged part keeps on each side at least."""


def view(
    scan: Scan,
    size: tuple[int, int],
    *,
    part: Box | None = None,
    boxes: bool = True,
    tags: bool = True,
    heat: bool = False,
    mask: bool = False,
) -> Image.Image:
    """The largest picture of the photograph, or of `part`, that fits into `size`; without a caption.

    `tags` are the lesions' numbers; a picture of less than `FINE` pixels has no room for them.
    """
    shown = scan if part is None else cropped(scan, part)
    photo = shown.photo
    factor = min(size[0] / photo.width, size[1] / photo.height)
    width, height = max(1, round(photo.width * factor)), max(1, round(photo.height * factor))
    picture = painted(shown, (width, height), heat=heat, mask=mask)
    if boxes and max(width, height) < FINE:
        _outline(picture, shown, factor)
    elif boxes:
        unit = max(11, max(picture.size) // 64)
        mark(picture, shown, factor, (0, 0), picture.size, unit, tags=tags)
    return picture


def place(scan: Scan, lesion: Lesion, part: Box | None = None) -> tuple[float, float] | None:
    """Where a lesion's box begins in a view, as shares of its width and height; None where it is not in it."""
    frame = _inside(scan, part) if part else scan.photo.frame
    x, y = (lesion.box.x0 - frame.x0) / frame.width, (lesion.box.y0 - frame.y0) / frame.height
    seen = lesion.box.x1 > frame.x0 and lesion.box.y1 > frame.y0 and x < 1 and y < 1
    return (max(x, 0.0), max(y, 0.0)) if seen else None


def shrunk(scan: Scan, side: int) -> Scan:
    """The same scan holding a photograph of at most `side` pixels; every coordinate stays as it is."""
    photo = scan.photo
    height, width = photo.pixels.shape[:2]
    factor = side / max(width, height)
    if factor >= 1:
        return scan
    small = max(1, round(width * factor)), max(1, round(height * factor))
    pixels = np.asarray(Image.fromarray(photo.pixels).resize(small, Image.Resampling.BOX, reducing_gap=2.0))
    return replace(scan, photo=replace(photo, pixels=pixels, scale=photo.scale * factor))


def cropped(scan: Scan, part: Box) -> Scan:
    """The scan of a part of the photograph: everything moved so that the part begins at 0, 0."""
    inside, photo = _inside(scan, part), scan.photo
    left, top, right, bottom = (v * photo.scale for v in (inside.x0, inside.y0, inside.x1, inside.y1))
    rows = slice(int(top), max(int(top) + 1, round(bottom)))
    columns = slice(int(left), max(int(left) + 1, round(right)))
    return replace(
        scan,
        photo=replace(
            photo,
            pixels=np.ascontiguousarray(photo.pixels[rows, columns]),
            width=max(1, round(inside.width)),
            height=max(1, round(inside.height)),
        ),
        lesions=tuple(_moved(lesion, inside) for lesion in scan.lesions if _overlap(lesion.box, inside)),
        rejected=tuple(
            replace(found, box=_shifted(found.box, inside))
            for found in scan.rejected
            if _overlap(found.box, inside)
        ),
    )


def _outline(picture: Image.Image, scan: Scan, factor: float) -> None:
    brush = ImageDraw.Draw(picture)
    marked: list[tuple[Box, Level]] = [(found.box, "no-lesion") for found in scan.rejected]
    for box, level in (*marked, *((lesion.box, lesion.verdict.level) for lesion in scan.lesions)):
        x0, y0 = max(0, round(box.x0 * factor)), max(0, round(box.y0 * factor))
        x1 = min(picture.width - 1, max(x0, round(box.x1 * factor)))
        y1 = min(picture.height - 1, max(y0, round(box.y1 * factor)))
        brush.rectangle((min(x0, x1), min(y0, y1), x1, y1), outline=STYLES[level].colour)


def _inside(scan: Scan, part: Box) -> Box:
    """`part` clipped to the photograph, never so small that nothing is left."""
    photo = scan.photo
    x0 = min(max(part.x0, 0.0), max(0.0, photo.width - CLOSEST))
    y0 = min(max(part.y0, 0.0), max(0.0, photo.height - CLOSEST))
    return Box(
        x0,
        y0,
        min(max(part.x1, x0 + CLOSEST), float(photo.width)),
        min(max(part.y1, y0 + CLOSEST), float(photo.height)),
    )


def _moved(lesion: Lesion, origin: Box) -> Lesion:
    heat, outline = lesion.saliency, lesion.mask
    return replace(
        lesion,
        box=_shifted(lesion.box, origin),
        saliency=heat and Saliency(heat.condition, heat.heat, _shifted(heat.region, origin)),
        mask=outline and Mask(outline.pixels, _shifted(outline.region, origin)),
    )


def _shifted(box: Box, origin: Box) -> Box:
    return Box(box.x0 - origin.x0, box.y0 - origin.y0, box.x1 - origin.x0, box.y1 - origin.y0)


def _overlap(a: Box, b: Box) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
