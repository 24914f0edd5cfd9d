"""The keys of this page on its last lines, to read and to touch."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from ..language import _

NO_BREAK = "\N{NO-BREAK SPACE}"


class KeyBar(Static):
    """Wraps to as many lines as the words of a language need."""

    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: auto;
        max-height: 3;
        background: $panel;
        link-background: $panel;
        link-color: $foreground;
        link-style: none;
        link-style-hover: bold;
    }
    .-flat KeyBar { display: none; }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._show)
        self._show(self.screen)

    def _show(self, screen: Screen[object]) -> None:
        if not self.is_attached:
            return
        shown: dict[str, Binding] = {}
        for active in screen.active_bindings.values():
            if active.binding.show and active.enabled:
                shown.setdefault(active.binding.action, active.binding)
        keys = [
            Content.from_markup(
                f"[@click=app.press('{binding.key}')][bold $accent]$key[/]{NO_BREAK}$what[/]",
                key=self.app.get_key_display(binding),
                what=_(binding.description).replace(" ", NO_BREAK),
            )
            for binding in shown.values()
        ]
        self.update(Content("  ").join(keys))
