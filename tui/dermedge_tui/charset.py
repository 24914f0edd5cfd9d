"""Terminals that do not speak UTF-8, and consoles whose font has few characters: each gets only what it can show."""

from __future__ import annotations

import codecs
import locale
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, partial

from rich.segment import Segment
from textual.color import Color
from textual.drivers import linux_driver
from textual.filter import LineFilter, Monochrome, NoColor

UTF8 = "utf-8"

SUBSTITUTES: dict[str, str] = {
    # Frames and rules.
    "─": "-", "━": "─-", "│": "|", "┃": "│|", "╭": "┌+", "╮": "┐+", "╰": "└+", "╯": "┘+", "┌": "+", "┐": "+",
    "└": "+", "┘": "+", "┼": "+", "╸": "─-", "╺": "─-", "╴": "─-", "╶": "─-", "▔": "─-", "▁": "─_", "▊": "│|",
    "▌": "│|", "▎": "│|", "▏": "│|", "▐": "│|", "▕": "│|",
    # Pictures, bars and scrollbars.
    "█": "#", "▓": "%", "▒": "+", "░": ".", "▀": '"', "▄": ",", "▂": " ", "▃": " ", "▅": "▄ ", "▆": "▄ ", "▇": "█ ",
    # The levels' shapes.
    "■": "#", "▲": "^", "◆": "?", "●": "o", "□": "-",
    # Signs.
    "▸": ">", "▶": ">", "◀": "<", "▼": "v", "»": ">", "→": ">", "←": "<", "↑": "^", "↓": "v", "✓": "√+", "✗": "x",
    "•": "-", "·": ".", "…": ".", "\u2013": "-", "\u2014": "-", "\u00d7": "x", "°": "o",
    "ß": "s", "ł": "l", "Ł": "L", "¿": "?", "¡": "!", "“": '"', "”": '"', "„": '"', "\u2018": "'", "\u2019": "'",
}
"""What stands in for a character, the best first; always as wide as it."""


@cache
def encoding() -> str:
    """What the locale says that the terminal speaks.

    Python takes a locale that was never set for UTF-8, and so does everybody's terminal; `LC_ALL=C` is an order.
    """
    try:
        name = locale.nl_langinfo(locale.CODESET)
        return codecs.lookup(name).name
    except LookupError:
        return UTF8


def in_locale(character: str) -> bool:
    try:
        character.encode(encoding())
    except UnicodeEncodeError:
        return False
    return True


def in_console(character: str) -> bool:
    """In the fonts that come with Linux's console: Latin letters and the IBM PC's frames and blocks."""
    if character < "\u0180":
        return True
    try:
        character.encode("cp437")
    except UnicodeEncodeError:
        return False
    return True


class Repertoire(LineFilter):
    """Replaces what cannot be shown by the most similar character that can."""

    def __init__(self, shows: Callable[[str], bool]) -> None:
        super().__init__()
        self._shows = shows
        self._known: dict[str, str] = {}

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control or segment.text.isascii() else Segment(self.spelled(segment.text), segment.style)
            for segment in segments
        ]

    def spelled(self, text: str) -> str:
        return "".join(character if character.isascii() else self._shown(character) for character in text)

    def _shown(self, character: str) -> str:
        if character not in self._known:
            self._known[character] = next(filter(self._shows, self._candidates(character)), "?")
        return self._known[character]

    @staticmethod
    def _candidates(character: str) -> list[str]:
        letter = unicodedata.normalize("NFKD", character)[:1]
        return [character, *SUBSTITUTES.get(character, ""), letter]


_LOCALE = Repertoire(in_locale)
_CONSOLE = Repertoire(lambda character: in_console(character) and in_locale(character))


def filters(toolkits: Sequence[LineFilter], plain: bool) -> list[LineFilter]:
    """What lines are drawn through. Without colours, none: the toolkit's greys are black on black in a console."""
    return [*(NoColor() if isinstance(each, Monochrome) else each for each in toolkits), *repertoire(plain)]


def repertoire(plain: bool) -> Sequence[Repertoire]:
    """The filter that a screen is drawn through, where one is needed; `plain` is a console's."""
    if plain:
        return (_CONSOLE,)
    return () if encoding() == UTF8 else (_LOCALE,)


def shown(text: str, plain: bool) -> bool:
    """Whether a text arrives as it is."""
    return all(each.spelled(text) == text for each in repertoire(plain))


def listen() -> None:
    """Read keys in the terminal's encoding; what is wrong in it becomes a sign that stands for nothing.

    The toolkit reads UTF-8 and nothing else: one letter of a Latin-1 file name would end the application.
    """
    spoken = UTF8 if encoding() == "ascii" else encoding()
    forgiving = partial(codecs.getincrementaldecoder(spoken), errors="replace")
    linux_driver.getincrementaldecoder = lambda _encoding: forgiving  # type: ignore[assignment,attr-defined]


