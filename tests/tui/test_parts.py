"""The parts: sessions, queues, preferences, pictures in cells, bars, themes, the command line, the sources."""

from __future__ import annotations

import ast
import asyncio
import gc
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from textual.app import App, ComposeResult

import dermedge_tui
import tiny_pack
from dermedge import LEVELS, Scan, Scanner, UsageError
from dermedge_tui import levels, preferences
from dermedge_tui.command import main
from dermedge_tui.preferences import Preferences
from dermedge_tui.session import Entry, Job, Queue, Session
from dermedge_tui.themes import THEMES, of_terminal
from dermedge_tui.widgets.bars import Bars
from dermedge_tui.widgets.picture import View, lines
from dermedge_tui.widgets.preview import Preview

SOURCES = Path(dermedge_tui.__file__).parent


@pytest.fixture(scope="module")
def scan(pack: Path) -> Iterator[Scan]:
    photo = tiny_pack.skin_with_spots(("melanoma", 120, 130, 50), ("melanocytic-nevus", 300, 150, 40), size=(400, 250))
    with Scanner.open(pack) as scanner:
        yield scanner.scan(photo)


def entry(number: int, day: int, scan: Scan) -> Entry:
    return Entry(number, f"{number}.jpg", scan, date(2026, 1, day), "camera", {})


def test_a_session_is_in_the_order_of_days(scan: Scan) -> None:
    session = Session()
    for number, day in ((1, 20), (2, 5), (3, 20), (4, 1)):
        session = session.with_entry(entry(number, day, scan))
    assert [e.number for e in session.entries] == [4, 2, 1, 3]
    moved = session.with_entry(replace(session.entries[0], taken=date(2026, 1, 30)))
    assert [e.number for e in moved.entries] == [2, 1, 3, 4]
    assert [e.number for e in moved.without(1).entries] == [2, 3, 4]
    before, after = moved.beside(1, -1), moved.beside(1, 1)
    assert before and before.number == 2 and after and after.number == 3
    assert moved.beside(2, -1) is None and moved.beside(99, 1) is None and moved.get(99) is None


def test_the_worst_lesion_is_the_one_that_the_answer_is_about(scan: Scan) -> None:
    one = entry(1, 1, scan)
    assert scan.lesions[one.worst].verdict.level == scan.verdict.level == "urgent"
    swapped = replace(scan, lesions=scan.lesions[::-1])
    assert swapped.lesions[entry(1, 1, swapped).worst].verdict.level == "urgent"


def test_a_queue_keeps_what_became_of_each() -> None:
    first, second, _ = jobs = [Job(1, "a"), Job(2, "b"), Job(3, "c")]
    queue = Queue().added(jobs)
    queue = queue.marked(first, "running").marked(first, "done").marked(second, "running").cancelled()
    assert [item.state for item in queue.items] == ["done", "running", "cancelled"]
    assert queue.busy and not queue.marked(second, "done").busy
    assert [queue.holds(job) for job in jobs] == [False, True, False]
    assert len(queue.added([Job(4, "d")]).items) == 4
    assert len(queue.marked(second, "done").added([Job(4, "d")]).items) == 1, "a new batch begins"
    assert queue.marked(first, "failed").items[0].state == "done", "what has ended stays as it ended"


def test_two_jobs_about_one_photograph_end_each_by_itself() -> None:
    flags, mask = Job(1, "a", flags=("bleeding",)), Job(1, "a", mask=True)
    queue = Queue().added([flags, mask]).marked(flags, "running").marked(flags, "done")
    assert not queue.holds(flags) and queue.holds(mask) and queue.busy


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"language": 5, "agreed": "yes"}', b"\xff\xfe", b"null"])
def test_damaged_preferences_are_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "tui.json"
    file.write_bytes(content)
    assert preferences.load(file) == Preferences() == preferences.load(tmp_path / "missing")


def test_preferences_are_kept_and_nothing_else(tmp_path: Path) -> None:
    kept = Preferences("pl", "light", 1)
    preferences.save(kept, tmp_path / "new" / "tui.json")
    assert preferences.load(tmp_path / "new" / "tui.json") == kept
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["tui.json"]


@pytest.mark.parametrize("room", [(40, 20), (4, 4), (200, 60), (7, 50)])
@pytest.mark.parametrize("letters", [False, True])
def test_a_picture_fits_its_room_and_every_line_is_as_long(scan: Scan, room: tuple[int, int], letters: bool) -> None:
    drawn = lines(View(scan), room, letters)
    assert 1 <= len(drawn) <= room[1]
    assert len({line.cell_length for line in drawn}) == 1 and drawn[0].cell_length <= room[0]


def test_lesions_are_numbered_on_the_picture_and_the_current_one_stands_out(scan: Scan) -> None:
    text = "\n".join(line.text for line in lines(View(scan, current=2), (60, 30)))
    assert " 1 " in text and "▸2 " in text
    bare = "\n".join(line.text for line in lines(View(scan, boxes=False), (60, 30)))
    assert set(bare) <= {"▀", "\n"}
    part = scan.lesions[0].saliency
    assert part
    zoomed = "\n".join(line.text for line in lines(View(scan, part.region, current=1), (60, 30)))
    assert "▸1 " in zoomed and "2" not in zoomed


