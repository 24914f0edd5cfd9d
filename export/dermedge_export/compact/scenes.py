"""Composes training scenes for the detector: photographs re-framed, lesions set onto larger skin, and empty frames.

A lesion is transferred as a ratio to the skin around it and multiplied onto the new skin. That keeps the new skin's
light and texture, works across skin tones, and fades to nothing at the mask's edge without a visible seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .scene_artefacts import Box, Pixels, hairs, ink, ruler, weathered

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Photo:
    """A photograph and, where it shows a lesion, its mask and box (pixels, right and lower edge exclusive)."""

    rgb: Pixels
    kind: str
    mask: Mask | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Scene:
    """A training image with the boxes of its lesions."""

    rgb: Pixels
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class SceneSettings:
    """Sizes, as shares of the frame, that composed scenes draw from."""

    side: int = 320
    lesion_least: float = 0.03
    lesion_most: float = 0.30
    least_contrast: float = 0.07
    """Mean absolute log ratio to the skin below which a pasted lesion cannot be seen: its label would be noise."""


def reframed(photo: Photo, rng: np.random.Generator) -> Scene:
    """Cut a window around the lesion, or keep the frame; turn it by a right angle; weather it."""
    assert photo.box is not None
    rgb, (x0, y0, x1, y1) = photo.rgb, photo.box
    height, width = rgb.shape[:2]
    if rng.random() < (0.4 if photo.kind == "dermoscopy" else 0.75):
        zoom = rng.uniform(0.45, 1.0) if photo.kind == "phone" else rng.uniform(0.6, 1.0)
        aspect = float(np.exp(rng.normal(0, 0.2)))
        w = int(min(width, max(width * zoom * aspect, (x1 - x0) * 1.05)))
        h = int(min(height, max(height * zoom / aspect, (y1 - y0) * 1.05)))
        left = int(rng.uniform(max(0, x1 - w), min(x0, width - w) + 1e-3)) if x1 - w <= x0 else int(max(0, x1 - w))
        top = int(rng.uniform(max(0, y1 - h), min(y0, height - h) + 1e-3)) if y1 - h <= y0 else int(max(0, y1 - h))
        left, top = min(max(left, 0), width - w), min(max(top, 0), height - h)
        rgb = rgb[top : top + h, left : left + w]
        x0, x1 = max(x0 - left, 0), min(x1 - left, w)
        y0, y1 = max(y0 - top, 0), min(y1 - top, h)
    for _ in range(int(rng.integers(4))):
        wide = rgb.shape[1]
        rgb = np.rot90(rgb)
        x0, y0, x1, y1 = y0, wide - x1, y1, wide - x0
    boxes = ((x0, y0, x1, y1),)
    return Scene(weathered(np.ascontiguousarray(rgb), boxes, rng, dermatoscope=photo.kind == "dermoscopy"), boxes)


def bare_skin(photo: Photo, rng: np.random.Generator) -> Pixels | None:
    """The widest strip of the photograph beside its lesion, or None where the lesion leaves too little."""
    assert photo.box is not None
    width = photo.rgb.shape[1]
    x0, y0, x1, y1 = photo.box
    margin = 0.12 * max(x1 - x0, y1 - y0) + 3
    left, right = int(x0 - margin), int(x1 + margin)
    top, bottom = int(y0 - margin), int(y1 + margin)
    strips = [photo.rgb[:, : max(left, 0)], photo.rgb[:, right:], photo.rgb[: max(top, 0)], photo.rgb[bottom:]]
    strips = [s for s in strips if min(s.shape[:2]) >= 0.16 * width]
    if not strips:
        return None
    strip = strips[int(rng.integers(len(strips)))]
    # Black corners, ink or a second lesion would be printed all over the canvas, and a lesion there has no label.
    coarse = np.asarray(Image.fromarray(strip).resize((8, 8), Image.Resampling.BOX)).astype(np.float32) + 6
    spread = np.log(coarse).std((0, 1)).max()
    return strip if strip.min(2).mean() > 45 and np.percentile(strip.max(2), 2) > 60 and spread < 0.12 else None


def skin_canvas(strip: Pixels, height: int, width: int, rng: np.random.Generator) -> Pixels:
    """Spread a strip of skin over a canvas by mirroring, with a new tone and a slow change of light."""
    scale = rng.uniform(0.8, 2.6)
    patch = Image.fromarray(strip).resize(
        (max(24, int(strip.shape[1] * scale)), max(24, int(strip.shape[0] * scale))), Image.Resampling.BICUBIC
    )
    tile = np.asarray(patch)
    down, across = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    tile = np.concatenate([tile if i % 2 == 0 else tile[::-1] for i in range(down + 1)], 0)
    tile = np.concatenate([tile if i % 2 == 0 else tile[:, ::-1] for i in range(across + 1)], 1)
    y, x = rng.integers(tile.shape[0] - height + 1), rng.integers(tile.shape[1] - width + 1)
    canvas = tile[y : y + height, x : x + width].astype(np.float32)
    if rng.random() < 0.35:
        # Hardly any photograph shows dark skin: darken, blue falling fastest as melanin absorbs it most.
        canvas = canvas * (rng.uniform(0.25, 0.9) ** np.array([0.75, 1.0, 1.2], np.float32))
    waves = rng.normal(0, 1, (4, 4)).astype(np.float32)
    shade = np.asarray(Image.fromarray(waves).resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(canvas * (1 + 0.06 * shade[..., None]), 0, 255).astype(np.uint8)


def limb(skin: Pixels, backdrop: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Lay a band of skin, shaded as a cylinder is, over another photograph: a forearm before a room."""
    height, width = skin.shape[:2]
    angle, share = rng.uniform(0, np.pi), rng.uniform(0.25, 0.6)
    yy, xx = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    across = np.cos(angle) * xx + np.sin(angle) * yy + rng.uniform(-0.15, 0.15)
    along = -np.sin(angle) * xx + np.cos(angle) * yy
    half = share / 2 * (1 + rng.uniform(-0.4, 0.4) * along)
    depth = np.clip(np.abs(across) / half, 0, 1.2)
    shade = np.sqrt(np.clip(1 - 0.75 * depth**2, 0.05, 1))[..., None]
    inside = np.clip((1 - depth) * 40, 0, 1)[..., None]
    behind = np.asarray(Image.fromarray(backdrop).resize((width, height), Image.Resampling.BILINEAR))
    return (skin * shade * inside + behind * (1 - inside)).astype(np.uint8), depth < 0.8


