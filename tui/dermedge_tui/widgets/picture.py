"""A photograph in the terminal: half cells everywhere, pixels where the terminal has them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dermedge import Box, Scan, place, view

Renderer = Literal["cells", "letters", "sixel", "kitty"]
RENDERERS: tuple[Renderer, ...] = ("cells", "letters", "sixel", "kitty")

LEAST = 4
"""Columns and lines below which no picture is worth drawing."""
CELL = (10, 20)
"""Pixels of a cell to draw for where the terminal shows pixels; it scales to its real ones."""


@dataclass(frozen=True, slots=True)
class Label:
    """A few letters on a picture."""

    x: float
    """Shares of the picture's width and height."""
    y: float
    text: str
    stands_out: bool = False


class Drawable(Protocol):
    """What a `Picture` can show; drawn in its thread."""

    def same(self, other: object) -> bool:
        """Whether nothing would have to be drawn anew."""

    def picture(self, size: tuple[int, int]) -> Any:
        """Pillow's image, the largest that fits into `size` pixels."""

    def labels(self) -> list[Label]:
        """What is written on it in whole letters."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is to be seen of a scan."""

    scan: Scan
    part: Box | None = None
    boxes: bool = True
    heat: bool = False
    mask: bool = False
    current: int = 0
    """The lesion whose number stands out."""

    def same(self, other: object) -> bool:
        """Pixels cannot be compared by a plain ==."""
        return (
            isinstance(other, View)
            and self.scan is other.scan
            and (self.part, self.boxes, self.heat, self.mask, self.current)
            == (other.part, other.boxes, other.heat, other.mask, other.current)
        )

    def picture(self, size: tuple[int, int]) -> Any:
        return view(self.scan, size, part=self.part, boxes=self.boxes, heat=self.heat, mask=self.mask)

    def labels(self) -> list[Label]:
        found = []
        for lesion in self.scan.lesions if self.boxes else ():
            current = lesion.number == self.current
            if spot := place(self.scan, lesion, self.part):
                found.append(Label(*spot, f"▸{lesion.number} " if current else f" {lesion.number} ", current))
        return found


class Picture(Widget):
    """Draws in a thread: a large picture in half cells takes longer than a key press may wait."""

    DEFAULT_CSS = """
    Picture { width: 1fr; height: 1fr; align: center middle; }
    Picture > * { width: auto; height: auto; }
    """

    renderer: ClassVar[Renderer] = "cells"
    """The same for all: it is the terminal's."""

    @dataclass
    class Drawn(Message):
        """A thread has finished; `what` and `room` tell whether anybody still wants it."""

        picture: Picture
        what: Drawable
        room: tuple[int, int]
        lines: list[Strip]
        pixels: object = None

        @property
        def control(self) -> Picture:
            return self.picture

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view: Drawable | None = None
        self._lines: list[Strip] = []
        self._asked: tuple[Drawable, tuple[int, int]] | None = None

    @property
    def view(self) -> Drawable | None:
        return self._view

    def show(self, view: Drawable | None) -> None:
        if view is None or not view.same(self._view):
            self._view = view
            self._draw()

    def compose(self) -> ComposeResult:
        if self.renderer in ("sixel", "kitty"):
            from textual_image.widget import SixelImage, TGPImage

            yield SixelImage() if self.renderer == "sixel" else TGPImage()

    def on_resize(self) -> None:
        self._draw()

    def render_line(self, y: int) -> Strip:
        """Centred; blank until the thread has drawn."""
        style = self.rich_style
        above = max(0, (self.size.height - len(self._lines)) // 2)
        if not 0 <= y - above < len(self._lines):
            return Strip.blank(self.size.width, style)
        line = self._lines[y - above]
        left = max(0, (self.size.width - line.cell_length) // 2)
        return Strip.join([Strip.blank(left, style), line]).adjust_cell_length(self.size.width, style)

    def _draw(self) -> None:
        room = (self.size.width, self.size.height)
        if self._view is None or min(room) < LEAST:
            self._asked, self._lines = None, []
            self.refresh()
            return
        wanted = (self._view, room)
        if self._asked is None or self._asked[0] is not wanted[0] or self._asked[1] != room:
            self._asked = wanted
            self.run_worker(lambda: self._drawing(*wanted), thread=True, group="draw", exclusive=True)

    def _drawing(self, what: Drawable, room: tuple[int, int]) -> None:
        """In the thread."""
        if self.renderer in ("sixel", "kitty"):
            pixels = what.picture((room[0] * CELL[0], room[1] * CELL[1]))
            self.post_message(self.Drawn(self, what, room, [], pixels))
        else:
            self.post_message(self.Drawn(self, what, room, lines(what, room, self.renderer == "letters")))

    def on_picture_drawn(self, message: Drawn) -> None:
        message.stop()
        if self._asked is None or self._asked[0] is not message.what or self._asked[1] != message.room:
            return
        self._lines = message.lines
        if message.pixels is not None:
            for child in self.children:
                child.image = message.pixels  # type: ignore[attr-defined]
        self.refresh()


def lines(what: Drawable, room: tuple[int, int], letters: bool = False) -> list[Strip]:
    """The picture as lines of cells, with its labels on it."""
    # Imported here: the package asks the terminal what it can do, which is over once the application runs.
    from PIL import ImageOps
    from textual_image.renderable.halfcell import Image as HalfCells
    from textual_image.renderable.unicode import Image as Letters

    # A cell is as high as two pixels of half cells.
    picture = what.picture((room[0], room[1] * 2))
    if letters:  # skin is of a few middle greys
        picture = ImageOps.autocontrast(picture.convert("L"), cutoff=1)
    columns, rows = picture.width, max(1, picture.height // 2)
    console = Console(file=io.StringIO(), width=columns, color_system="truecolor", force_terminal=True)
    drawing = (Letters if letters else HalfCells)(picture, columns, rows)
    rendered = console.render(drawing, console.options.update(width=columns, height=rows))
    # Without colours, the toolkit stumbles over a segment that has no style at all.
    segments = (Segment(text, style or Style.null(), control) for text, style, control in rendered)
    drawn = [Strip(line, columns) for line in Segment.split_and_crop_lines(segments, columns, include_new_lines=False)]
    return _labelled(drawn[:rows], what.labels(), columns)


def _labelled(drawn: list[Strip], labels: list[Label], columns: int) -> list[Strip]:
    for label in labels:
        x = min(max(int(label.x * columns), 0), max(0, columns - len(label.text)))
        y = min(max(int(label.y * len(drawn)), 0), len(drawn) - 1)
        style = Style(color="white", bgcolor="black", bold=True, reverse=label.stands_out)
        line = drawn[y]
        drawn[y] = Strip.join(
            [line.crop(0, x), Strip([Segment(label.text, style)], len(label.text)),
             line.crop(x + len(label.text), columns)]
        )
    return drawn
