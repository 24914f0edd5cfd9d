"""Decoded photographs for tests that start behind the decoder."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dermedge.result import Photo


def photo_of(image: Image.Image, scale: float = 1.0) -> Photo:
    """The image as if decoded at `scale` decoded pixels per original pixel."""
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    pixels = np.asarray(image if size == image.size else image.resize(size, Image.Resampling.BOX))
    return Photo("test.png", pixels, image.width, image.height, scale, "PNG")
