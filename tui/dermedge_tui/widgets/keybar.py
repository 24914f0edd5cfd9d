"""The keys of this page on its last lines, to read and to touch."""

from __future__ import annotations

from functools import cache

from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from ..language import _

GAP = "  "


class KeyBar(Static):
    """As many lines as the words of a language need, broken between keys only."""

    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: auto;
        background: $panel;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        link-background: $panel;
        link-color: $foreground;
        link-style: none;
        link-style-hover: bold;
    }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._show)
        self._show(self.screen)

    def on_resize(self) -> None:
        self._show(self.screen)

    def _show(self, screen: Screen[object]) -> None:
        if not self.is_attached:
            return
        shown: dict[str, Binding] = {}
        for active in screen.active_bindings.values():
            if active.binding.show and active.enabled:
                shown.setdefault(active.binding.action, active.binding)
        lines: list[Content] = []
        for binding in shown.values():
            key = label(binding.key, self.app.get_key_display(binding), _(binding.description))
            together = lines[-1] + Content(GAP) + key if lines else key
            if lines and together.cell_length <= self.app.size.width:
                lines[-1] = together
            else:
                lines.append(key)
        self.update(Content("\n").join(lines))


@cache
def label(key: str, shown: str, what: str) -> Content:
    """One key with its word; a touch on it is the key itself."""
    return Content.from_markup(f"[@click=app.press('{key}')][bold $accent]$key[/] $what[/]", key=shown, what=what)
