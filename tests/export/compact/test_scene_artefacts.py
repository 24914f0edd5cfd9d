"""What cameras and examiners add keeps the frame's shape and never hides a lesion in a dark corner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tiny_pack
from dermedge_export.compact.scene_artefacts import (
    Pixels,
    bubbles,
    hairs,
    ink,
    lens,
    light,
    ruler,
    vignette,
    weathered,
)

FRAME: Pixels = np.asarray(tiny_pack.skin_with_spots(("melanoma", 60, 40, 15), size=(120, 80)))
FLAT: Pixels = np.full((80, 120, 3), 180, np.uint8)
Effect = Callable[[Pixels, np.random.Generator], Pixels]


@pytest.mark.parametrize("effect", [hairs, ink, ruler, bubbles, light, lens])
@pytest.mark.parametrize("rgb", [FRAME, FLAT, np.zeros((40, 64, 3), np.uint8)], ids=["skin", "flat", "black"])
def test_an_effect_keeps_the_frames_shape_and_follows_its_seed(effect: Effect, rgb: Pixels) -> None:
    before = rgb.copy()
    for seed in range(8):
        one, two = (effect(rgb, np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == rgb.shape
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize("effect", [hairs, ink, ruler, bubbles])
def test_what_is_drawn_is_to_be_seen_and_leaves_most_of_the_frame(effect: Effect) -> None:
    changed = [
        (np.abs(effect(FLAT, np.random.default_rng(seed)).astype(int) - FLAT).max(2) > 5).mean() for seed in range(20)
    ]
    assert np.mean(np.array(changed) > 0) > 0.8
    assert np.median(changed) < 0.5


def test_corners_grow_dark_and_a_lesion_never_does() -> None:
    corners, lesions = [], []
    box = (40.0, 20.0, 80.0, 60.0)
    for seed in range(40):
        seen = vignette(FLAT, (box,), np.random.default_rng(seed))
        corners.append(seen[0, 0].mean() < 60)
        lesions.append(seen[20:60, 40:80].min())
    assert np.mean(corners) > 0.5
    assert min(lesions) > 80


def test_a_lesion_in_the_corner_keeps_its_corner_bright() -> None:
    for seed in range(40):
        seen = vignette(FLAT, ((0, 0, 30, 30),), np.random.default_rng(seed))
        assert seen[:30, :30].min() > 90


@pytest.mark.parametrize("dermatoscope", [True, False])
def test_weathering_is_reproducible_and_keeps_a_lesion_dark(dermatoscope: bool) -> None:
    kept = []
    for seed in range(30):
        one, two = (
            weathered(FRAME, ((45, 25, 75, 55),), np.random.default_rng(seed), dermatoscope=dermatoscope)
            for _ in range(2)
        )
        np.testing.assert_array_equal(one, two)
        assert one.shape == FRAME.shape
        kept.append(np.median(one[32:48, 52:68]) < 0.8 * np.percentile(one, 75))
    assert np.mean(kept) > 0.9
