"""Photographs from a stick, where the operator allows them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from dermedge_tui.kiosk import stick
from dermedge_tui.kiosk.station import Station
from kiosk_stage import KioskStage, play


def test_the_newest_come_first_from_all_folders_and_nothing_else(tmp_path: Path) -> None:
    inside = tmp_path / "user" / "STICK" / "DCIM" / "100CANON"
    inside.mkdir(parents=True)
    for age, name in enumerate(("new.JPG", "old.png", "letter.pdf", ".hidden.jpg")):
        file = inside / name
        file.touch()
        os.utime(file, (1e9 - age, 1e9 - age))
    assert [photo.name for photo in stick.photographs(str(tmp_path))] == ["new.JPG", "old.png"]


def test_links_lead_nowhere(tmp_path: Path) -> None:
    box, media = tmp_path / "box", tmp_path / "media"
    box.mkdir()
    media.mkdir()
    (box / "private.jpg").touch()
    (media / "file.jpg").symlink_to(box / "private.jpg")
    (media / "folder").symlink_to(box)
    assert stick.photographs(str(media)) == []
    assert stick.photographs(str(tmp_path / "gone")) == []


def test_a_stick_full_of_other_things_is_not_searched_for_ever(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("abcdefgh")
    deep.mkdir(parents=True)
    (deep / "photo.jpg").touch()
    assert stick.photographs(str(tmp_path)) == []


def test_without_the_operators_leave_there_is_the_camera_only(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        assert stage.page == "KioskCameraPage"

    play(script, at)


def test_a_stick_plugged_in_on_its_page_is_shown_and_its_photograph_judged(
    station_with: Callable[..., Station], photos: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()

    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        assert stage.page == "WaysPage"
        await stage.touch("#stick")
        assert "Plug your stick in" in stage.words()
        shutil.copytree(photos, media / "STICK")
        for number in range(9):
            file = media / "STICK" / f"old{number}.png"
            file.touch()
            os.utime(file, (1e9, 1e9))
        stage.app.screen._look()
        await stage.settle()
        assert "Touch your photograph" in stage.words() and str(media) not in stage.text()
        shown = [b for b in stage.app.screen.query("Button").results() if b.display]
        assert len(shown) == 9 and all(b.region.height >= 5 for b in shown[6:])
        assert all(b.region.height >= 5 for b in shown)
        await stage.touch("#older")
        assert "old8.png" not in stage.text() and "old3.png" in stage.text()
        await stage.touch("#newer")
        first = next(b for b in shown if "arm.png" in str(b.label))
        await stage.touch(f"#{first.id}")
        assert stage.page == "ResultPage" and "URGENT" in stage.text()

    play(script, station_with(stick=str(media)))
