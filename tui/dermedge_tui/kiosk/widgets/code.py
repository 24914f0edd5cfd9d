"""A QR code in half cells: black on white whatever the theme, with the quiet edge that readers need."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

QUIET = 4
"""Modules of white around it, as the standard asks."""
LEAST_QUIET = 2
"""What phones still read; above and below on a small screen."""

Modules = Sequence[Sequence[int]]


class Code(Widget):
    """A cell is one module wide and two high."""

    DEFAULT_CSS = "Code { width: auto; height: auto; }"

    def __init__(self, modules: Modules, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._modules = modules
        self._quiet = QUIET

    def fit(self, rows: int) -> bool:
        """Takes as much of the quiet edge as there is room for; whether there is enough."""
        self._quiet = min(QUIET, (2 * rows - len(self._modules)) // 2)
        self.refresh(layout=True)
        return self._quiet >= LEAST_QUIET

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return len(self._modules) + 2 * QUIET

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return (len(self._modules) + 2 * self._quiet + 1) // 2

    def render_line(self, y: int) -> Strip:
        upper, lower = self._line(2 * y), self._line(2 * y + 1)
        segments = [Segment(_CELLS[pair][0], _CELLS[pair][1]) for pair in zip(upper, lower, strict=True)]
        return Strip(segments, len(segments)).adjust_cell_length(self.size.width, _WHITE)

    def _line(self, number: int) -> list[int]:
        row = number - self._quiet
        size = len(self._modules)
        dark = [1 if module else 0 for module in self._modules[row]] if 0 <= row < size else [0] * size
        return [*[0] * QUIET, *dark, *[0] * QUIET]


_WHITE = Style(color="#000000", bgcolor="#ffffff")
_BLACK = Style(color="#ffffff", bgcolor="#000000")
# The half that is drawn is the colour in front; the other half and whole cells are the one behind, which always fills
# its cell, even in a font whose blocks leave a gap.
_CELLS: dict[tuple[int, int], tuple[str, Style]] = {
    (0, 0): (" ", _WHITE), (1, 1): (" ", _BLACK), (1, 0): ("▀", _WHITE), (0, 1): ("▄", _WHITE),
}
