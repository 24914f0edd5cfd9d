"""What cameras and examiners add to a photograph of skin: ink, rulers, gel bubbles, dark corners, casts; and hair.

None of it is a lesion, and a detector that has not seen it takes it for one.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]


def hairs(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw bent strands, mostly dark, over the frame."""
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    height, width = rgb.shape[:2]
    tone = int(rng.choice([20, 35, 60, 110, 190], p=[0.35, 0.3, 0.2, 0.1, 0.05]))
    colour = (tone + int(rng.integers(0, 25)), tone + int(rng.integers(0, 12)), tone)
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(int(rng.integers(2, 26))):
        start = rng.uniform(-0.1, 1.1, 2) * (width, height)
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.9) * width
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        bend = (start + end) / 2 + rng.normal(0, 0.12 * length, 2)
        points = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        draw.line([tuple(p) for p in points], fill=colour, width=int(rng.choice([1, 1, 2])))
    return np.asarray(image)


def ink(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw a pen stroke or an open circle, as surgeons do around a lesion."""
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    height, width = rgb.shape[:2]
    colour = [(60, 40, 130), (40, 60, 150), (30, 30, 60), (90, 50, 120), (150, 40, 60)][int(rng.integers(5))]
    thick = int(rng.integers(2, max(3, width // 40) + 1))
    if rng.random() < 0.4:
        cx, cy = rng.uniform(0.3, 0.7, 2) * (width, height)
        rx, ry = rng.uniform(0.2, 0.48, 2) * min(width, height)
        first = float(rng.uniform(0, 360))
        draw.arc([cx - rx, cy - ry, cx + rx, cy + ry], first, first + float(rng.uniform(120, 340)), colour, thick)
    else:
        walk = np.cumsum(rng.normal(0, 0.04, (8, 2)), 0) * width + rng.uniform(0, 1, 2) * (width, height)
        draw.line([tuple(p) for p in walk], fill=colour, width=thick, joint="curve")
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7))).astype(np.float32)
    strength = rng.uniform(0.5, 0.95)
    return (soft * strength + rgb * (1 - strength)).astype(np.uint8)


def ruler(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw a millimetre scale along one side."""
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    height, width = rgb.shape[:2]
    colour = (20, 20, 20) if rng.random() < 0.7 else (235, 235, 235)
    step, depth = rng.uniform(0.02, 0.07) * width, rng.uniform(0.03, 0.09) * height
    across = rng.random() < 0.5
    at = float(rng.uniform(0, 0.06) if rng.random() < 0.5 else rng.uniform(0.9, 1.0)) * (height if across else width)
    for i, position in enumerate(np.arange(0, width if across else height, step)):
        end = at + depth * (1.0 if i % 5 == 0 else 0.55)
        line = [(position, at), (position, end)] if across else [(at, position), (end, position)]
        draw.line(line, fill=colour, width=1)
    return np.asarray(image)


def bubbles(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw the rings and glints of air in the contact gel."""
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    height, width = rgb.shape[:2]
    for _ in range(int(rng.integers(2, 14))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        r = float(rng.uniform(0.008, 0.07)) * width
        local = rgb[min(int(y), height - 1), min(int(x), width - 1)].astype(float)
        rim = tuple(int(v) for v in local * rng.uniform(0.55, 0.85))
        draw.ellipse([x - r, y - r, x + r, y + r], outline=rim, width=max(1, int(r / 5)))
        glint = tuple(int(v) for v in np.clip(local * 1.2 + 40, 0, 255))
        draw.ellipse([x - r / 2, y - r / 2, x - r / 5, y - r / 5], fill=glint)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(0.5)))


def vignette(rgb: Pixels, boxes: tuple[Box, ...], rng: np.random.Generator) -> Pixels:
    """Darken the corners as a dermatoscope's tube does, never over a lesion."""
    height, width = rgb.shape[:2]
    centre = np.array([width / 2, height / 2]) + rng.normal(0, 0.04, 2) * (width, height)
    radius = rng.uniform(0.46, 0.68) * max(width, height)
    corners = [(x, y) for b in boxes for x in (b[0], b[2]) for y in (b[1], b[3])]
    if corners and np.linalg.norm(np.array(corners) - centre, axis=1).max() > radius * 0.98:
        return rgb
    yy, xx = np.mgrid[:height, :width]
    distance = np.hypot(xx - centre[0], yy - centre[1])
    edge = rng.uniform(0.004, 0.08) * width
    keep = np.clip((radius - distance) / edge + 0.5, 0, 1)[..., None]
    vignetted: Pixels = (rgb * keep + rng.uniform(0, 18) * (1 - keep)).astype(np.uint8)
    return vignetted


def light(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Change cast, gamma, saturation and the direction of the light."""
    x = rgb.astype(np.float32) / 255
    if rng.random() < 0.75:
        x = x * np.exp(rng.normal(0, 0.09, 3)).astype(np.float32)
    if rng.random() < 0.5:
        x = np.clip(x, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.25)))
    if rng.random() < 0.4:
        grey = x.mean(2, keepdims=True)
        x = grey + (x - grey) * np.float32(rng.uniform(0.55, 1.4))
    if rng.random() < 0.35:
        height, width = rgb.shape[:2]
        angle = rng.uniform(0, 2 * np.pi)
        yy, xx = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        x = x * (1 + rng.uniform(0.05, 0.35) * (np.cos(angle) * xx + np.sin(angle) * yy))[..., None].astype(np.float32)
    x = x * np.float32(np.exp(rng.normal(0, 0.15)))
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def lens(rgb: Pixels, rng: np.random.Generator) -> Pixels:
    """Blur or sharpen, add noise, and compress, so that sharpness tells nothing."""
    image = Image.fromarray(rgb)
    draw = rng.random()
    if draw < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.8))))
    elif draw < 0.4:
        image = image.filter(ImageFilter.UnsharpMask(2, int(rng.integers(60, 180)), 0))
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 9), rgb.shape)
        image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(30, 90)))
        image = Image.open(buffer).convert("RGB")
    return np.asarray(image)


def weathered(rgb: Pixels, boxes: tuple[Box, ...], rng: np.random.Generator, *, dermatoscope: bool = False) -> Pixels:
    """Apply a plausible few of the above."""
    odds = (0.15, 0.05, 0.12, 0.12, 0.22) if dermatoscope else (0.12, 0.2, 0.05, 0.0, 0.03)
    for chance, effect in zip(odds[:4], (hairs, ink, ruler, bubbles), strict=True):
        if rng.random() < chance:
            rgb = effect(rgb, rng)
    rgb = light(rgb, rng)
    if rng.random() < odds[4]:
        rgb = vignette(rgb, boxes, rng)
    return lens(rgb, rng)
