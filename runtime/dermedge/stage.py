"""The picture of every step: what went into the detector and the tower, pixel by pixel, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageDraw

from .overlay import painted
from .picture import cropped
from .result import Box, Detection, Lesion, Photo, Saliency, Scan
from .trace import Look, Trace, proposals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pack.manifest import Manifest

Kind = Literal["frame", "detector", "crop", "heat", "mask"]

SURE = (255, 214, 10)
FAINT = (120, 120, 120)


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One step of one photograph."""

    kind: Kind
    scan: Scan
    """Holding the photograph at the size that it was decoded to."""
    proposals: tuple[Detection, ...] = ()
    """For the detector: all that it proposed, by falling confidence."""
    above: int = 0
    """How many of them were sure enough to be looked at."""
    frame: Box | None = None
    """The square of the photograph that this step saw."""
    pixels: NDArray[np.uint8] | None = None
    """What this step was given."""
    number: int = 0
    """Which look of the tower, from 1 on."""
    lesion: Lesion | None = None
    """What became of it; None where the tower recognised no lesion."""

    def picture(self, size: tuple[int, int]) -> Image.Image:
        """The largest that fits into `size`: pixels are enlarged as they are, without smoothing."""
        if self.kind == "mask" and self.lesion and self.lesion.mask:
            part = cropped(self.scan, self.lesion.mask.region)
            return painted(part, _fitted((part.photo.width, part.photo.height), size), heat=False, mask=True)
        assert self.pixels is not None
        room = _fitted((self.pixels.shape[1], self.pixels.shape[0]), size)
        if self.kind == "heat" and self.lesion and self.lesion.saliency:
            return painted(_of_crop(self.scan, self.pixels, self.lesion.saliency), room, heat=True, mask=False)
        resample = Image.Resampling.NEAREST if room[0] > self.pixels.shape[1] else Image.Resampling.BOX
        picture = Image.fromarray(self.pixels).resize(room, resample)
        self._outline(picture)
        return picture

    def places(self) -> list[tuple[float, float]]:
        """Where each proposal's box begins, as shares of the picture's width and height."""
        if self.frame is None:
            return []
        x, y, side = self.frame.x0, self.frame.y0, self.frame.width
        return [((found.box.x0 - x) / side, (found.box.y0 - y) / side) for found in self.proposals]

    def _outline(self, picture: Image.Image) -> None:
        brush = ImageDraw.Draw(picture)
        # The faint ones first: a sure box is never hidden by one that is not.
        for place, found in reversed([*enumerate(self.proposals)]):
            assert self.frame is not None
            factor = picture.width / self.frame.width
            box, last = found.box, (picture.width - 1, picture.height - 1)
            edges = (box.x0 - self.frame.x0, box.y0 - self.frame.y0, box.x1 - self.frame.x0, box.y1 - self.frame.y0)
            x0, y0, x1, y1 = (min(edge * factor, last[i % 2]) for i, edge in enumerate(edges))
            brush.rectangle((x0, y0, x1, y1), outline=SURE if place < self.above else FAINT)


def stages(trace: Trace, scan: Scan, manifest: Manifest) -> tuple[Stage, ...]:
    """Every step of a photograph, in order; `scan` was judged from `trace`."""
    whole = replace(scan, photo=trace.photo)
    found = [Stage("frame", whole, pixels=trace.photo.pixels)]
    if trace.sight:
        proposed = proposals(trace, manifest)
        found.append(Stage("detector", whole, proposed, len(trace.looks), trace.sight.frame, trace.sight.pixels))
    for number, look in enumerate(trace.looks, 1):
        found += _of_look(whole, number, look)
    return tuple(found)


def _of_look(scan: Scan, number: int, look: Look) -> list[Stage]:
    lesion = next((one for one in scan.lesions if one.box == look.detection.box), None)
    crop = Stage("crop", scan, frame=look.crop.region, pixels=look.crop.pixels, number=number, lesion=lesion)
    found = [crop]
    if lesion and lesion.saliency:
        found.append(replace(crop, kind="heat"))
    if lesion and lesion.mask:
        found.append(replace(crop, kind="mask", frame=lesion.mask.region))
    return found


def _of_crop(scan: Scan, pixels: NDArray[np.uint8], saliency: Saliency) -> Scan:
    """The crop as if it were the photograph, so that it is painted as every other picture."""
    side = len(pixels)
    square = Box(0.0, 0.0, float(side), float(side))
    [first, *_] = scan.lesions
    lesion = replace(first, saliency=replace(saliency, region=square), mask=None)
    return replace(scan, photo=Photo(scan.photo.name, pixels, side, side, 1.0, "crop"), lesions=(lesion,), rejected=())


def _fitted(pixels: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    factor = min(size[0] / pixels[0], size[1] / pixels[1])
    return max(1, round(pixels[0] * factor)), max(1, round(pixels[1] * factor))
