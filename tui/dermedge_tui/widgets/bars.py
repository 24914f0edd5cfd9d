"""The conditions with their probabilities, as bars."""

from __future__ import annotations

from textual.app import RenderResult
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from ..levels import percent

Row = tuple[str, float]


class Bars(Widget):
    """One line each where there is room beside the name, two on a narrow screen."""

    DEFAULT_CSS = "Bars { height: auto; width: 1fr; }"
    NARROW = 36

    def __init__(self, rows: list[Row], *, plain: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = rows
        self._plain = plain
        self._lines: LRUCache[int, Content] = LRUCache(4)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._drawn(width).plain.splitlines())

    def render(self) -> RenderResult:
        return self._drawn(self.size.width)

    def _drawn(self, width: int) -> Content:
        if width not in self._lines:
            self._lines[width] = Content("\n").join(self._line(name, p, width) for name, p in self._rows)
        return self._lines[width]

    def _line(self, name: str, probability: float, width: int) -> Content:
        full, empty = ("#", ".") if self._plain else ("█", "░")
        widest = max(len(other) for other, _ in self._rows)
        beside = width >= self.NARROW and width - widest - 6 >= 8
        room = max(1, min(30, width - 5 - (widest + 1 if beside else 0)))
        filled = round(probability * room)
        figure = f"{percent(probability):>4}"
        bar = Content.assemble((full * filled, "$primary"), (empty * (room - filled), "$foreground 40%"), f" {figure}")
        if beside:
            return Content(f"{name:<{widest}} ") + bar
        return Content(f"{name}\n") + bar
