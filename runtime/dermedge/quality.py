"""How well a piece of a photograph can be judged: sharpness, exposure, contrast, glare and size.

The limits were set on 1,085 photographs of lesions (1,008 dermatoscope, 77 phone), each judged on the
lesion's box enlarged 1.4 times, as taken and once spoilt; each constant says how far the two lay apart.
Dark skin was hardly among them, so what could depend on it (exposure, contrast) keeps a wide margin.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .result import Box, Photo, Quality

LEAST_SHARPNESS = 0.57
"""As taken .50 to 2.1, one in 100 below .57; after a Gaussian blur of 3 % of the region's side 999 of 1,000
are below it, and still 92 of 100 if the blurred picture was then saved as a coarse JPEG."""
DARKEST = 0.13
"""Mean luminance as taken .31 to .81; at an eighth of the light at most .10."""
BRIGHTEST = 0.84
"""As taken at most .81; at three times the light above .84 in 97 of 100, and most others are washed out."""
LEAST_CONTRAST = 0.08
"""As taken .12 to .96; for frames that show nothing at all (a covered lens, fog, a wall)."""
MOST_GLARE = 0.05
"""White share as taken above .05 in one photograph; .27 or more under a reflection over a third."""
WASHED_OUT = 0.5
"""From this white share on it is the light and no reflection."""
SMALLEST = 40
"""Pixels of the short side; the network's crop has several times as many, most of them interpolated then.
28 of the 1,085 regions are smaller."""

LIMITS: dict[str, tuple[float | None, float | None]] = {
    "sharpness": (LEAST_SHARPNESS, None),
    "exposure": (DARKEST, BRIGHTEST),
    "contrast": (LEAST_CONTRAST, None),
    "glare": (None, MOST_GLARE),
    "size": (SMALLEST, None),
}
"""Measure -> from where and up to where it is good enough."""

_HIGHLIGHT = 240
_SAMPLED_SIDE = 128
_SHARPNESS_SIDE = 48
"""Sharpness is judged at this size whatever the camera's: noise, JPEG blocks and pixel counts average out."""
_DARK_FLOOR = 8.0
_DETAIL_FLOOR = 0.3
"""Grey levels that rounding alone produces; without them a black frame would divide by zero."""

_ADVICE = {
    "too-small": "Move closer, until the lesion fills about half of the picture.",
    "too-dark": "Take it again in daylight or with a lamp on, without your shadow on the skin.",
    "too-bright": "Take it again without flash and out of direct sun, so that the skin does not look white.",
    "glare": "Tilt the camera or the lamp a little, until no white reflection lies on the lesion.",
    "low-contrast": "Clean the lens, and get both the lesion and the skin around it into the picture.",
    "blurred": "Hold still, tap on the lesion to focus, and take it again from a little farther away.",
}
_LUMA = (0.299, 0.587, 0.114)


def assess(photo: Photo, region: Box | None = None) -> Quality:
    """Judge the region, clipped to the photograph, or else the whole frame."""
    box = region or photo.frame
    x0, x1 = _clipped(box.x0, box.x1, photo.width)
    y0, y1 = _clipped(box.y0, box.y1, photo.height)
    size = max(1, round(min(x1 - x0, y1 - y0)))
    rows, columns = photo.pixels.shape[:2]
    left, top = min(int(x0 * photo.scale), columns - 1), min(int(y0 * photo.scale), rows - 1)
    right = max(left + 1, math.ceil(x1 * photo.scale))
    bottom = max(top + 1, math.ceil(y1 * photo.scale))
    luma, glare = _sampled(photo.pixels[top:bottom, left:right])
    dark, bright = (float(v) for v in np.percentile(luma, (5, 95)))
    exposure = float(luma.mean()) / 255
    contrast = (bright - dark) / max(bright, _DARK_FLOOR)
    sharpness = _sharpness(luma)
    flat = contrast < LEAST_CONTRAST
    found = {
        "too-small": size < SMALLEST,
        "too-dark": exposure < DARKEST,
        "too-bright": exposure > BRIGHTEST or glare >= WASHED_OUT,
        "glare": MOST_GLARE < glare < WASHED_OUT,
        "low-contrast": flat,
        # Where there is nothing to see, sharpness means nothing.
        "blurred": sharpness < LEAST_SHARPNESS and not flat,
    }
    problems = tuple(problem for problem, there in found.items() if there)
    advice = tuple(_ADVICE[problem] for problem in problems)
    return Quality(sharpness, exposure, contrast, glare, size, problems, advice)


def _clipped(low: float, high: float, end: int) -> tuple[float, float]:
    return min(max(low, 0.0), float(end)), min(max(high, 0.0), float(end))


def _sampled(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Luminance with a short side of about `_SAMPLED_SIDE`, and the share of white pixels.

    Four pixels stand for each cell: enough against noise, and a frame costs the same at any size.
    """
    step = max(1, min(pixels.shape[:2]) // _SAMPLED_SIDE)
    height, width = pixels.shape[0] // step, pixels.shape[1] // step
    offsets = ((0, 0), (step // 2, step // 2), (0, step // 2), (step // 2, 0)) if step > 1 else ((0, 0),)
    luma = np.zeros((height, width), np.float32)
    white = 0
    for down, right in offsets:
        samples = pixels[down : height * step : step, right : width * step : step]
        # Channel by channel: a matrix product over three columns takes six times as long.
        for channel, weight in enumerate(_LUMA):
            luma += np.multiply(samples[..., channel], weight, dtype=np.float32)
        white += int(np.count_nonzero(np.minimum.reduce([samples[..., i] for i in range(3)]) >= _HIGHLIGHT))
    luma /= np.float32(len(offsets))
    return luma, white / (len(offsets) * height * width)


def _sharpness(luma: NDArray[np.float32]) -> float:
    """Finest detail against the next coarser, which outlasts blur: independent of contrast and brightness."""
    height, width = luma.shape
    shrink = min(1.0, _SHARPNESS_SIDE / min(height, width))
    if shrink < 1:
        small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        luma = np.asarray(Image.fromarray(luma).resize(small, Image.Resampling.BOX))
    smooth = _smoothed(luma)
    smoother = smooth
    for _ in range(4):
        smoother = _smoothed(smoother)
    fine, coarse = float((luma - smooth).std()), float((smooth - smoother).std())
    return fine / math.hypot(coarse, _DETAIL_FLOOR)


def _smoothed(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Once with the kernel 1 2 1 both ways."""
    padded = np.pad(luma, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    smooth: NDArray[np.float32] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) * np.float32(1 / 16)
    return smooth
