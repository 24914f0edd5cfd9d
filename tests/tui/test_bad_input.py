"""What a stranger, an old terminal or a full folder does to it, tried on the real process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dermedge import DermedgeError, PackError, PhotoError, ProviderError
from dermedge_tui import language, phrases, preferences
from dermedge_tui.charset import in_console
from dermedge_tui.language import LANGUAGES
from dermedge_tui.paths import TooMuchText
from dermedge_tui.preferences import NOTICE, Preferences
from dermedge_tui.scanning import Bug, OutOfMemory
from terminal import APPLICATION, Terminal

pytestmark = pytest.mark.alone

SAMPLES = Path(__file__).parents[2] / "artifacts" / "samples"
MELANOMA = "melanoma-PAT_902_1718_852.jpg"
COLOUR = re.compile(rb"\x1b\[[0-9;]*?\b(?:[349][0-7]|10[0-7]|[34]8;[25])\b[0-9;]*m")
MANY_COLOURS = re.compile(rb"\x1b\[[0-9;]*?\b[34]8;[25]")


@pytest.fixture(autouse=True)
def agreed() -> None:
    preferences.save(Preferences(agreed=NOTICE), preferences.location())


def start(*arguments: str, folder: Path = SAMPLES, size: tuple[int, int] = (80, 24), **environment: str) -> Terminal:
    return Terminal([*APPLICATION, *arguments], folder=folder, size=size, environment=environment)


def answer(terminal: Terminal, drawn: str) -> None:
    """To the finding, the picture beside it and back."""
    terminal.wait_for(MELANOMA, "Quit")
    terminal.press("enter")
    terminal.wait_for("What to do", "What it could be", drawn)
    terminal.press("escape")
    terminal.wait_for("1 photograph in this session")


def test_without_colours_everything_is_there_and_the_choice_is_underlined() -> None:
    with start(NO_COLOR="1") as terminal:
        terminal.wait_for(MELANOMA, "Quit")
        before = terminal.marked()
        terminal.press("down")
        terminal.wait_until(lambda: terminal.marked() not in ("", before))
        answer(terminal, drawn="▒▒▒")
        assert not COLOUR.search(terminal.written)


def test_a_terminal_of_old_gets_no_colour_at_all() -> None:
    with start(TERM="dumb") as terminal:
        answer(terminal, drawn="▒▒▒")
        assert not COLOUR.search(terminal.written)
        assert terminal.marked().strip().endswith(".jpg")


def test_linux_own_console_gets_its_colours_and_its_signs() -> None:
    with start(TERM="linux") as terminal:
        answer(terminal, drawn="▀▀▀▀")
        assert COLOUR.search(terminal.written) and not MANY_COLOURS.search(terminal.written)
        assert {c for c in terminal.written.decode() if not in_console(c)} == set()


def test_a_locale_without_utf_8_is_written_in_plain_letters() -> None:
    with start("--language", "de", LC_ALL="POSIX") as terminal:
        terminal.wait_for(MELANOMA, "Beenden")
        terminal.press("enter")
        terminal.wait_for("Was zu tun ist", "Was es sein konnte")
        assert terminal.written.isascii(), set(terminal.written.decode())
        terminal.press("escape")
        terminal.wait_for(MELANOMA)


def test_twenty_by_five_cells_show_the_answer() -> None:
    with start(str(SAMPLES / MELANOMA), size=(20, 5)) as terminal:
        terminal.wait_for("URGENT", timeout=60)
        # Each page seen before the next key: one that follows an escape not yet read is a key pressed with Alt.
        for key, page in (("?", "The bar on top"), ("escape", "URGENT"), ("t", "Open"), ("escape", "URGENT")):
            terminal.press(key)
            terminal.wait_for(page)
        terminal.press("escape")
        terminal.resize(80, 24)
        terminal.wait_for("1 photograph in this session")


def test_bytes_that_are_no_text_end_nothing() -> None:
    with start() as terminal:
        terminal.wait_for(MELANOMA, "Quit")
        terminal.send_bytes(b"\xff\xfe\x80 \xc3\x28 \x1b[999;999;999z \x1b]0;title\x07 \x1b[200~caf\xe9.jpg\x1b[201~")
        terminal.wait_for("This file cannot")
        terminal.press("?")
        terminal.wait_for("Choose a photograph in the list")


def test_ten_megabytes_pasted_are_refused_and_the_next_key_counts() -> None:
    with start() as terminal:
        terminal.wait_for(MELANOMA, "Quit")
        terminal.paste("/tmp/photo.jpg " * 700_000)
        terminal.wait_for("That is too much text", timeout=120)
        terminal.press("?")
        terminal.wait_for("Choose a photograph in the list")


def test_a_folder_of_five_thousand_answers_while_it_is_scanned(tmp_path: Path) -> None:
    """Hard links to one photograph: every one of them is scanned as it would be."""
    photo = tmp_path / "0000.jpg"
    photo.write_bytes((SAMPLES / MELANOMA).read_bytes())
    for number in range(1, 5000):
        os.link(photo, tmp_path / f"{number:04}.jpg")
    with start(folder=tmp_path) as terminal:
        terminal.wait_for("0000.jpg", "Quit")
        terminal.press("a")
        terminal.wait_for("4800")
        terminal.wait_for("URGENT")
        terminal.press("?")
        terminal.wait_for("The bar on top is the answer")
        terminal.press("escape")
        terminal.wait_for("What to do")
        terminal.press("escape")
        terminal.wait_for("of 200")
        terminal.press("c")
        terminal.wait_for("not scanned")


def test_a_pack_that_is_not_there_is_said_in_the_persons_language(tmp_path: Path) -> None:
    with start("--language", "es", "--pack", str(tmp_path / "none"), size=(200, 40)) as terminal:
        terminal.wait_for(MELANOMA)
        terminal.press("enter")
        terminal.wait_for("dermedge pack install")
        assert "no pack at" not in terminal.words() and "Errno" not in terminal.words()


def leaves(kind: type[DermedgeError]) -> Iterator[type[DermedgeError]]:
    below = kind.__subclasses__()
    yield kind
    for each in below:
        yield from leaves(each)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_error_is_a_sentence_of_the_persons_language(code: str) -> None:
    language.choose(code)
    kinds = {kind for base in (PhotoError, PackError, ProviderError) for kind in leaves(base)}
    kinds |= {OutOfMemory, TooMuchText, Bug}
    said = {kind: phrases.error(kind("the runtime's own line")) for kind in kinds if "dermedge" in kind.__module__}
    assert len(said) > 20
    for kind, text in said.items():
        assert ("the runtime's own line" in text) == (kind is Bug), kind
        if code != "en":
            language.choose("en")
            assert text != phrases.error(kind("the runtime's own line")), kind
            language.choose(code)
    for error in (FileNotFoundError(2, "none"), PermissionError(13, "denied"), OSError(99, "odd"), ValueError("odd")):
        assert code == "en" or phrases.refusal(error) not in ("it is not there", "no permission", "odd")
    assert phrases.error(DermedgeError("as it is")) == "as it is"
