"""The outline of a photograph that comes without one."""

from __future__ import annotations

import numpy as np

import tiny_pack
from dermedge_export.compact.outlines import Outliner
from dermedge_export.metrics import dice


def test_the_lesion_in_the_middle_is_outlined_in_the_photographs_own_pixels() -> None:
    picture = tiny_pack.skin_with_spots(("melanoma", 150, 90, 52), size=(300, 180))
    drawn = Outliner().mask(np.asarray(picture))
    assert drawn is not None
    assert drawn.shape == (180, 300)
    y, x = np.mgrid[0:180, 0:300] + 0.5
    assert dice(drawn, np.hypot(x - 150, y - 90) <= 52) > 0.9