def skin_of_hand(rgb: Pixels) -> Mask:
    """Pixels well inside the hand, by their chroma."""
    ycc = np.asarray(Image.fromarray(rgb).convert("YCbCr")).astype(np.int16)
    skin = (ycc[..., 2] > 134) & (ycc[..., 1] < 126) & (ycc[..., 0] > 50)
    shrunk = Image.fromarray((skin * 255).astype(np.uint8)).filter(ImageFilter.MinFilter(9))
    return np.asarray(shrunk) > 0


def cutout(photo: Photo, settings: SceneSettings) -> tuple[NDArray[np.float32], NDArray[np.uint8]] | None:
    """The lesion as its ratio to the skin around it, with its mask; None where too little of either is to be seen."""
    assert photo.box is not None and photo.mask is not None
    height, width = photo.rgb.shape[:2]
    x0, y0, x1, y1 = (int(v) for v in photo.box)
    if x0 <= 1 or y0 <= 1 or x1 >= width - 1 or y1 >= height - 1:
        return None
    pad = int(0.2 * max(x1 - x0, y1 - y0)) + 4
    window = slice(max(0, y0 - pad), min(height, y1 + pad)), slice(max(0, x0 - pad), min(width, x1 + pad))
    patch, mask = photo.rgb[window].astype(np.float32), photo.mask[window]
    ring = ~np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(5))).astype(bool)
    if ring.sum() < 60:
        return None
    ratio = np.clip((patch + 6) / (np.median(patch[ring], 0) + 6), 0.05, 2.0)
    if np.abs(np.log(ratio[mask])).mean() < settings.least_contrast:
        return None
    return ratio.astype(np.float32), (mask * 255).astype(np.uint8)


