"""A number to be set by keys, mouse or touch; the toolkit has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import MouseDown, MouseMove, MouseUp
from textual.message import Message
from textual.widget import Widget

from dermedge import Limit

from ..language import N_

COARSE = 10
"""Small steps in a large one."""


class Slider(Widget, can_focus=True):
    """One line: the name, the track, the value. The pack's own value is marked on the track."""

    DEFAULT_CSS = """
    Slider { height: 1; width: 1fr; text-wrap: nowrap; }
    Slider:focus { background: $panel; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,plus", "move(1)", N_("More"), key_display="→"),
        Binding("left,minus", "move(-1)", N_("Less"), key_display="←"),
        Binding("pageup,shift+right", f"move({COARSE})", N_("Much more"), show=False),
        Binding("pagedown,shift+left", f"move({-COARSE})", N_("Much less"), show=False),
        Binding("backspace,delete", "reset", N_("The pack's own"), key_display="⌫"),
    ]

    @dataclass
    class Moved(Message):
        """The person has set another value; None is the pack's own."""

        slider: Slider
        value: float | None

        @property
        def control(self) -> Slider:
            return self.slider

    def __init__(
        self, name: str, limit: Limit, *, columns: tuple[int, int], words: tuple[str, ...] = (), plain: bool = False,
        id: str | None = None,
    ) -> None:
        """`columns` are those of the name and the figure; `words` stand for the numbers from 0 on."""
        super().__init__(id=id)
        self._label = name
        self._limit = limit
        self._own = limit.low
        self._columns = columns
        self._words = words
        self._plain = plain
        self._dragged = False
        self.value: float | None = None

    @property
    def shown(self) -> float:
        """What is in force: the value set, or the pack's own."""
        return self._own if self.value is None else self.value

    def tell(self, own: float, value: float | None) -> None:
        """Another lesion's, or another profile's."""
        self._own, self.value = own, value
        self.refresh()

    @property
    def _track(self) -> int:
        return max(3, self.size.width - sum(self._columns) - 3)

    def render(self) -> RenderResult:
        low = self._limit.low
        room, span = self._track, self._limit.high - low
        at, own = (min(max(round((value - low) / span * (room - 1)), 0), room - 1) for value in (self.shown, self._own))
        full, empty, knob, mark = ("=", "-", "O", "|") if self._plain else ("━", "─", "●", "┼")
        track = [full if place < at else empty for place in range(room)]
        track[own] = mark
        track[at] = knob
        colour = "$accent" if self.value is not None else "$secondary"
        cursor = ("▸", ">")[self._plain] if self.has_focus else " "
        name, figure = self._columns
        return Content.assemble(
            f"{cursor}{self._label:<{name}} ", ("".join(track), colour), f" {self._figure():>{figure}}"
        )

    def _figure(self) -> str:
        if self._words:
            return self._words[round(self.shown)]
        return f"{self.shown:.3f}".rstrip("0").ljust(4, "0")

    def action_move(self, steps: int) -> None:
        self._set(self.shown + steps * self._limit.step)

    def action_reset(self) -> None:
        if self.value is not None:
            self.value = None
            self.refresh()
            self.post_message(self.Moved(self, None))

    def on_mouse_down(self, event: MouseDown) -> None:
        self._dragged = True
        self.capture_mouse()
        self._point(event.x)

    def on_mouse_move(self, event: MouseMove) -> None:
        if self._dragged:
            self._point(event.x)

    def on_mouse_up(self, event: MouseUp) -> None:
        self._dragged = False
        self.release_mouse()

    def _point(self, column: int) -> None:
        share = (column - self._columns[0] - 2) / (self._track - 1)
        self._set(self._limit.low + min(max(share, 0.0), 1.0) * (self._limit.high - self._limit.low))

    def _set(self, value: float) -> None:
        """To the nearest step; never beyond a limit."""
        low, high, step = self._limit.low, self._limit.high, self._limit.step
        value = round(min(max(low + round((value - low) / step) * step, low), high), 6)
        if value != self.value:
            self.value = value
            self.refresh()
            self.post_message(self.Moved(self, value))
