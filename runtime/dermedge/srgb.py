"""Any picture that Pillow has loaded, as 8-bit sRGB without transparency."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms
from PIL.JpegImagePlugin import JpegImageFile

_BAND_ROWS = 256
"""Deep pictures are narrowed to 8 bits in bands, so that no wide copy of the whole exists."""


def in_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _in_8_bits(image, notes)
    if image.mode == "CMYK" and isinstance(image, JpegImageFile) and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for Adobe's, which store ink inverted.
        image = ImageChops.invert(image)
    if image.has_transparency_data:
        image = _on_white(image, notes)
    if image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile:
        image = _without_profile(image, profile, notes)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = _transformed(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_8_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    width, height = image.size
    boxes = [(0, y, width, min(y + _BAND_ROWS, height)) for y in range(0, height, _BAND_ROWS)]

    def band(box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        return np.nan_to_num(np.asarray(image.crop(box), dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)

    if image.mode.startswith("I;16"):
        white = 65535.0
    else:
        # 32-bit files do not say which value is white: the nearest usual one above the brightest pixel.
        brightest = max(float(band(box).max()) for box in boxes)
        usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        white = next((value for value in usual if brightest <= value), brightest)
        notes.append(f"32-bit values; {white:g} is taken for white")
    narrow = Image.new("L", image.size)
    for box in boxes:
        values = np.clip(band(box) * (255.0 / white) + 0.5, 0, 255).astype(np.uint8)
        narrow.paste(Image.fromarray(values), box[:2])
    return narrow


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=alpha)
    notes.append("transparent parts are shown on white")
    return white


def _without_profile(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space.strip()]
        if image.mode != mode:
            if {image.mode, mode} != {"RGB", "L"}:
                raise ValueError("the profile is for other channels than the picture has")
            image = image.convert(mode)
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB" and _changes_nothing(transform):
            return image
        return _transformed(image, transform)
    except Exception:
        notes.append("its colour profile is damaged or unusual; the colours are taken as they are")
        return image


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Most profiles are some vendor's sRGB: 729 colours tell, without comparing names or bytes."""
    levels = np.array([0, 32, 64, 96, 128, 160, 192, 224, 255], np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    turned = np.asarray(_transformed(Image.fromarray(colours), transform))
    return int(np.abs(turned.astype(np.int16) - colours).max()) <= 2


def _transformed(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    turned = ImageCms.applyTransform(image, transform)
    if turned is None:
        raise ValueError("the colour transform gave no picture")
    return turned
