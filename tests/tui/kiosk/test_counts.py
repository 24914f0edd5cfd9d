"""Totals per day, and nothing else."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

from dermedge_tui.kiosk.counts import KEPT, Counts

DAY = date(2026, 3, 1)


def test_what_happens_is_added_to_the_day(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    counts = Counts(file, lambda: DAY)
    counts.happened("sessions")
    counts.answered("refer")
    counts.answered("refer")
    counts.failed("camera")
    counts.wiped("idle")
    assert json.loads(file.read_text()) == {
        "2026-03-01": {"sessions": 1, "photographs": 2, "level refer": 2, "error camera": 1, "wipe idle": 1}
    }


def test_a_restart_goes_on_counting(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    for _ in range(3):
        Counts(file, lambda: DAY).happened("sessions")
    assert Counts(file, lambda: DAY).of(1)["sessions"] == 3


def test_spans_end_today(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    for ago in (0, 1, 6, 7, 40):
        Counts(file, lambda ago=ago: DAY - timedelta(days=ago)).happened("sessions")
    counts = Counts(file, lambda: DAY)
    assert [counts.of(days)["sessions"] for days in (1, 7, KEPT)] == [1, 3, 5]


def test_days_beyond_the_last_400_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    old = {(DAY - timedelta(days=ago)).isoformat(): {"sessions": 1} for ago in range(1, KEPT + 50)}
    file.write_text(json.dumps(old))
    Counts(file, lambda: DAY).happened("sessions")
    assert len(json.loads(file.read_text())) == KEPT


def test_a_damaged_file_stops_no_kiosk_and_is_said(tmp_path: Path) -> None:
    for content in ("{", '{"2026-03-01": 5}', '{"2026-03-01": {"sessions": "many"}}'):
        file = tmp_path / "counts.json"
        file.write_text(content)
        counts = Counts(file, lambda: DAY)
        assert "counting begins anew" in counts.problem
        counts.happened("sessions")
        assert counts.of(1)["sessions"] == 1 and not counts.problem


def test_a_full_disk_stops_no_kiosk_and_is_said(tmp_path: Path) -> None:
    counts = Counts(Path("/proc/nowhere/counts.json"), lambda: DAY)
    counts.happened("sessions")
    assert counts.of(1)["sessions"] == 1 and "cannot be written" in counts.problem
