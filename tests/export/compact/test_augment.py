"""Random views: always the asked shape, the same for the same seed, and still views of the lesion."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

import tiny_pack
from dermedge_export.compact import augment
from dermedge_export.compact.augment import AugmentSettings, photometric, random_crop, view
from dermedge_export.compact.data import MEL, Photo

SIZE = 48
ALL = AugmentSettings(
    **{
        f.name: 1.0
        for f in fields(AugmentSettings)
        if f.name in ("coarse", "jpeg", "hair", "pen", "ruler", "bubbles", "cutout", "vignette", "blur", "noise",
                      "constancy", "phone_light", "free_rotation")
    }
)  # fmt: skip
CHANCES = ("coarse", "jpeg", "hair", "pen", "ruler", "bubbles", "cutout", "vignette", "blur", "noise", "constancy",
           "phone_light", "free_rotation", "box_shift", "box_scale", "stretch", "cast", "gamma")  # fmt: skip
NONE = replace(AugmentSettings(), **dict.fromkeys(CHANCES, 0.0), context_range=(0.0, 0.0))


def photo(source: str = "ham", size: tuple[int, int] = (200, 150), reject: int = -1) -> Photo:
    width, height = size
    pixels = np.asarray(tiny_pack.skin_with_spots(("melanoma", width / 2, height / 2, 30), size=size, noise=0))
    box = (width / 2 - 30, height / 2 - 30, width / 2 + 30, height / 2 + 30)
    return Photo(source, "x", "train", "mel", pixels, box, (MEL,), 0, "x", reject=reject)


PHOTOS = {
    "frame": photo(),
    "large": photo(size=(900, 700)),
    "small": photo(size=(70, 64)),
    "squashed source": photo("isic", (256, 192)),
    "no lesion": photo("negative", (288, 160), reject=1),
    "sharper rendering": replace(photo(), sharp=photo(size=(224, 224)).pixels, sharp_box=(67.0, 67.0, 157.0, 157.0)),
}


@pytest.mark.parametrize("settings", [AugmentSettings(), ALL, NONE], ids=["usual", "everything", "nothing"])
@pytest.mark.parametrize("kind", PHOTOS)
def test_a_random_view_has_the_asked_size_whatever_is_drawn_on_it(kind: str, settings: AugmentSettings) -> None:
    for seed in range(12):
        seen = random_crop(PHOTOS[kind], SIZE, np.random.default_rng(seed), settings)
        assert seen.shape == (SIZE, SIZE, 3)
        assert seen.dtype == np.uint8


def test_a_seed_gives_one_view_and_other_seeds_give_others() -> None:
    first, again, other = (random_crop(PHOTOS["frame"], SIZE, np.random.default_rng(seed), ALL) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_photograph_itself_is_left_alone() -> None:
    before = PHOTOS["frame"].pixels.copy()
    for seed in range(10):
        random_crop(PHOTOS["frame"], SIZE, np.random.default_rng(seed), ALL)
    np.testing.assert_array_equal(PHOTOS["frame"].pixels, before)


@pytest.mark.parametrize("kind", ["frame", "large", "small", "squashed source", "sharper rendering"])
def test_the_lesion_stays_in_view(kind: str) -> None:
    dark = [
        random_crop(PHOTOS[kind], SIZE, np.random.default_rng(seed), AugmentSettings(hair=0, pen=0)).min() < 90
        for seed in range(40)
    ]
    assert np.mean(dark) > 0.95


def test_without_any_chance_a_view_is_one_of_the_eight_turns_of_the_evaluation_crop() -> None:
    pixels = PHOTOS["large"].pixels
    square = (300.0, 200.0, 600.0, 500.0)
    marked = pixels.copy()
    marked[220:280, 320:380] = (20, 200, 20)
    places = set()
    for seed in range(60):
        seen = view(marked, square, SIZE, np.random.default_rng(seed), NONE, 0.0).astype(int)
        y, x = (axis.mean() for axis in np.nonzero((seen[..., 1] - seen[..., 0]) > 90))
        places.add((round(x / SIZE * 10), round(y / SIZE * 10)))
    assert places <= {(a, b) for a in (1, 2, 8, 7) for b in (1, 2, 8, 7)}
    assert len({(a > 5, b > 5) for a, b in places}) == 4


def batch(count: int = 6) -> torch.Tensor:
    crops = [random_crop(p, SIZE, np.random.default_rng(i), NONE) for i, p in enumerate(list(PHOTOS.values())[:count])]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("settings", [AugmentSettings(), ALL], ids=["usual", "everything"])
def test_light_keeps_the_shape_and_the_range_and_follows_the_seed(settings: AugmentSettings) -> None:
    before = batch()
    kept = before.clone()
    one, two, other = (photometric(before, torch.Generator().manual_seed(s), settings) for s in (1, 1, 2))
    assert one.shape == before.shape
    assert one.dtype == torch.float32
    assert one.isfinite().all()
    assert one.min() >= 0
    assert one.max() <= 255
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(before, kept)


def test_black_and_white_frames_stay_finite() -> None:
    flat = torch.stack([torch.zeros(3, SIZE, SIZE), torch.full((3, SIZE, SIZE), 255.0)])
    for seed in range(10):
        assert photometric(flat, torch.Generator().manual_seed(seed), ALL).isfinite().all()


def test_a_cutout_hides_a_small_part_of_a_chosen_picture_alone() -> None:
    x = torch.full((2, 3, SIZE, SIZE), 0.5)
    chosen = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    seen = augment._cutout(x, chosen, torch.Generator().manual_seed(0))
    changed = (seen != x).any(1).float().mean((1, 2))
    assert 0.0 < changed[0] < 0.12
    assert changed[1] == 0


def test_hue_and_saturation_leave_grey_grey() -> None:
    grey = torch.full((5, 3, 8, 8), 0.4)
    torch.testing.assert_close(augment._saturation_and_hue(grey, torch.Generator().manual_seed(0)), grey)
