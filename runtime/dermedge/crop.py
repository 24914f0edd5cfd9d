"""From a lesion's box to the square that a graph sees: pure geometry, the same rule as in training."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import BoxOutside, UsageError
from .result import Box, Crop, Photo

RESAMPLING = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

REDUCING_GAP = 3.0
"""Shrink by whole factors first, down to three times the target: as good, several times faster."""
WIDEST_FILTER = 3
"""Lanczos reaches this many source pixels (of the size of a target pixel) to each side."""
SLIVER = 1e-3


def square_around(box: Box, width: int, height: int, context: float) -> Box:
    """The square that shows `box` in its surroundings.

    Its side is `context` times the box's longer side, but not beyond the photograph's shorter side for the
    context's sake. It is shifted to stay inside the photograph on each axis where it fits, and shows all of the
    photograph on an axis where it does not.
    """
    longer = max(box.width, box.height)
    side = max(longer, min(context * longer, min(width, height)))
    x, y = box.centre
    x0, y0 = _start(x, side, width), _start(y, side, height)
    return Box(x0, y0, x0 + side, y0 + side)


def _start(centre: float, side: float, extent: int) -> float:
    if side > extent:
        return (extent - side) / 2
    return min(max(centre - side / 2, 0.0), extent - side)


def cut(photo: Photo, region: Box, size: int, resample: str, padding: tuple[int, int, int]) -> Crop:
    """`region`, which must be square, as size x size pixels; `padding` where it leaves the photograph."""
    if resample not in RESAMPLING:
        raise UsageError(f"unknown resampling {resample!r}; take one of {', '.join(RESAMPLING)}")
    side = region.width
    x0, y0 = max(region.x0, 0.0), max(region.y0, 0.0)
    x1, y1 = min(region.x1, float(photo.width)), min(region.y1, float(photo.height))
    if not (side > 0 and x0 < x1 and y0 < y1):
        raise BoxOutside(f"{photo.name}: the square {region.as_xywh()} does not lie on the photograph")

    left, right = _pixels(x0 - region.x0, x1 - region.x0, size / side, size)
    top, bottom = _pixels(y0 - region.y0, y1 - region.y0, size / side, size)
    seen = _resized(photo, Box(x0, y0, x1, y1), (right - left, bottom - top), RESAMPLING[resample])
    if seen.shape == (size, size, 3):
        pixels = seen
    else:
        pixels = np.empty((size, size, 3), np.uint8)
        pixels[:] = padding
        pixels[top:bottom, left:right] = seen
    pixels.setflags(write=False)
    return Crop(pixels, region)


def _pixels(start: float, stop: float, factor: float, size: int) -> tuple[int, int]:
    """Whole pixels of the crop that show a stretch of the photograph: at least one, however thin it is."""
    first = min(round(start * factor), size - 1)
    return first, min(max(round(stop * factor), first + 1), size)


def _resized(photo: Photo, part: Box, size: tuple[int, int],
             resample: Image.Resampling) -> NDArray[np.uint8]:
    """`part` of the photograph at a new size, converting only the pixels that it needs."""
    rows, columns = photo.pixels.shape[:2]
    x0, x1, left, right = _stretch(part.x0 * photo.scale, part.x1 * photo.scale, columns, size[0])
    y0, y1, top, bottom = _stretch(part.y0 * photo.scale, part.y1 * photo.scale, rows, size[1])
    picture = Image.fromarray(np.ascontiguousarray(photo.pixels[top:bottom, left:right]))
    box = (x0 - left, y0 - top, x1 - left, y1 - top)
    return np.array(picture.resize(size, resample, box=box, reducing_gap=REDUCING_GAP))


def _stretch(start: float, stop: float, extent: int, target: int) -> tuple[float, float, int, int]:
    """A stretch kept on the decoded pixels, and the whole pixels that its resampling reaches for."""
    # A draft decoder rounds sides, so a scaled edge may fall a fraction beside the decoded one.
    stop = min(stop, float(extent))
    start = max(0.0, min(start, stop - SLIVER))
    reach = math.ceil(WIDEST_FILTER * max(1.0, (stop - start) / target)) + 1
    return start, stop, max(0, math.floor(start) - reach), min(extent, math.ceil(stop) + reach)