def test_bars_say_their_share_in_figures_too() -> None:
    text = Bars([("Melanoma", 0.999), ("Nevus", 0.25), ("Other", 0.001)])._drawn(60).plain.splitlines()
    assert [line.split()[-1] for line in text] == [">99%", "25%", "<1%"]
    assert text[0].count("█") == 30 and 7 <= text[1].count("█") <= 8 and text[2].count("█") == 0
    narrow = Bars([("Squamous-cell carcinoma", 0.5)])._drawn(20).plain.splitlines()
    assert len(narrow) == 2 and all(len(line) <= 23 for line in narrow)


def test_levels_differ_by_shape_word_and_colour() -> None:
    for plain in (False, True):
        assert len({levels.short(level, plain).split()[0] for level in LEVELS}) == len(LEVELS)
    assert len({levels.MARKS[level].name for level in LEVELS}) == len(LEVELS)
    for theme in THEMES.values():
        assert len({theme.variables[f"level-{level}"] for level in LEVELS}) == len(LEVELS), theme.name


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", [name for name, theme in THEMES.items() if not theme.ansi])
def test_words_are_readable_on_every_colour(name: str) -> None:
    theme = THEMES[name]
    needed = 7 if name == "high-contrast" else 4.5
    pairs = [(theme.variables["level-text"], theme.variables[f"level-{level}"]) for level in LEVELS]
    pairs += [(str(colour), str(theme.background)) for colour in (theme.foreground, theme.accent, theme.secondary)]
    for front, back in pairs:
        light, dark = sorted((luminance(front), luminance(back)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= needed, (name, front, back)


def test_consoles_get_the_sixteen_colours() -> None:
    assert of_terminal("linux") == of_terminal("vt220") == "console"
    assert of_terminal("xterm-256color") == of_terminal("") == "dark"


@pytest.mark.parametrize("argv", [["--theme", "pink"], ["--unknown"], ["--language", "xx"], []])
def test_wrong_usage_and_no_terminal_are_said_in_one_line(argv: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        main(argv)
    assert "\n" not in str(error.value)


def in_a_terminal(arguments: list[str], keys: list[tuple[str, bytes]], **environment: str) -> str:
    """Start in a pseudo-terminal of 80 x 24; press each key once the text before it is on the screen."""
    child, descriptor = pty.fork()
    if child == 0:
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment})
        os.execv(sys.executable, [sys.executable, "-m", "dermedge_tui", *arguments])
    seen, waiting, end = b"", list(keys), time.time() + 120
    while time.time() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                seen += os.read(descriptor, 65536)
            except OSError:
                break
        if waiting and waiting[0][0].encode() in seen:
            os.write(descriptor, waiting.pop(0)[1])
    _, status = os.waitpid(child, 0)
    assert not waiting, seen[-2000:]
    assert os.waitstatus_to_exitcode(status) == 0
    return seen.decode(errors="replace")


@pytest.mark.parametrize("environment", [{"LC_ALL": "C", "LANG": "C"}, {"TERM": "linux", "NO_COLOR": "1"}])
def test_it_runs_in_a_real_terminal_of_any_kind(environment: dict[str, str], pack: Path, photos: Path) -> None:
    keys = [("I understand", b"\r"), ("URGENT", b"\x11")]
    seen = in_a_terminal([str(photos / "arm.png"), "--pack", str(pack), "--pictures", "cells"], keys, **environment)
    assert "Traceback" not in seen


def test_no_screen_imports_another_and_each_stands_beside_its_stylesheet() -> None:
    screens = {path.stem for path in (SOURCES / "screens").glob("*.py")} - {"__init__"}
    assert len(screens) >= 10
    for name in screens:
        path = SOURCES / "screens" / f"{name}.py"
        assert path.with_suffix(".tcss").is_file(), name
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.level == 1 or "screens" in (node.module or "")), f"{name} imports a screen"


def test_every_module_fits_in_one_reading() -> None:
    for path in SOURCES.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 280, path


def test_the_packages_start_needs_no_terminal() -> None:
    code = "import dermedge_tui.command, dermedge_tui.app"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_a_preview_that_is_taken_away_keeps_nobodys_picture(scan: Scan) -> None:
    """Textual may hold a removed widget for a while; the test holds it on purpose."""

    class Host(App[None]):
        def compose(self) -> ComposeResult:
            yield Preview()

    async def taken_away() -> None:
        app = Host()
        async with app.run_test(size=(40, 12)) as pilot:
            shown = app.query_one(Preview)
            shown.freeze(scan.photo)
            await pilot.pause()
            assert any(segment.text == "▀" for segment in shown.render_line(6))
            assert any(held is scan.photo for held in gc.get_referents(vars(shown)))
            await shown.remove()
            assert not any(held is scan.photo for held in gc.get_referents(vars(shown)))
            assert "▀" not in shown.render_line(6).text

    asyncio.run(taken_away())
