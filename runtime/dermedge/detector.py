"""Where the lesions are: letterbox, graph, boxes back in the photograph's pixels, non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .crop import cut
from .errors import BoxOutside, GraphInvalid
from .graph import HINT, Contract, Graph, GraphSettings
from .pack.manifest import DetectorSpec
from .result import Box, Detection, Photo

if TYPE_CHECKING:
    from .pack.verify import VerifiedPack

GREY = (114, 114, 114)
"""What YOLO networks are trained to see beside a photograph that is not square."""
SAME_LESION = 0.8
"""Two boxes that share this much of the smaller one show the same lesion, whatever their IoU."""
SMALLEST_SIDE = 1.0
"""In original pixels; what is thinner is no box."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The detector's input and all that it said about it, before anything was left out."""

    pixels: NDArray[np.uint8] = field(repr=False)
    """size x size x 3: the letterboxed photograph."""
    frame: Box
    """The square in the original's pixels that the input shows."""
    boxes: NDArray[np.float32] = field(repr=False)
    """(A, 5): x0, y0, x1, y1 in pixels of the input, and a confidence."""


def contract(spec: DetectorSpec) -> tuple[Contract, Contract]:
    return ({"images": ("uint8", (1, spec.size, spec.size, 3))}, {"boxes": ("float32", (1, None, 5))})


class Detector:
    """Finds lesions; several a photograph, or none."""

    def __init__(self, graph: Graph, spec: DetectorSpec) -> None:
        self._graph = graph
        self._spec = spec

    @classmethod
    def open(cls, pack: VerifiedPack, settings: GraphSettings) -> Detector:
        spec = pack.manifest.detector
        return cls(Graph.open(pack.graph(spec.graph), settings, *contract(spec), name=spec.graph), spec)

    def look(self, photo: Photo) -> Sight:
        """What the graph says about a photograph, all of it."""
        spec = self._spec
        frame = letterbox(photo)
        pixels = cut(photo, frame, spec.size, "bilinear", GREY).pixels
        boxes = self._graph.run({"images": pixels[np.newaxis]})["boxes"][0]
        scores = boxes[:, 4]
        if scores.size and not (scores.min() >= -1e-3 and scores.max() <= 1 + 1e-3):
            raise GraphInvalid(f"{spec.graph}: a confidence lies outside 0 to 1. {HINT}")
        boxes.setflags(write=False)
        return Sight(pixels, frame, boxes)

    def find(self, photo: Photo) -> tuple[Detection, ...]:
        """Lesions by falling confidence."""
        return chosen(self.look(photo), photo, self._spec)


def chosen(sight: Sight, photo: Photo, spec: DetectorSpec) -> tuple[Detection, ...]:
    """The lesions among what the detector saw, by falling confidence.

    At a lower `spec.confidence` the same ones come first: a box is only ever pushed out by a surer one.
    """
    found = sight.boxes.astype(np.float64)
    found = found[found[:, 4] >= spec.confidence]
    frame = sight.frame
    boxes = found[:, :4] * (frame.width / spec.size) + [frame.x0, frame.y0, frame.x0, frame.y0]
    boxes = boxes.clip(0, [photo.width, photo.height, photo.width, photo.height])
    solid = (boxes[:, 2:] - boxes[:, :2] >= SMALLEST_SIDE).all(axis=1)
    boxes, scores = boxes[solid], found[solid, 4]
    kept = non_maximum_suppression(boxes, scores, spec.iou, SAME_LESION)[: spec.max_lesions]
    return tuple(Detection(Box(*boxes[i].tolist()), min(float(scores[i]), 1.0)) for i in kept)


def by_hand(photo: Photo, box: tuple[float, float, float, float] | None) -> Detection:
    """The lesion as a person marks it: `box` is x, y, width, height; None is the whole frame."""
    if box is None:
        return Detection(photo.frame, 1.0, by_hand=True)
    x, y, width, height = box
    inside = Box(max(x, 0.0), max(y, 0.0), min(x + width, photo.width), min(y + height, photo.height))
    if not (width > 0 and height > 0 and inside.width >= 8 and inside.height >= 8):
        raise BoxOutside(
            f"{photo.name}: the box {x:g},{y:g},{width:g},{height:g} does not cover 8 pixels or more of the photograph "
            f"({photo.width} x {photo.height}); give x,y,width,height in its pixels"
        )
    return Detection(inside, 1.0, by_hand=True)


def letterbox(photo: Photo) -> Box:
    """The square around the whole photograph: its longer side fills it, the shorter one is centred."""
    side = float(max(photo.width, photo.height))
    x0, y0 = (photo.width - side) / 2, (photo.height - side) / 2
    return Box(x0, y0, x0 + side, y0 + side)


def non_maximum_suppression(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], iou: float, containment: float | None = None
) -> list[int]:
    """Indices of the boxes to keep, by falling score.

    A box goes when its IoU with a better kept one is above `iou`, or when they share more than `containment`
    of the smaller of the two. Equal scores are ordered by the boxes themselves, never by their place.
    """
    x0, y0, x1, y1 = boxes.T
    areas = (x1 - x0) * (y1 - y0)
    order = np.lexsort((y1, x1, y0, x0, -scores))
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        across = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest])
        down = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest])
        shared = across.clip(0) * down.clip(0)
        drop = shared > iou * (areas[best] + areas[rest] - shared)
        if containment is not None:
            drop |= shared > containment * np.minimum(areas[best], areas[rest])
        order = rest[~drop]
    return kept
