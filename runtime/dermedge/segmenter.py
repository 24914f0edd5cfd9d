"""A lesion's outline: its own square crop, the lesion's box as the prompt, a mask over that crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .crop import cut, square_around
from .errors import PackError
from .graph import Contract, Graph, GraphSettings
from .pack.manifest import SegmenterSpec
from .result import Box, Mask, Photo

if TYPE_CHECKING:
    from .pack.verify import VerifiedPack

BLACK = (0, 0, 0)
"""What MedSAM networks are trained to see beside a picture that is not square."""


def contract(spec: SegmenterSpec) -> tuple[tuple[Contract, Contract], tuple[Contract, Contract]]:
    """Inputs and outputs of the encoder, then of the decoder; what passes between is their own affair."""
    features: Contract = {"features": ("float32", None)}
    return (
        ({"image": ("uint8", (1, spec.size, spec.size, 3))}, features),
        ({**features, "box": ("float32", (1, 4))}, {"mask": ("float32", (1, spec.size, spec.size))}),
    )


class Segmenter:
    """Draws the line around a lesion that was found."""

    def __init__(self, encoder: Graph, decoder: Graph, spec: SegmenterSpec) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._spec = spec

    @classmethod
    def open(cls, pack: VerifiedPack, settings: GraphSettings) -> Segmenter:
        spec = pack.manifest.segmenter
        if spec is None:
            raise PackError(f"the pack {pack.manifest.id} has no segmenter; scan without a mask")
        encoder, decoder = contract(spec)
        return cls(
            Graph.open(pack.graph(spec.encoder), settings, *encoder, name=spec.encoder),
            Graph.open(pack.graph(spec.decoder), settings, *decoder, name=spec.decoder),
            spec,
        )

    def outline(self, photo: Photo, box: Box) -> Mask:
        """The lesion in `box` as a mask over the square around it; it may come out empty."""
        spec = self._spec
        region = square_around(box, photo.width, photo.height, spec.context)
        pixels = cut(photo, region, spec.size, "bilinear", BLACK).pixels
        features = self._encoder.run({"image": pixels[np.newaxis]})["features"]
        logits = self._decoder.run({"features": features, "box": prompt(box, region, spec.size)})["mask"][0]
        inside = logits > spec.threshold
        inside.setflags(write=False)
        return Mask(inside, region)


def prompt(box: Box, region: Box, size: int) -> NDArray[np.float32]:
    """A box in the pixels of the crop that shows `region`."""
    factor = size / region.width
    corners = [box.x0 - region.x0, box.y0 - region.y0, box.x1 - region.x0, box.y1 - region.y0]
    return np.array([corners], np.float32) * np.float32(factor)


def edge(inside: NDArray[np.bool_], thickness: int = 1) -> NDArray[np.bool_]:
    """The outermost `thickness` pixels of a mask, to draw; the picture's own border counts as outside."""
    core = inside
    for _ in range(thickness):
        padded = np.pad(core, 1)
        core = core & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    line: NDArray[np.bool_] = inside & ~core
    return line
