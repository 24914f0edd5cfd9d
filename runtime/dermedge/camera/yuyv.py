"""From the commonest raw format of cameras to RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLACK, _LUMA_SPAN, _CHROMA_SPAN = 16, 219, 224
"""Of the range that video keeps to unless it says otherwise."""


def rgb(data: bytes, width: int, height: int, stride: int, *, full: bool) -> NDArray[np.uint8]:
    """Two pixels in four bytes (Y U Y V), lines `stride` bytes apart, by ITU-R BT.601."""
    lines = np.frombuffer(data, np.uint8, count=max(stride, 2 * width) * height).reshape(height, -1)[:, : 2 * width]
    luma = lines[:, 0::2].astype(np.float32)
    blue, red = (np.repeat(lines[:, at::4].astype(np.float32) - 128, 2, axis=1) for at in (1, 3))
    if not full:
        luma = (luma - _BLACK) * np.float32(255 / _LUMA_SPAN)
        blue, red = blue * np.float32(255 / _CHROMA_SPAN), red * np.float32(255 / _CHROMA_SPAN)
    pixels = np.stack((luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), axis=-1)
    return np.clip(pixels + 0.5, 0, 255).astype(np.uint8)
