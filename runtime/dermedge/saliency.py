"""Which parts of a crop spoke for a condition: exact, from the pass that was scored, and a slow check."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .errors import UsageError
from .result import Box, Crop, Embedding, Photo, Saliency
from .tower import Tower

GREY = 128
CELLS = 8
"""Cells a side in the occlusion check: 64 passes of the tower."""
FAINTEST = 1e-9
"""A heat map that nowhere reaches this stays blank."""
RANK_STEPS = 20
MARGIN = 0.5
"""How far the grey patch reaches beyond its cell, in cells: neighbours overlap, so that no edge is missed."""


def explain(embedding: Embedding, crop: Crop, vector: NDArray[np.floating[Any]], condition: str) -> Saliency:
    """Each patch's share in the cosine with a condition's vector."""
    heat = (embedding.patches.astype(np.float64) @ vector.astype(np.float64)).astype(np.float32)
    heat.setflags(write=False)
    return Saliency(condition, heat, crop.region)


def occlusion(
    tower: Tower, crop: Crop, vector: NDArray[np.floating[Any]], condition: str, cells: int = CELLS
) -> Saliency:
    """How much of the cosine is lost where a grey patch hides a cell; knows nothing of the tower's inside.

    Slow: cells * cells passes. Unlike `explain`'s, this heat does not sum up to the cosine.
    """
    size = len(crop.pixels)
    if not 2 <= cells <= size:
        raise UsageError(f"occlusion needs 2 to {size} cells a side, not {cells}")
    target = vector.astype(np.float64)
    whole = tower.vectors(crop.pixels[np.newaxis])[0] @ target
    heat = np.empty((cells, cells), np.float32)
    for row in range(cells):
        hidden = np.repeat(crop.pixels[np.newaxis], cells, axis=0)
        for column in range(cells):
            hidden[column, _cover(row, cells, size), _cover(column, cells, size)] = GREY
        heat[row] = whole - tower.vectors(hidden) @ target
    heat.setflags(write=False)
    return Saliency(condition, heat, crop.region)


def _cover(cell: int, cells: int, size: int) -> slice:
    start, stop = (cell - MARGIN) * size / cells, (cell + 1 + MARGIN) * size / cells
    return slice(max(0, math.floor(start)), min(size, math.ceil(stop)))


def agreement(a: Saliency, b: Saliency) -> float:
    """Rank correlation of two heat maps of one crop, -1 to 1, on the coarser grid; 0 where one is flat.

    Differences below a twentieth of a map's range count as none: else the noise of bare skin around a lesion,
    which is most of the crop, would decide.
    """
    if a.region != b.region:
        raise UsageError("heat maps of two different crops cannot be compared")
    rows, columns = (min(sides) for sides in zip(a.heat.shape, b.heat.shape, strict=True))
    first, second = (_ranks(_resized(s.heat, (columns, rows)).ravel()) for s in (a, b))
    first, second = first - first.mean(), second - second.mean()
    spread = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / spread if spread > 0 else 0.0


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ranks from 0; values that are as good as equal share the mean of theirs."""
    lowest = values.min()
    steps = np.rint((values - lowest) / max(float(values.max() - lowest), FAINTEST) * RANK_STEPS)
    _, place, count = np.unique(steps, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1
    ranks: NDArray[np.float64] = (last - (count - 1) / 2)[place]
    return ranks


def on_photo(saliency: Saliency, photo: Photo, size: tuple[int, int]) -> NDArray[np.float32]:
    """The relevance in favour, 0 to 1 of its peak, over a (width, height) picture of the photograph.

    Smooth, and 0 outside the crop's square.
    """
    laid = laid_over(saliency.heat, saliency.region, photo, size)
    peak = max(float(laid.max(initial=0)), float(saliency.heat.max()))
    return (laid.clip(0, None) / max(peak, FAINTEST)).astype(np.float32)


def laid_over(
    cells: NDArray[Any], region: Box, photo: Photo, size: tuple[int, int]
) -> NDArray[np.float32]:
    """A grid that covers `region` of the photograph, smoothly on a (width, height) picture; 0 outside."""
    canvas = np.zeros((size[1], size[0]), np.float32)
    rows, columns = cells.shape
    left, right, x0, x1 = _span(region.x0, region.x1, photo.width, size[0], columns)
    top, bottom, y0, y1 = _span(region.y0, region.y1, photo.height, size[1], rows)
    if left < right and top < bottom:
        canvas[top:bottom, left:right] = _resized(cells, (right - left, bottom - top), (x0, y0, x1, y1))
    return canvas


def _span(start: float, stop: float, extent: int, pixels: int, cells: int) -> tuple[int, int, float, float]:
    """The picture's pixels inside a stretch of the photograph, and where they begin and end in heat cells."""
    factor = pixels / extent
    first, last = max(0, math.ceil(start * factor)), min(pixels, math.floor(stop * factor))
    cell = (stop - start) / cells
    begin, end = ((edge / factor - start) / cell for edge in (first, last))
    return first, last, max(begin, 0.0), min(end, float(cells))


def _resized(
    cells: NDArray[Any], size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> NDArray[np.float32]:
    picture = Image.fromarray(np.ascontiguousarray(cells, dtype=np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC, box=box))
