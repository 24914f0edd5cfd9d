"""Four looks: dark, light, high contrast, and one for consoles with 16 colours and few letters."""

from __future__ import annotations

from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

# The level colours are those of the overlay pictures: colour-blind people tell them apart. Black reads on all of them.
_LEVELS = {
    "level-urgent": "#D55E00",
    "level-refer": "#E69F00",
    "level-unclear": "#56B4E9",
    "level-watch": "#00A87B",
    "level-no-lesion": "#AAAAAA",
    "level-text": "#000000",
}

DARK = Theme(
    name="dark",
    primary="#6CB6E8",
    secondary="#8FA6B8",
    accent="#F0C75E",
    foreground="#E6E9EC",
    background="#12161A",
    surface="#1B2127",
    panel="#262E36",
    error="#F08A5D",
    warning="#F0C75E",
    success="#4CC39A",
    dark=True,
    variables=_LEVELS,
)
LIGHT = Theme(
    name="light",
    primary="#0B5C8C",
    secondary="#4A5B68",
    accent="#8A5A00",
    foreground="#15191C",
    background="#F7F7F4",
    surface="#ECECE6",
    panel="#DDDDD5",
    error="#A63A00",
    warning="#8A5A00",
    success="#006B4C",
    dark=False,
    variables=_LEVELS,
)
CONTRAST = Theme(
    name="high-contrast",
    primary="#FFFF00",
    secondary="#FFFFFF",
    accent="#00FFFF",
    foreground="#FFFFFF",
    background="#000000",
    surface="#000000",
    panel="#000000",
    error="#FFB000",
    warning="#FFFF00",
    success="#00FF9C",
    dark=True,
    text_alpha=1.0,
    variables={
        "level-urgent": "#FF7A1A",
        "level-refer": "#FFC400",
        "level-unclear": "#7FD0FF",
        "level-watch": "#2BE5A8",
        "level-no-lesion": "#FFFFFF",
        "level-text": "#000000",
        "block-cursor-background": "#FFFF00",
        "block-cursor-foreground": "#000000",
    },
)
_ANSI = BUILTIN_THEMES["ansi-dark"]
CONSOLE = replace(
    _ANSI,
    name="console",
    variables={
        **_ANSI.variables,
        "level-urgent": "ansi_red",
        "level-refer": "ansi_yellow",
        "level-unclear": "ansi_cyan",
        "level-watch": "ansi_green",
        "level-no-lesion": "ansi_white",
        "level-text": "ansi_black",
    },
)

THEMES: dict[str, Theme] = {theme.name: theme for theme in (DARK, LIGHT, CONTRAST, CONSOLE)}


COLOURLESS = frozenset({"dumb", "vt100", "vt102", "vt220"})
"""Terminals of old, by what they call themselves."""


def of_terminal(term: str) -> str:
    """Linux's own console has 16 colours; terminals of old have none."""
    return "console" if term in COLOURLESS | {"linux", "ansi"} else "dark"