def paste(
    canvas: Pixels,
    allowed: Mask | None,
    taken: list[Box],
    lesion: tuple[NDArray[np.float32], NDArray[np.uint8]],
    rng: np.random.Generator,
    settings: SceneSettings,
) -> Box | None:
    """Multiply one lesion onto the canvas, in place, where there is room; its box, or None."""
    ratio, mask = lesion
    height, width = canvas.shape[:2]
    share = float(np.exp(rng.uniform(np.log(settings.lesion_least), np.log(settings.lesion_most))))
    inner = float(max(np.ptp(axis) for axis in np.nonzero(mask)) + 1)
    scale = max(share * width, 7.0) / inner
    size = max(4, round(mask.shape[1] * scale)), max(4, round(mask.shape[0] * scale))
    angle = float(rng.uniform(0, 360))
    soft = Image.fromarray(mask).resize(size, Image.Resampling.BOX).rotate(angle, Image.Resampling.BILINEAR, True)
    planes = [
        Image.fromarray(ratio[..., c])
        .resize(size, Image.Resampling.BOX)
        .rotate(angle, Image.Resampling.BILINEAR, True, fillcolor=1.0)
        for c in range(3)
    ]
    edge = soft.filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.GaussianBlur(max(0.6, 0.02 * inner * scale)))
    feather = np.asarray(edge).astype(np.float32)[..., None] / 255
    change = 1 + feather * (np.stack([np.asarray(p) for p in planes], -1) - 1)
    ys, xs = np.nonzero(np.asarray(soft) > 127)
    h, w = change.shape[:2]
    if len(ys) < 9 or h >= height or w >= width:
        return None
    for _ in range(12):
        top, left = int(rng.integers(height - h)), int(rng.integers(width - w))
        box = left + xs.min(), top + ys.min(), left + xs.max() + 1, top + ys.max() + 1
        middle = (box[1] + box[3]) // 2, (box[0] + box[2]) // 2
        if allowed is not None and not (
            allowed[middle] and allowed[top : top + h, left : left + w][ys, xs].mean() > 0.8
        ):
            continue
        gap = 0.15 * max(box[2] - box[0], box[3] - box[1])
        if any(
            box[0] - gap < t[2] and t[0] < box[2] + gap and box[1] - gap < t[3] and t[1] < box[3] + gap for t in taken
        ):
            continue
        area = canvas[top : top + h, left : left + w]
        area[:] = np.clip(area * change, 0, 255).astype(np.uint8)
        return tuple(float(v) for v in box)  # type: ignore[return-value]
    return None


def composed(
    lesions: list[Photo],
    ground: Photo,
    backdrop: Pixels | None,
    rng: np.random.Generator,
    settings: SceneSettings,
) -> Scene | None:
    """Lesions on a stretch of skin, a limb before a backdrop, or a hand; with no lesions given, the same left empty."""
    side = settings.side
    height = int(side * rng.choice([0.75, 1.0, 1.0, 0.66]))
    allowed: Mask | None = None
    if ground.kind == "hand":
        picture = Image.fromarray(ground.rgb)
        picture.thumbnail((side, side))
        canvas = np.array(picture)
        allowed = skin_of_hand(canvas)
    else:
        strip = bare_skin(ground, rng)
        if strip is None:
            return None
        canvas = skin_canvas(strip, height, side, rng)
        if backdrop is not None and rng.random() < 0.45:
            canvas, allowed = limb(canvas, backdrop, rng)
    taken: list[Box] = []
    for photo in lesions:
        lesion = cutout(photo, settings)
        box = paste(canvas, allowed, taken, lesion, rng, settings) if lesion else None
        if box:
            taken.append(box)
    if lesions and not taken:
        return None
    boxes = tuple(taken)
    return Scene(weathered(canvas, boxes, rng), boxes)


def empty(side: int, rng: np.random.Generator) -> Scene:
    """A frame with nothing on it: lens cap, overexposure, noise, a plain wall, ink or hair on plain ground."""
    shape = (int(side * rng.choice([0.75, 1.0])), side, 3)
    base = [rng.uniform(0, 12, 3), rng.uniform(240, 255, 3), rng.uniform(0, 255, 3), np.array([215, 170, 150.0])]
    ground = np.broadcast_to(base[int(rng.integers(4))], shape) + rng.normal(0, rng.choice([1, 6, 50]), shape)
    rgb: Pixels = np.clip(ground, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        rgb = (hairs, ink, ruler)[int(rng.integers(3))](rgb, rng)
    return Scene(weathered(rgb, (), rng), ())
