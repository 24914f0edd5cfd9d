"""Vectors solved for on training lesions, and kept only where they help others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermedge_export.compact import refit
from dermedge_export.compact.data import HAM_LABELS, PAD_LABELS, Photo, Pixels
from dermedge_export.compact.refit import RefitSettings
from dermedge_export.compact.views import Vectors, unit
from dermedge_export.compact.vocabulary import Vocabulary

SIZE = 32
AXES = np.eye(16, dtype=np.float32)
CLEAR = Vocabulary(np.stack([AXES[:8], AXES[:8]]), AXES[8:12], AXES[12:14], 16.0, 16.0)
"""Each condition is an axis, and each modality."""
MUDDLED = replace(CLEAR, prompts=np.stack([AXES[:8], AXES[[3, 1, 2, 0, 5, 4, 6, 7]]]), modalities=AXES[[12, 12]])
"""The phone's prompts are each other's, and the modalities are not told apart."""


def seen(conditions: np.ndarray, world: int, seed: int, noise: float = 0.15) -> Vectors:
    rng = np.random.default_rng(seed)
    return unit((AXES[conditions] + AXES[12 + world] + rng.normal(0, noise, (len(conditions), 16))).astype(np.float32))


CONDITIONS = np.arange(60) % 6


def test_modalities_that_were_not_told_apart_are() -> None:
    told = refit.refit_modalities(MUDDLED, seen(CONDITIONS, 0, 1), seen(CONDITIONS, 1, 2), pull=1e-3)
    others = np.concatenate([seen(CONDITIONS, 0, 3), seen(CONDITIONS, 1, 4)])
    worlds = np.repeat([0, 1], 60)
    assert refit.recognised(MUDDLED, others, worlds) == (1.0, 0.0)
    assert refit.recognised(told, others, worlds) == (1.0, 1.0)
    np.testing.assert_allclose(np.linalg.norm(told.modalities, axis=1), 1, atol=1e-6)


def test_a_strong_pull_leaves_the_modalities_as_they_were_trained() -> None:
    held = refit.refit_modalities(CLEAR, seen(CONDITIONS, 0, 1), seen(CONDITIONS, 1, 2), pull=1e6)
    probe = seen(CONDITIONS, 1, 5)
    logits, before = (v.outputs(probe).modalities for v in (held, CLEAR))
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], before[:, 1] - before[:, 0], atol=1e-3)


def test_prompts_are_found_for_the_conditions_shown_and_the_others_stay() -> None:
    asked = refit.refit_prompts(MUDDLED, seen(CONDITIONS, 1, 1), CONDITIONS, pull=0.03)
    answered = asked.outputs(seen(CONDITIONS, 1, 2), world=1).conditions.argmax(1)
    assert (answered == CONDITIONS).mean() > 0.9
    assert (MUDDLED.outputs(seen(CONDITIONS, 1, 2), world=1).conditions.argmax(1) == CONDITIONS).mean() < 0.5
    np.testing.assert_array_equal(asked.prompts[0], MUDDLED.prompts[0])
    np.testing.assert_array_equal(asked.prompts[1, 6:], MUDDLED.prompts[1, 6:])
    np.testing.assert_allclose(np.linalg.norm(asked.prompts, axis=2), 1, atol=1e-6)
    held = refit.refit_prompts(MUDDLED, seen(CONDITIONS, 1, 1), CONDITIONS, pull=1e6)
    np.testing.assert_allclose(held.prompts, MUDDLED.prompts, atol=1e-3)


def photographs(split: str, count: int) -> list[Photo]:
    """Photographs whose colour says what they show: red the condition, green the modality."""
    photos = []
    for source, labels, world in (("ham", HAM_LABELS, 0), ("pad", PAD_LABELS, 1)):
        for i in range(count):
            label = list(labels)[i % len(labels)]
            pixels = np.full((48, 48, 3), 90, np.uint8)
            pixels[..., 0], pixels[..., 1] = 20 * labels[label][0], 200 * world
            box = (12.0, 12.0, 36.0, 36.0)
            photos.append(Photo(source, f"{i}", split, label, pixels, box, labels[label], world, f"{source} {i // 2}"))
    return photos


def by_colour(crops: Pixels) -> Vectors:
    middle = crops[:, 12:20, 12:20].mean((1, 2))
    conditions, worlds = (middle[:, 0] / 20).round().astype(int).clip(0, 7), (middle[:, 1] > 100).astype(int)
    return unit(AXES[conditions] + AXES[12 + worlds])


@pytest.mark.parametrize(("trained", "kept"), [(MUDDLED, True), (CLEAR, False)])
def test_what_is_refitted_is_kept_only_where_validation_gains(trained: Vocabulary, kept: bool) -> None:
    # No augmentation: colours are all that these photographs say.
    training, validation = photographs("train", 42), photographs("val", 42)
    crops = np.stack([p.pixels[8:40, 8:40] for p in validation])
    found, report = refit.refit(
        trained, training, validation, by_colour(crops), SIZE, by_colour, RefitSettings(augmented=0)
    )
    assert report["modality"]["kept"] is kept
    assert report["phone_prompts"]["kept"] is kept
    assert (found is trained) is not kept
    if kept:
        assert report["modality"]["refitted"]["phone"] > report["modality"]["trained"]["phone"]


def test_a_gain_of_one_photograph_is_no_gain() -> None:
    names, before = ("dermoscopy", "phone"), (1.0, 0.9)
    assert refit._verdict(names, before, (1.0, 0.9 + 2 / 77), 1.5 / 77)["kept"]
    assert not refit._verdict(names, before, (1.0, 0.9 + 1 / 77), 1.5 / 77)["kept"]
    assert not refit._verdict(names, before, (0.98, 0.9 + 2 / 77), 1.5 / 77)["kept"]
