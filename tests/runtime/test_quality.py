"""Quality: what is spoilt is said, what is fine stays unmentioned, and nothing is ever not a number."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from dermedge.photo import read_photo
from dermedge.quality import assess
from dermedge.result import Box, Quality


def lesion(width: int = 200, height: int = 150, seed: int = 0) -> Image.Image:
    """Skin with a brown, uneven spot in the middle and texture at every scale, as the eye sees it."""
    rng = np.random.default_rng(seed)
    texture = np.zeros((height, width), np.float32)
    for cells in (4, 8, 16, 32, 64, 128):
        coarse = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        layer = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        texture += layer * (14 / cells**0.4)
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width / 2) / (0.26 * width), (y - height / 2) / (0.3 * height)) + texture / 120
    spot = np.clip((1.1 - radius) * 5, 0, 1)[..., None]
    colour = np.array((205.0, 160.0, 140.0)) * (1 - spot) + np.array((110.0, 70.0, 55.0)) * spot
    return Image.fromarray(np.clip(colour + texture[..., None] * 0.6, 0, 255).astype(np.uint8))


REGION = Box(40, 25, 160, 125)


def judged(image: Image.Image, region: Box | None = REGION) -> Quality:
    return assess(read_photo(image), region)


def scaled(box: Box, factor: float) -> Box:
    return Box(box.x0 * factor, box.y0 * factor, box.x1 * factor, box.y1 * factor)


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def brighter(image: Image.Image, factor: float) -> Image.Image:
    return image.point(lambda value: min(255, int(value * factor)))


def with_reflection(image: Image.Image) -> Image.Image:
    patch = Image.new("L", image.size)
    ImageDraw.Draw(patch).ellipse((60, 40, 138, 105), fill=255)
    image.paste((255, 255, 255), mask=patch.filter(ImageFilter.GaussianBlur(2)))
    return image


@pytest.mark.parametrize("seed", range(8))
def test_a_good_photograph_has_no_problem(seed: int) -> None:
    for region in (REGION, None):
        quality = judged(lesion(seed=seed), region)
        assert quality.usable
        assert quality.advice == ()
    assert judged(lesion(seed=seed)).size == 100


@pytest.mark.parametrize(
    ("problem", "spoil"),
    [
        ("blurred", lambda image: image.filter(ImageFilter.GaussianBlur(3))),
        ("too-dark", lambda image: brighter(image, 1 / 8)),
        ("too-bright", lambda image: brighter(image, 3)),
        ("glare", with_reflection),
        ("low-contrast", lambda image: Image.new("RGB", image.size, (190, 150, 135))),
    ],
)
@pytest.mark.parametrize("seed", range(8))
def test_each_way_to_spoil_it_is_named_with_advice(
    problem: str, spoil: Callable[[Image.Image], Image.Image], seed: int
) -> None:
    quality = judged(spoil(lesion(seed=seed)))
    assert problem in quality.problems
    assert len(quality.advice) == len(quality.problems) == len(set(quality.advice))
    assert all(sentence.endswith(".") for sentence in quality.advice)


@pytest.mark.parametrize(("side", "small"), [(20, True), (39, True), (41, False), (100, False)])
def test_a_region_of_few_pixels_is_too_small(side: int, small: bool) -> None:
    quality = judged(lesion(400, 300), Box(200 - side / 2, 150 - side / 2, 200 + side / 2, 150 + side / 2))
    assert ("too-small" in quality.problems) is small
    assert abs(quality.size - side) <= 1


@pytest.mark.parametrize("factor", [0.5, 2, 5, 10])
def test_the_number_of_pixels_does_not_decide(factor: float) -> None:
    for seed in range(4):
        good = lesion(seed=seed)
        size = int(200 * factor), int(150 * factor)
        region = scaled(REGION, factor)
        assert judged(good.resize(size, Image.Resampling.BICUBIC), region).problems == ()
        blurred = good.filter(ImageFilter.GaussianBlur(3)).resize(size, Image.Resampling.BICUBIC)
        assert judged(blurred, region).problems == ("blurred",)


@pytest.mark.parametrize("quality", [95, 75, 50, 30])
def test_jpeg_recompression_does_not_decide(quality: int) -> None:
    for seed in range(4):
        assert judged(as_jpeg(lesion(seed=seed), quality)).problems == ()
        blurred = lesion(seed=seed).filter(ImageFilter.GaussianBlur(3.5))
        assert judged(as_jpeg(blurred, max(75, quality))).problems == ("blurred",)


def test_noise_does_not_hide_blur() -> None:
    blurred = np.asarray(lesion(1600, 1200).filter(ImageFilter.GaussianBlur(30))).astype(np.float32)
    noisy = blurred + np.random.default_rng(0).normal(0, 6, blurred.shape)
    image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    assert "blurred" in judged(image, scaled(REGION, 8)).problems


@pytest.mark.parametrize("colour", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("size", [(32, 32), (640, 32), (700, 500)])
def test_flat_frames_have_problems_and_no_nan(colour: int, size: tuple[int, int]) -> None:
    quality = judged(Image.new("RGB", size, (colour,) * 3), None)
    assert "low-contrast" in quality.problems
    assert ("too-dark" in quality.problems) is (colour < 10)
    assert ("too-bright" in quality.problems) is (colour > 250)
    measures = (quality.sharpness, quality.exposure, quality.contrast, quality.glare)
    assert all(math.isfinite(value) for value in measures)
    assert 0 <= quality.exposure <= 1
    assert 0 <= quality.glare <= 1


def test_the_region_is_judged_and_not_the_frame() -> None:
    image = lesion(400, 300)
    image.paste(image.crop((0, 0, 200, 300)).filter(ImageFilter.GaussianBlur(8)), (0, 0))
    assert "blurred" in judged(image, Box(20, 40, 190, 260)).problems
    assert judged(image, Box(210, 40, 380, 260)).usable


@pytest.mark.parametrize(
    ("region", "size"),
    [
        (Box(-50, -50, 60, 60), 60),
        (Box(150, 100, 900, 900), 50),
        (Box(199.5, 149.5, 200, 150), 1),
        (Box(500, 500, 600, 600), 1),
        (Box(-9, -9, -5, -5), 1),
        (Box(10.2, 10.2, 60.8, 90.1), 51),
    ],
)
def test_a_region_is_clipped_to_the_frame(region: Box, size: int) -> None:
    assert judged(lesion(), region).size == size


def test_size_counts_the_original_pixels_of_a_draft() -> None:
    buffer = io.BytesIO()
    lesion(1600, 1200).save(buffer, "JPEG", quality=92)
    photo = read_photo(buffer.getvalue(), working_side=400)
    assert photo.scale == 0.25
    region = scaled(REGION, 8)
    quality = assess(photo, region)
    assert quality.size == 800
    assert quality.usable
    whole = assess(read_photo(buffer.getvalue(), working_side=1600), region)
    assert abs(quality.exposure - whole.exposure) < 0.01
    assert abs(quality.contrast - whole.contrast) < 0.03
