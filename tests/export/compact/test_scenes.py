"""Scenes: a box lies where a lesion was put, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import tiny_pack
from dermedge_export.compact import scenes
from dermedge_export.compact.scenes import Photo, Scene, SceneSettings, composed, cutout, empty, paste, reframed

SETTINGS = SceneSettings(side=160)


def photographed(
    kind: str = "dermoscopy", size: tuple[int, int] = (200, 150), at: tuple[int, int] = (100, 75), radius: int = 28
) -> Photo:
    (x, y), (width, height) = at, size
    rgb = np.asarray(tiny_pack.skin_with_spots(("melanoma", x, y, radius), size=size, modality="phone", noise=2))
    down, across = np.mgrid[0:height, 0:width] + 0.5
    mask = np.hypot(across - x, down - y) <= radius
    box = (float(x - radius), float(y - radius), float(x + radius), float(y + radius))
    return Photo(rgb, kind, mask, box)


def plain(side: int = 160) -> np.ndarray:
    return np.asarray(tiny_pack.skin_with_spots(size=(side, side), noise=2)).copy()


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(across, 0) * max(down, 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return shared / (sum(areas) - shared)


def dark_box(rgb: np.ndarray, near: tuple[float, ...]) -> tuple[float, ...]:
    """What is dark in the surroundings of a box, away from dark corners and ink elsewhere."""
    x0, y0, x1, y1 = near
    reach = 0.3 * max(x1 - x0, y1 - y0)
    left, top = max(0, int(x0 - reach)), max(0, int(y0 - reach))
    window = rgb[top : int(y1 + reach), left : int(x1 + reach)].max(2)
    ys, xs = np.nonzero(window < (np.percentile(window, 90) + np.percentile(window, 5)) / 2)
    return float(left + xs.min()), float(top + ys.min()), float(left + xs.max() + 1), float(top + ys.max() + 1)


@pytest.mark.parametrize("seed", range(12))
def test_a_pasted_lesion_changes_the_pixels_in_its_box_and_hardly_any_beside_it(seed: int) -> None:
    before = plain()
    canvas = before.copy()
    lesion = cutout(photographed(), SETTINGS)
    assert lesion is not None
    box = paste(canvas, None, [], lesion, np.random.default_rng(seed), SETTINGS)
    assert box is not None
    x0, y0, x1, y1 = map(int, box)
    assert 0 <= x0 < x1 <= 160
    assert 0 <= y0 < y1 <= 160
    change = np.abs(canvas.astype(int) - before).max(2) > 25
    ys, xs = np.nonzero(change)
    assert overlap((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), box) > 0.6
    assert change[y0:y1, x0:x1].mean() > 0.5
    far = change.copy()
    far[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4] = False
    assert not far.any()
    share = max(x1 - x0, y1 - y0) / 160
    assert SETTINGS.lesion_least * 0.7 <= share <= SETTINGS.lesion_most * 1.4


def test_lesions_do_not_lie_on_each_other() -> None:
    canvas, taken, rng = plain(), [], np.random.default_rng(0)
    lesion = cutout(photographed(), SETTINGS)
    assert lesion is not None
    for _ in range(25):
        box = paste(canvas, None, taken, lesion, rng, SETTINGS)
        if box is not None:
            assert all(overlap(box, other) == 0 for other in taken)
            taken.append(box)
    assert len(taken) > 4


def test_a_lesion_is_only_put_where_it_is_allowed() -> None:
    lesion = cutout(photographed(), SETTINGS)
    assert lesion is not None
    allowed = np.zeros((160, 160), bool)
    allowed[:, 100:] = True
    canvas, before = plain(), plain()
    found = [paste(canvas, allowed, [], lesion, np.random.default_rng(s), SETTINGS) for s in range(20)]
    placed = [box for box in found if box is not None]
    assert placed
    assert all((box[0] + box[2]) / 2 >= 100 for box in placed)
    nowhere = paste(before, np.zeros((160, 160), bool), [], lesion, np.random.default_rng(0), SETTINGS)
    assert nowhere is None
    np.testing.assert_array_equal(before, plain())


@pytest.mark.parametrize(
    "photo",
    [
        photographed(at=(20, 75)),
        Photo(np.full((150, 200, 3), 180, np.uint8), "phone", np.ones((150, 200), bool), (60.0, 40.0, 130.0, 110.0)),
    ],
    ids=["cut off by the frame", "nothing to be seen"],
)
def test_a_lesion_that_cannot_be_seen_whole_is_not_cut_out(photo: Photo) -> None:
    assert cutout(photo, SETTINGS) is None


def test_a_cut_out_lesion_is_dark_inside_its_mask_and_one_around_it() -> None:
    lesion = cutout(photographed(), SETTINGS)
    assert lesion is not None
    ratio, mask = lesion
    assert ratio[mask > 127].mean() < 0.5
    assert ratio[mask == 0].mean() == pytest.approx(1, abs=0.1)


GROUNDS = {
    "skin": photographed("phone", (200, 200), (100, 100), 25),
    "hand": Photo(plain(192), "hand"),
}


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("backdrop", [None, np.full((90, 120, 3), (60, 120, 200), np.uint8)], ids=["none", "room"])
def test_a_composed_scene_has_a_box_for_every_lesion_and_none_without(ground: str, backdrop: np.ndarray | None) -> None:
    made = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        scene = composed([photographed(), photographed()], GROUNDS[ground], backdrop, rng, SETTINGS)
        if scene is not None:
            made += 1
            check(scene)
            assert 1 <= len(scene.boxes) <= 2
        bare = composed([], GROUNDS[ground], backdrop, rng, SETTINGS)
        if bare is not None:
            assert bare.boxes == ()
            check(bare)
    assert made >= 4


def check(scene: Scene) -> None:
    height, width = scene.rgb.shape[:2]
    assert scene.rgb.dtype == np.uint8
    assert scene.rgb.shape[2] == 3
    for x0, y0, x1, y1 in scene.boxes:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height


def test_lesions_in_composed_scenes_are_darker_than_what_is_around_them() -> None:
    darker = []
    for seed in range(25):
        scene = composed([photographed()], GROUNDS["skin"], None, np.random.default_rng(seed), SETTINGS)
        for x0, y0, x1, y1 in scene.boxes if scene else ():
            w, h = int(x1 - x0), int(y1 - y0)
            inner = scene.rgb[int(y0) + h // 4 : int(y1) - h // 4, int(x0) + w // 4 : int(x1) - w // 4]  # type: ignore[union-attr]
            darker.append(np.median(inner) < 0.9 * np.median(scene.rgb))  # type: ignore[union-attr]
    assert len(darker) > 10
    assert np.mean(darker) > 0.9


@pytest.mark.parametrize("kind", ["dermoscopy", "phone"])
def test_a_reframed_photographs_box_stays_on_its_lesion(kind: str) -> None:
    photo, close = photographed(kind, at=(80, 60)), []
    for seed in range(40):
        scene = reframed(photo, np.random.default_rng(seed))
        check(scene)
        (box,) = scene.boxes
        height, width = scene.rgb.shape[:2]
        x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
        middle = np.median(scene.rgb[max(0, y - 6) : y + 6, max(0, x - 6) : x + 6])
        assert middle < 0.75 * np.percentile(scene.rgb, 75), seed
        close.append(overlap(dark_box(scene.rgb, box), box))
        assert min(width, height) > 40
    assert np.median(close) > 0.85


def test_empty_frames_have_no_boxes_and_come_in_several_looks() -> None:
    looks = [empty(96, np.random.default_rng(seed)) for seed in range(30)]
    assert all(scene.boxes == () for scene in looks)
    for scene in looks:
        check(scene)
    brightness = [scene.rgb.mean() for scene in looks]
    assert min(brightness) < 40
    assert max(brightness) > 200


def test_a_seed_gives_one_scene() -> None:
    one, two = (composed([photographed()], GROUNDS["skin"], None, np.random.default_rng(8), SETTINGS) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.boxes == two.boxes
    np.testing.assert_array_equal(one.rgb, two.rgb)


def test_a_strip_of_bare_skin_holds_nothing_of_the_lesion() -> None:
    for seed in range(10):
        strip = scenes.bare_skin(GROUNDS["skin"], np.random.default_rng(seed))
        assert strip is not None
        assert strip.min() > 100


@pytest.mark.parametrize(
    "photo",
    [
        Photo(GROUNDS["skin"].rgb, "phone", None, (5.0, 5.0, 195.0, 195.0)),
        Photo(np.zeros((200, 200, 3), np.uint8), "phone", None, (80.0, 80.0, 120.0, 120.0)),
    ],
    ids=["no room beside it", "black"],
)
def test_no_strip_is_taken_where_there_is_no_clean_skin(photo: Photo) -> None:
    assert scenes.bare_skin(photo, np.random.default_rng(0)) is None
