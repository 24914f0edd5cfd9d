"""What a terminal can show: its encoding's letters, its console's signs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from rich.segment import ControlType, Segment
from rich.style import Style
from textual.color import Color

from dermedge_tui import charset
from dermedge_tui.catalogues import collect, files, read
from dermedge_tui.charset import Repertoire, in_console

SOURCES = Path(charset.__file__).parent


def known_in(encoding: str) -> Repertoire:
    def shows(character: str) -> bool:
        return character.encode(encoding, "ignore") != b""

    return Repertoire(shows)


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("ascii", "╭─╮│▊▎╰┼╯", "+-+|||+++"),
        ("ascii", "■ ▲ ◆ ● □ ▸ ✓ ✗ ↑ …", "# ^ ? o - > + x ^ ."),
        ("ascii", "Größe, czerniak złośliwy, ¿Niño?", "Grose, czerniak zlosliwy, ?Nino?"),
        ("iso8859-1", "Größe ¿Niño? ─", "Größe ¿Niño? -"),
        ("iso8859-2", "złośliwy ñ", "złośliwy n"),
        ("cp437", "╭─╮ ▔▁▊ ✓", "┌─┐ ──│ √"),
        ("ascii", "名", "?"),
    ],
)
def test_what_cannot_be_shown_is_replaced_by_the_most_similar(encoding: str, text: str, shown: str) -> None:
    assert known_in(encoding).spelled(text) == shown
    assert len(shown) == len(text), "nothing moves on the screen"


def test_styles_and_controls_survive() -> None:
    style = Style(bold=True)
    control = Segment("", None, [(ControlType.BELL,)])
    segments = [Segment("─", style), control, Segment("plain", style)]
    applied = known_in("ascii").apply(segments, Color(0, 0, 0))
    assert applied == [Segment("-", style), control, Segment("plain", style)]


def written_by_people() -> set[str]:
    """Every character in a text of the interface, in any language."""
    texts = set("".join(collect()))
    for code in ("de", "es", "pl", "pt"):
        texts |= set("".join(form for forms in read(files(code)[0]).values() for form in forms))
    return texts


def test_every_letter_of_every_language_is_in_a_console_and_has_a_plain_form() -> None:
    plain = known_in("ascii")
    for character in written_by_people() - {"?", "¿"}:
        assert in_console(character), character
        assert plain.spelled(character) != "?", character


def test_every_sign_that_the_interface_draws_has_a_plain_form() -> None:
    drawn: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        if path.name not in ("charset.py", "language.py"):
            tree = ast.parse(path.read_bytes())
            drawn |= {c for node in ast.walk(tree) if isinstance(node, ast.Constant) for c in str(node.value)}
    odd = {c for c in drawn if not c.isascii() and known_in("ascii").spelled(c) == "?"}
    # Keys are named instead, and the shape of `unclear` is a question mark.
    assert odd <= {"◆", "⌫", "⏎"}


@pytest.mark.parametrize(
    ("environment", "encoding"),
    [({"LC_ALL": "C"}, "ascii"), ({"LC_ALL": "POSIX"}, "ascii"), ({"LC_ALL": "C.UTF-8"}, "utf-8"), ({}, "utf-8")],
)
def test_the_locale_says_what_the_terminal_speaks(environment: dict[str, str], encoding: str) -> None:
    code = "from dermedge_tui.charset import encoding; print(encoding())"
    child = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/bin"} | environment, cwd=SOURCES.parent, capture_output=True,
        text=True, timeout=60, check=True,
    )
    assert child.stdout.strip() == encoding
