"""Random views of photographs: geometry and drawn artefacts per crop, light and colour per batch."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from .data import CONTEXT, Box, Photo, Pixels, square_for_box


@dataclass(frozen=True)
class AugmentSettings:
    box_shift: float = 0.08
    box_scale: float = 0.12
    context_range: tuple[float, float] = (-0.25, 0.3)
    stretch: float = 0.06
    free_rotation: float = 0.5
    coarse: float = 0.35
    jpeg: float = 0.25
    hair: float = 0.12
    pen: float = 0.08
    ruler: float = 0.08
    bubbles: float = 0.05
    cutout: float = 0.15
    vignette: float = 0.25
    blur: float = 0.15
    noise: float = 0.25
    constancy: float = 0.4
    cast: float = 0.1
    gamma: float = 0.18
    phone_light: float = 0.25


def random_crop(photo: Photo, size: int, rng: np.random.Generator, settings: AugmentSettings) -> Pixels:
    """One random view of the lesion, robust to boxes as a detector places them."""
    pixels, box = photo.pixels, photo.box
    if photo.reject >= 0:
        return view(pixels, _random_square(pixels, rng), size, rng, settings, settings.stretch)
    if photo.sharp is not None and photo.sharp_box is not None and rng.random() < 0.5:
        pixels, box = photo.sharp, photo.sharp_box
    spread = 0.3 if photo.source == "isic" else settings.box_scale
    square = _jittered_square(pixels, box, rng, settings, spread)
    stretch = settings.stretch + (0.08 if photo.source == "isic" else 0.0)
    return view(pixels, square, size, rng, settings, stretch)


def _random_square(pixels: Pixels, rng: np.random.Generator) -> Box:
    height, width = pixels.shape[:2]
    side = rng.uniform(0.3, 1.0) * min(width, height)
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    return left, top, left + side, top + side


def _jittered_square(
    pixels: Pixels, box: Box, rng: np.random.Generator, settings: AugmentSettings, spread: float
) -> Box:
    x0, y0, x1, y1 = box
    longest = max(x1 - x0, y1 - y0, 1.0)
    shift_x, shift_y = rng.normal(0, settings.box_shift * longest, 2)
    grow_x, grow_y = np.exp(rng.normal(0, spread, 2)) / 2
    centre_x, centre_y = (x0 + x1) / 2 + shift_x, (y0 + y1) / 2 + shift_y
    half_x, half_y = (x1 - x0) * grow_x, (y1 - y0) * grow_y
    moved = (centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y)
    context = CONTEXT * math.exp(rng.uniform(*settings.context_range))
    return square_for_box(moved, pixels.shape[1], pixels.shape[0], context)


def view(
    pixels: Pixels,
    square: Box,
    size: int,
    rng: np.random.Generator,
    settings: AugmentSettings,
    stretch: float,
) -> Pixels:
    """Rotate, mirror and resample the square, sometimes at a lower resolution than asked for."""
    side = square[2] - square[0]
    working = size
    if rng.random() < settings.coarse:
        working = int(size * rng.uniform(0.35, 0.9))
    # Supersampling keeps strong reductions free of aliasing, which the affine transform alone is not.
    factor = max(1, round(side / working))
    grid = working * factor
    pixels, square, fill = _surround(pixels, square, rng)
    angle = rng.uniform(0, 4) if rng.random() < settings.free_rotation else rng.integers(4)
    ratio = math.exp(rng.normal(0, stretch) / 2)
    step = side / grid
    cos, sin = math.cos(angle * math.pi / 2) * step, math.sin(angle * math.pi / 2) * step
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    a, b, d, e = cos * mirror * ratio, -sin * ratio, sin * mirror / ratio, cos / ratio
    centre_x, centre_y = (square[0] + square[2]) / 2, (square[1] + square[3]) / 2
    c = centre_x - (a + b) * grid / 2
    f = centre_y - (d + e) * grid / 2
    kind = Image.Resampling.BICUBIC if factor == 1 else Image.Resampling.BILINEAR
    image = Image.fromarray(pixels).transform(
        (grid, grid), Image.Transform.AFFINE, (a, b, c, d, e, f), kind, fillcolor=fill
    )
    if factor > 1:
        image = image.reduce(factor)
    if working != size:
        softer = rng.random() < 0.5
        image = image.resize((size, size), Image.Resampling.BILINEAR if softer else Image.Resampling.BICUBIC)
    return _artefacts(image, rng, settings)


def _surround(pixels: Pixels, square: Box, rng: np.random.Generator) -> tuple[Pixels, Box, tuple[int, ...]]:
    """What lies beyond the photograph: mirrored skin, grey padding, black, or its mean colour."""
    kind = rng.random()
    if kind < 0.55:
        height, width = pixels.shape[:2]
        pad = int(min(0.25 * (square[2] - square[0]) + 1, height - 1, width - 1))
        pixels = np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        return pixels, (square[0] + pad, square[1] + pad, square[2] + pad, square[3] + pad), (128, 128, 128)
    if kind < 0.8:
        return pixels, square, (128, 128, 128)
    if kind < 0.92:
        return pixels, square, (0, 0, 0)
    return pixels, square, tuple(int(v) for v in pixels.mean((0, 1)))


def _artefacts(image: Image.Image, rng: np.random.Generator, settings: AugmentSettings) -> Pixels:
    size = image.width
    draw = ImageDraw.Draw(image, "RGBA")
    if rng.random() < settings.hair:
        for _ in range(rng.integers(2, 14)):
            shade = int(rng.integers(10, 90))
            colour = (shade, int(shade * 0.85), int(shade * 0.7), int(rng.integers(110, 240)))
            _curve(draw, size, rng, colour, int(rng.integers(1, 3)))
    if rng.random() < settings.pen:
        colour = (int(rng.integers(20, 110)), int(rng.integers(0, 70)), int(rng.integers(90, 200)), 170)
        for _ in range(rng.integers(1, 4)):
            _curve(draw, size, rng, colour, int(rng.integers(2, 7)))
    if rng.random() < settings.ruler:
        _ruler(draw, size, rng)
    if rng.random() < settings.bubbles:
        for _ in range(rng.integers(1, 6)):
            x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.02, 0.1) * size
            draw.ellipse((x - r, y - r, x + r, y + r), outline=(255, 255, 255, 120), fill=(255, 255, 255, 30))
    if rng.random() < settings.jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(30, 90)))
        image = Image.open(buffer).convert("RGB")
    return np.asarray(image)


def _curve(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator, colour: tuple[int, ...], width: int) -> None:
    x, y, heading = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0, 2 * math.pi)
    bend, step = rng.normal(0, 0.12), size * rng.uniform(0.03, 0.08)
    points = []
    for _ in range(12):
        points.append((x, y))
        x, y, heading = x + step * math.cos(heading), y + step * math.sin(heading), heading + bend
    draw.line(points, fill=colour, width=width)


def _ruler(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    gap, offset, length = size * rng.uniform((0.03, 0.0, 0.03), (0.1, 0.15, 0.08))
    along_x, far = rng.random() < 0.5, rng.random() < 0.5
    edge = size - offset if far else offset
    inward = -length if far else length
    for index in range(int(size / gap)):
        reach = inward * (1.6 if index % 5 == 0 else 1.0)
        at = index * gap
        line = (at, edge, at, edge + reach) if along_x else (edge, at, edge + reach, at)
        draw.line(line, fill=(20, 20, 20, 200), width=1)


def _per_image(count: int, generator: torch.Generator, spread: float) -> Tensor:
    return torch.randn(count, 1, 1, 1, generator=generator) * spread


def photometric(batch: Tensor, generator: torch.Generator, settings: AugmentSettings) -> Tensor:
    """Light, colour, lens and sensor of another camera, for a float batch [N,3,S,S] in 0..255."""
    count, _, size, _ = batch.shape

    def chosen(probability: float) -> Tensor:
        return (torch.rand(count, 1, 1, 1, generator=generator) < probability).float()

    x = batch.contiguous() / 255
    # Shades of grey pulls casts towards neutral; applied to a random degree it teaches both worlds.
    light = x.clamp(min=1e-3).pow(6).mean((2, 3), keepdim=True).pow(1 / 6)
    neutral = light.mean(1, keepdim=True) / light
    degree = chosen(settings.constancy) * torch.rand(count, 1, 1, 1, generator=generator)
    strong = 1 + 0.8 * chosen(settings.phone_light)
    cast = torch.randn(count, 3, 1, 1, generator=generator) * settings.cast * strong
    x = x * neutral.pow(degree) * cast.exp()
    x = x * _per_image(count, generator, 0.12).mul(strong).exp()
    x = x.clamp(1e-4, 1).pow(_per_image(count, generator, settings.gamma).exp())
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * _per_image(count, generator, 0.15).exp() + mean
    x = _saturation_and_hue(x, generator)
    axis = torch.linspace(-1, 1, size)
    x = _uneven_light(x, axis, chosen(settings.phone_light), generator)
    x = _vignette(x, axis, chosen(settings.vignette), generator)
    x = _blur(x, chosen(settings.blur))
    x = _cutout(x, chosen(settings.cutout), generator)
    grain = torch.rand(count, 1, 1, 1, generator=generator) * 0.05 * chosen(settings.noise)
    x = x + torch.randn(x.shape, generator=generator) * grain
    return x.clamp(0, 1) * 255


def _saturation_and_hue(x: Tensor, generator: torch.Generator) -> Tensor:
    """A saturation change and a small turn around the grey axis, as one 3x3 matrix per image."""
    count = len(x)
    saturation = (torch.randn(count, 1, 1, generator=generator) * 0.2).exp()
    angle = torch.randn(count, 1, 1, generator=generator) * 0.09
    luma = torch.tensor([[0.299, 0.587, 0.114]]).expand(3, 3)
    third = torch.full((3, 3), 1 / 3)
    turn = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    eye = torch.eye(3)
    rotation = third + (eye - third) * angle.cos() + turn * angle.sin()
    matrix = rotation @ (luma + (eye - luma) * saturation)
    return torch.bmm(matrix, x.flatten(2)).view_as(x)


def _uneven_light(x: Tensor, axis: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    slope = torch.randn(len(x), 2, 1, 1, generator=generator) * 0.25
    ramp = slope[:, :1] * axis.view(1, 1, 1, -1) + slope[:, 1:] * axis.view(1, 1, -1, 1)
    return x * (ramp * chosen).exp()


def _vignette(x: Tensor, axis: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    shift = torch.randn(len(x), 2, 1, 1, generator=generator) * 0.12
    radius = torch.hypot(axis.view(1, 1, 1, -1) - shift[:, :1], axis.view(1, 1, -1, 1) - shift[:, 1:])
    edge = 0.75 + 0.6 * torch.rand(len(x), 1, 1, 1, generator=generator)
    width = 0.02 + 0.2 * torch.rand(len(x), 1, 1, 1, generator=generator)
    depth = torch.rand(len(x), 1, 1, 1, generator=generator).sqrt() * chosen
    return x * (1 - depth * torch.sigmoid((radius - edge) / width))


def _blur(x: Tensor, chosen: Tensor) -> Tensor:
    index = chosen.flatten().nonzero().flatten()
    soft = x[index]
    for reach in (1, 2):
        for dim in (2, 3):
            soft = (soft.roll(reach, dim) + soft.roll(-reach, dim) + soft) / 3
    return x.index_copy(0, index, soft)


def _cutout(x: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    size = x.shape[-1]
    grid = torch.arange(size).float() / size
    centre = torch.rand(len(x), 2, 1, 1, generator=generator)
    half = 0.04 + 0.11 * torch.rand(len(x), 1, 1, 1, generator=generator)
    inside = ((grid.view(1, 1, 1, -1) - centre[:, :1]).abs() < half) & (
        (grid.view(1, 1, -1, 1) - centre[:, 1:]).abs() < half
    )
    colour = torch.rand(len(x), 3, 1, 1, generator=generator)
    mask = inside.float() * chosen
    return x * (1 - mask) + colour * mask
