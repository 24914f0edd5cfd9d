"""What a dermatoscope adds to its pictures, drawn onto validation crops: none of it may decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..metrics import auc
from .data import Photo, Pixels
from .validate import REFERRAL, Floats, is_malignant, mass


def vignette(crop: Pixels) -> Pixels:
    """The tube's black rim: what lies outside a circle that just leaves the crop's corners."""
    size = len(crop)
    place = (np.arange(size) + 0.5) / size * 2 - 1
    inside = np.hypot(place[:, None], place[None]) <= 1.05
    return np.asarray(crop * inside[..., None], np.uint8)


def ruler(crop: Pixels) -> Pixels:
    """A millimetre scale along the lower edge."""
    image, size = Image.fromarray(crop), len(crop)
    draw = ImageDraw.Draw(image)
    for tick, x in enumerate(np.linspace(4, size - 4, 17)):
        draw.line((x, size, x, size - size * (0.1 if tick % 4 == 0 else 0.06)), fill=(15, 15, 15), width=2)
    return np.asarray(image)


def bubbles(crop: Pixels) -> Pixels:
    """Air in the gel: bright rings, the same on every crop."""
    image, size = Image.fromarray(crop), len(crop)
    draw, rng = ImageDraw.Draw(image, "RGBA"), np.random.default_rng(3)
    for x, y, r in rng.uniform((0, 0, 0.02), (1, 1, 0.07), (9, 3)) * size:
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(255, 255, 255, 200), fill=(255, 255, 255, 60), width=2)
    return np.asarray(image)


def yellow(crop: Pixels) -> Pixels:
    """The light of an old lamp."""
    return np.asarray((crop * np.array([1.05, 0.97, 0.72])).clip(0, 255).round(), np.uint8)


def blue(crop: Pixels) -> Pixels:
    """The light of a cold lamp."""
    return np.asarray((crop * np.array([0.8, 0.97, 1.1])).clip(0, 255).round(), np.uint8)


ARTEFACTS: dict[str, Callable[[Pixels], Pixels]] = {
    "black vignette": vignette,
    "ruler": ruler,
    "gel bubbles": bubbles,
    "yellow cast": yellow,
    "blue cast": blue,
}


def probed(photos: Sequence[Photo], each: int = 150) -> list[int]:
    """Places of as many malignant as benign dermatoscope photographs, evenly drawn."""
    ham = [i for i, photo in enumerate(photos) if photo.source == "ham"]
    flags = is_malignant([photos[i] for i in ham])
    chosen: list[int] = []
    for wanted in (True, False):
        members = [i for i, flag in zip(ham, flags, strict=True) if flag == wanted]
        chosen += [members[k * len(members) // each] for k in range(each)] if len(members) > each else members
    return chosen


def probe(photos: Sequence[Photo], crops: Pixels, answer: Callable[[Pixels], Floats]) -> dict[str, Any]:
    """How far each artefact moves the malignant mass (as HAM10000 counts it), and what it costs.

    `answer` turns crops into the conditions' probabilities.
    """
    places = probed(photos)
    flags = is_malignant([photos[i] for i in places])
    plain = mass(answer(crops[places]), REFERRAL)
    found = {}
    for name, draw in ARTEFACTS.items():
        drawn = mass(answer(np.stack([draw(crops[i]) for i in places])), REFERRAL)
        found[name] = {
            "mean_move": round(float(np.abs(drawn - plain).mean()), 4),
            "mean_rise": round(float((drawn - plain).mean()), 4),
            "malignant_auc": round(auc(flags, drawn), 4),
        }
    return {
        "photographs": len(places),
        "malignant": int(flags.sum()),
        "malignant_auc": round(auc(flags, plain), 4),
        "drawn": found,
    }
