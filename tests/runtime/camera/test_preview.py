"""What a camera sees, as small as a screen."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dermedge import Box, preview
from tiny_photo import photo_of


@pytest.mark.parametrize("size", [(80, 40), (40, 80), (1, 1), (2000, 1500), (7, 400)])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_it_fits_and_keeps_its_shape(size: tuple[int, int], scale: float) -> None:
    image = preview(photo_of(Image.new("RGB", (640, 480), "brown"), scale), size, Box(160, 80, 480, 400))
    assert image.width <= size[0] and image.height <= size[1]
    if min(size) > 10:
        assert image.width / image.height == pytest.approx(4 / 3, rel=0.1)


def test_the_corners_stand_where_the_spot_belongs() -> None:
    photo = photo_of(Image.new("RGB", (400, 300), "black"), 0.5)
    white = np.argwhere(np.asarray(preview(photo, (200, 150), Box(100, 50, 300, 250)))[..., 0] == 255)
    assert white.min(axis=0).tolist() == [25, 50] and white.max(axis=0).tolist() == [124, 150]
    assert not np.asarray(preview(photo, (200, 150))).any()
