"""Outlines for photographs that are published without: LiteMedSAM, prompted with the middle of the photograph."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dermedge.crop import cut, square_around
from dermedge.result import Box, Photo
from dermedge.segmenter import BLACK, prompt

from ..medsam import SIZE, Decoder, Encoder, SegmenterSettings, load_medsam
from .data import CONTEXT, Pixels, centre_square

LEAST = 0.002
"""Of the photograph; a smaller outline is a speck beside the lesion, or none at all."""


class Outliner:
    """Draws the mask of the lesion that a photograph was taken of."""

    def __init__(self) -> None:
        network, side = load_medsam(), SegmenterSettings.side
        self._encoder, self._decoder = Encoder(network, side).eval(), Decoder(network, side).eval()

    @torch.no_grad()
    def mask(self, pixels: Pixels) -> NDArray[np.bool_] | None:
        height, width = pixels.shape[:2]
        box = Box(*centre_square(width, height))
        region = square_around(box, width, height, CONTEXT)
        crop = cut(Photo("photo", pixels, width, height, 1.0, "pixels"), region, SIZE, "bilinear", BLACK).pixels
        features = self._encoder(torch.from_numpy(np.array(crop))[None])
        logits = self._decoder(features, torch.from_numpy(prompt(box, region, SIZE)))[0]
        side = round(region.width)
        seen = Image.fromarray(logits.numpy() > 0).resize((side, side))
        canvas = Image.new("1", (width, height))
        canvas.paste(seen, (round(region.x0), round(region.y0)))
        drawn = np.asarray(canvas, bool)
        return drawn if drawn.mean() >= LEAST else None
