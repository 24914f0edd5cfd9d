"""What is pasted, dropped or listed, and the photographs it means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dermedge import UsageError
from dermedge_tui.paths import MOST_TEXT, listing, paths_in, photographs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/a/b.jpg", ["/a/b.jpg"]),
        ("  /a/b.jpg \n", ["/a/b.jpg"]),
        ("'/a/b c.jpg' \"/d'e.png\"", ["/a/b c.jpg", "/d'e.png"]),
        (r"/a/b\ c.jpg /d.png", ["/a/b c.jpg", "/d.png"]),
        ("file:///a/b%20c.jpg", ["/a/b c.jpg"]),
        ("file://localhost/a/b.jpg\nfile:///c.jpg", ["/a/b.jpg", "/c.jpg"]),
        ("/a/it's.jpg", ["/a/it's.jpg"]),
        ("/a/ä ö.jpg", ["/a/ä", "ö.jpg"]),
        ("", []),
        ("\n \r\n", []),
    ],
)
def test_paths_are_found_as_terminals_write_them(text: str, found: list[str]) -> None:
    assert paths_in(text) == found


def test_a_name_with_spaces_and_quotes_is_taken_whole_where_it_exists(tmp_path: Path) -> None:
    photo = tmp_path / "my 'best' photo.jpg"
    photo.touch()
    assert paths_in(str(photo)) == [str(photo)]


def test_home_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert paths_in("~/a.jpg") == ["/home/someone/a.jpg"]


def test_hostile_text_is_no_crash() -> None:
    for text in ("nul\0byte", "\x1b[31mred", "file://[bad", "~nobody-such/x", "'", '"', "\\", "\ud800"):
        assert isinstance(paths_in(text), list)
    with pytest.raises(UsageError, match="paste the paths"):
        paths_in("x" * (MOST_TEXT + 1))


def test_a_listing_begins_with_the_newest_photograph(tmp_path: Path) -> None:
    for age, name in enumerate(("new.JPG", "older.png", "oldest.heic")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    for name in ("notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    for name in ("b", "A", ".git"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone.jpg")
    assert [f.name for f in listing(str(tmp_path))] == ["new.JPG", "older.png", "oldest.heic", "A", "b"]


def test_a_folder_stands_for_its_photographs(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path), str(tmp_path / "empty"), "gone.jpg"]
    assert photographs(given) == [str(tmp_path / "a.jpg"), str(tmp_path / "empty"), "gone.jpg"]
