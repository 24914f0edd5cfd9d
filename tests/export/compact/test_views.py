"""The views of the export are the runtime's, so that what is calibrated is what runs."""

from __future__ import annotations

import numpy as np
import pytest

from dermedge.tower import VIEWS, turned
from dermedge_export.compact.views import averaged, dihedral, unit

CROPS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_the_first_views_are_those_of_the_runtime(count: int) -> None:
    ours = {view[0].tobytes() for view in dihedral(CROPS, count)}
    runtime = {np.ascontiguousarray(turned(CROPS[0], view)).tobytes() for view in VIEWS[:count]}
    assert len(ours) == count
    assert ours == runtime


def test_averages_have_length_one_and_use_the_first_views_alone() -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(4, 3, 5)).astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(averaged(vectors, 3), axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(averaged(vectors, 1), vectors[0], rtol=1e-5)


def test_a_vector_of_nothing_stays_finite() -> None:
    assert np.isfinite(unit(np.zeros((1, 4), np.float32))).all()
