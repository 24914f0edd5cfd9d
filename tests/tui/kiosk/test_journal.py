"""What went wrong: kept short, and without a word of what anybody showed or said."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from dermedge_tui.kiosk.journal import MOST, Journal, place

NOON = datetime(2026, 3, 1, 12, 0)


def test_lines_have_a_time_and_the_last_are_shown(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "kiosk.log", lambda: NOON)
    for number in range(5):
        journal.note(f"fault {number}")
    assert journal.last(2) == ["2026-03-01 12:00 fault 3", "2026-03-01 12:00 fault 4"]


def test_it_never_grows_beyond_two_halves(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "kiosk.log", lambda: NOON)
    for _ in range(400):
        journal.note("x" * 1000)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"kiosk.log", "kiosk.log.1"} and all(size < MOST + 2000 for size in sizes.values())


def test_an_error_is_named_by_class_and_line_and_never_quoted() -> None:
    try:
        raise ValueError("/media/stick/my mole.jpg")
    except ValueError as error:
        said = place(error)
    assert said.startswith("ValueError at test_journal.py:") and "mole" not in said


def test_where_nothing_can_be_written_nothing_fails() -> None:
    journal = Journal(Path("/proc/nowhere/kiosk.log"))
    journal.note("fault")
    assert journal.last(5) == []
