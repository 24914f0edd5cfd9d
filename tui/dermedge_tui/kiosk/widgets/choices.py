"""What can be touched on a page: one row of large buttons, or more where their words would not fit."""

from __future__ import annotations

import math

from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.widgets import Button

NARROWEST = 13
"""Columns of a button in which a word of any language fits."""


class Target(Button):
    """A button of five lines at least; its words wrap."""

    DEFAULT_CSS = """
    Target, Target.-style-default { width: 1fr; min-width: 5; height: 5; min-height: 5; }
    /* Which one a key would press: a box around the words would look like another button. */
    Target:focus, Target.-style-default:focus { text-style: bold underline; }
    /* A console's frames would take two columns from the words. */
    Target:ansi.-style-default {
        border: none;
        background: ansi_bright_black;
        color: ansi_bright_white;
        &:hover { border: none; }
        &.-active { border: none; }
        &:disabled { border: none !important; background: ansi_default !important; }
        &.-primary { border: none; background: ansi_white; color: ansi_black; text-style: none; }
        &.-primary:focus { text-style: underline; }
        &.-primary.-active { color: ansi_bright_white; }
    }
    """


class Choices(Grid):
    """At the lower edge of every page."""

    DEFAULT_CSS = """
    Choices { dock: bottom; height: auto; grid-gutter: 0 1; grid-rows: 5; padding: 0 1; background: $background; }
    .-tall Choices { grid-rows: 7; }
    .-tall Choices Target { height: 7; }
    """

    def __init__(self, choices: list[tuple[str, str]], primary: str = "") -> None:
        super().__init__()
        self._choices = choices
        self._primary = primary

    def compose(self) -> ComposeResult:
        for id, words in self._choices:
            yield Target(Content(words), id=id, variant="primary" if id == self._primary else "default")

    def on_mount(self) -> None:
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()

    def show(self, id: str, shown: bool) -> None:
        """Some choices depend on what there is."""
        for button in self.query(f"#{id}"):
            button.display = shown
        self._arrange()

    def _arrange(self) -> None:
        count = sum(bool(child.display) for child in self.children)
        rows = max(1, math.ceil(count * NARROWEST / max(1, self.app.size.width - 2)))
        self.styles.grid_size_columns = max(1, math.ceil(count / rows))
        self.styles.grid_size_rows = rows
