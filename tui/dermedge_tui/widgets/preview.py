"""What a camera sees, in half cells: coarse enough to be drawn several times a second."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from dermedge import preview

from .picture import LEAST, Picture

if TYPE_CHECKING:
    from dermedge import Box, Photo

Room = tuple[int, int]
"""Columns and lines."""

MOST_CELLS = 3000
"""Of a moving picture: the interface needs some five microseconds to put each on the screen."""
COARSE, FINE = 0xF8, 0xFF
"""Bits of a colour. With 32 steps of each, neighbours melt into one piece, and pieces repeat from frame to frame."""
_SHADES = " ░▒▓█"


class Preview(Widget):
    """Shows what the thread has drawn, in the middle of its room."""

    DEFAULT_CSS = "Preview { width: 1fr; height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Strip] = []
        self._still: Photo | None = None

    @property
    def room(self) -> Room:
        return self.size.width, self.size.height

    def show(self, lines: list[Strip]) -> None:
        self._lines, self._still = lines, None
        self.refresh()

    def freeze(self, photo: Photo) -> None:
        """One picture that stays, whatever the room becomes."""
        self._lines, self._still = drawn(photo, self.room, still=True), photo
        self.refresh()

    def on_resize(self) -> None:
        if self._still:
            self.freeze(self._still)

    def on_unmount(self) -> None:
        # A widget may outlive its screen; nobody's photograph does.
        self._lines, self._still = [], None

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        at = y - max(0, (self.size.height - len(self._lines)) // 2)
        if not 0 <= at < len(self._lines):
            return Strip.blank(self.size.width, style)
        line = self._lines[at]
        left = max(0, (self.size.width - line.cell_length) // 2)
        return Strip.join([Strip.blank(left, style), line]).adjust_cell_length(self.size.width, style)


def drawn(photo: Photo, room: Room, target: Box | None = None, *, still: bool = False) -> list[Strip]:
    """The picture as lines of cells that fit into the room, with the corners of `target` on it."""
    if min(room) < LEAST:
        return []
    # A cell is as high as two pixels.
    width, height = room[0], 2 * room[1]
    if not still:
        most = (2 * MOST_CELLS / (photo.width * photo.height)) ** 0.5
        width, height = min(width, int(photo.width * most)), min(height, int(photo.height * most))
    image = preview(photo, (width, height), target)
    if Picture.renderer == "letters":
        return _in_letters(image.convert("L").tobytes(), image.width)
    bits = FINE if still else COARSE
    return _in_cells(image.point(lambda value: value & bits).tobytes(), image.width)


def _in_cells(colours: bytes, width: int) -> list[Strip]:
    """Two lines of pixels to a line of cells; an odd one at the end is left out."""
    lines = []
    stride = 3 * width
    for start in range(0, len(colours) - stride, 2 * stride):
        upper, lower = colours[start : start + stride], colours[start + stride : start + 2 * stride]
        pairs = [upper[at : at + 3] + lower[at : at + 3] for at in range(0, stride, 3)]
        lines.append(Strip([Segment("▀" * len(list(run)), _style(pair)) for pair, run in groupby(pairs)], width))
    return lines


@lru_cache(maxsize=1 << 14)
def _style(pair: bytes) -> Style:
    return Style.from_color(Color.from_rgb(*pair[:3]), Color.from_rgb(*pair[3:]))


def _in_letters(luma: bytes, width: int) -> list[Strip]:
    """Where a terminal has no colours: the brighter, the denser."""
    rows = (luma[start : start + width] for start in range(0, len(luma) - width, 2 * width))
    return [Strip([Segment("".join(_SHADES[value * len(_SHADES) // 256] for value in row))], width) for row in rows]
