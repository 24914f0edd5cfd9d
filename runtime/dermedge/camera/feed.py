"""What every camera has in common: pictures that can be decoded, in time, or the error that says why not."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import CameraSilent, PhotoError
from ..photo import read_photo
from ..result import Photo

Pixels = bytes | NDArray[np.uint8]
"""A JPEG, or height x width x 3 of RGB: either is something to scan."""

PATIENCE = 8.0
"""Seconds without a picture. A board's camera takes up to three to start; one that takes longer than this hangs."""
SLICE = 0.2
"""Seconds of one wait, after which whoever reads can do something else."""
PREVIEW_SIDE = 480
"""Pixels on the longer side that a preview needs at least; a JPEG is decoded at a fraction of its size for it."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One that is at hand."""

    id: str
    """A device's path, or the number that the board's own program calls it by."""
    name: str
    kind: Literal["v4l2", "rpicam"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture, upright."""

    source: Pixels = field(repr=False)
    """As it came, to be scanned."""
    photo: Photo
    """Decoded, no larger than a preview needs where the camera sends JPEG."""
    taken: datetime

    def packed(self) -> bytes:
        """The same pixels in as few bytes as that takes: to be kept, and scanned later."""
        if isinstance(self.source, bytes):
            return self.source
        buffer = io.BytesIO()
        Image.fromarray(self.source).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


class Source(Protocol):
    """What a kind of camera has to be able to do."""

    def grab(self, wait: float) -> Pixels | None:
        """The next picture from now on, None where none came in time or it arrived damaged."""

    def close(self) -> None: ...


class Feed:
    """An open camera. Not for several threads at once."""

    def __init__(self, camera: Camera, source: Source) -> None:
        self.camera = camera
        self._source = source
        self._waited = 0.0

    def read(self, wait: float = SLICE) -> Frame | None:
        """What the camera sees now; None where it needs longer than `wait` seconds."""
        begun = time.monotonic()
        pixels = self._source.grab(wait)
        if pixels is not None:
            taken = datetime.now()
            try:
                photo = read_photo(pixels, name=self.camera.name, working_side=PREVIEW_SIDE)
            except PhotoError:
                pass  # cut off on its way, as USB cables do; if every one is, the patience ends
            else:
                self._waited = 0.0
                return Frame(pixels, photo, taken)
        # Only the time spent here counts: whoever looked elsewhere meanwhile has not been kept waiting.
        self._waited += time.monotonic() - begun
        if self._waited > PATIENCE:
            raise CameraSilent(
                f"{self.camera.name} gives no picture; take it out and plug it in again, or choose another camera"
            )
        return None

    def __iter__(self) -> Iterator[Frame]:
        """One frame after the other; it ends with an error only."""
        while True:
            if frame := self.read():
                yield frame
