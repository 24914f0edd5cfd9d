"""The level: in words, in colour and by shape."""

from __future__ import annotations

from textual.widgets import Static

from dermedge import LEVELS, Level

from ..levels import long, short


class Banner(Static):
    """Takes the colour of its level from the theme."""

    DEFAULT_CSS = """
    Banner { width: 1fr; height: auto; text-style: bold; padding: 0 1; color: $level-text; }
    /* A console shows bold black as grey. */
    Banner:ansi { text-style: none; }
    Banner.urgent:ansi { color: ansi_bright_white; }
    """ + " ".join(f"Banner.{level} {{ background: $level-{level}; }}" for level in LEVELS)

    def tell(self, level: Level, *, brief: bool = False) -> None:
        for each in LEVELS:
            self.set_class(each == level, each)
        plain = bool(getattr(self.app, "plain", False))
        self.update(short(level, plain) if brief else long(level, plain))
