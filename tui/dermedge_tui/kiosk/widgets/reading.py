"""Text that scrolls by touch: beside it stand two arrows as soon as there is more than fits."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from .choices import Target


class Reading(Horizontal):
    """The arrows make the text narrower, which never makes it shorter: they cannot come and go in turns."""

    DEFAULT_CSS = """
    Reading { height: 1fr; }
    Reading > VerticalScroll { width: 1fr; height: 1fr; padding: 0 1; scrollbar-size-vertical: 0; }
    Reading > VerticalScroll > * { height: auto; }
    Reading > .arrows { width: 9; height: 1fr; display: none; align: center bottom; }
    Reading.-long > .arrows { display: block; }
    Reading > .arrows Target { width: 9; }
    """

    def __init__(self, *parts: Widget, text: VerticalScroll | None = None, id: str | None = None) -> None:
        """The parts one below the other, or a text that already scrolls."""
        super().__init__(id=id)
        self.text = text or VerticalScroll(*parts)
        self.text.can_focus = False

    def compose(self) -> ComposeResult:
        yield self.text
        with Vertical(classes="arrows"):
            yield Target("▲", id="up")
            yield Target("▼", id="down")

    def on_mount(self) -> None:
        self.watch(self.text, "virtual_size", self._measure)
        self.watch(self.text, "scroll_y", self._measure)

    def on_resize(self) -> None:
        self.call_after_refresh(self._measure)

    def _measure(self) -> None:
        most = self.text.max_scroll_y
        self.set_class(most > 0, "-long")
        self.query_one("#up").disabled = self.text.scroll_y <= 0
        self.query_one("#down").disabled = self.text.scroll_y >= most

    def on_button_pressed(self, message: Button.Pressed) -> None:
        message.stop()
        step = max(1, self.text.size.height - 2)
        self.text.scroll_relative(y=-step if message.button.id == "up" else step, animate=False)
