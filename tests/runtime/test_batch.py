from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from dermedge.batch import MANY, Progress, ascii_name, run, source, walk
from dermedge.errors import PhotoDamaged, PhotoError, PhotoUnreadable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def silent() -> Progress:
    return Progress(io.StringIO(), 1)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_a_folder_is_walked_in_order_through_its_folders(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "sub/c.webp", "sub/deep/d.TIFF", "z.heic", "e.bmp")
    found = [Path(str(one)).relative_to(tmp_path).as_posix() for one in walk([str(tmp_path)])]
    assert found == ["a.png", "b.JPG", "e.bmp", "z.heic", "sub/c.webp", "sub/deep/d.TIFF"]


def test_hidden_files_other_suffixes_and_our_own_overlays_are_passed_by(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", ".hidden.jpg", ".git/b.jpg", "notes.txt", "a.overlay.png", "A.OVERLAY.PNG", "jpg")
    assert [Path(str(one)).name for one in walk([str(tmp_path)])] == ["a.jpg"]


def test_a_file_that_is_named_is_tried_whatever_it_is_called(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt", ".hidden.jpg")
    named = [str(tmp_path / "notes.txt"), str(tmp_path / ".hidden.jpg"), str(tmp_path / "missing.jpg"), "-"]
    assert list(walk(named)) == named


def test_a_folder_without_photographs_is_an_error_in_its_place(tmp_path: Path) -> None:
    touch(tmp_path, "empty/notes.txt", "full/a.jpg")
    first, second = walk([str(tmp_path / "empty"), str(tmp_path / "full")])
    assert isinstance(first, PhotoUnreadable) and str(tmp_path / "empty") in str(first)
    assert second == str(tmp_path / "full/a.jpg")


def test_a_loop_of_links_is_not_walked_for_ever(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.jpg")
    (tmp_path / "sub/loop").symlink_to(tmp_path)
    assert len(list(walk([str(tmp_path)]))) == 1


def test_a_closed_folder_is_named(tmp_path: Path) -> None:
    # In a child that gives up root where there is root to give up: root may read everything.
    touch(tmp_path, "closed/a.jpg", "b.jpg")
    (tmp_path / "closed").chmod(0)
    code = (
        "import os, sys\n"
        "from dermedge.batch import walk\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for found in walk(['.']):\n"
        "    print(type(found).__name__, found)\n"
    )
    tmp_path.chmod(0o755)
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    (tmp_path / "closed").chmod(0o700)
    photograph, error = child.stdout.splitlines()
    assert photograph.endswith("b.jpg")
    assert error.startswith("PhotoUnreadable") and "closed" in error


def test_one_bad_photograph_is_reported_in_its_place_and_does_not_stop_the_next() -> None:
    def answer(photograph: str) -> str:
        if photograph == "bad":
            raise PhotoDamaged("bad is damaged")
        return photograph.upper()

    folder_error = PhotoUnreadable("nothing in there")
    outcomes = list(run(["a", "bad", folder_error, "b"], answer, silent()))
    assert [outcome.answer for outcome in outcomes] == ["A", None, None, "B"]
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == [
        "bad is damaged",
        "nothing in there",
    ]


def test_a_bug_is_not_mistaken_for_a_bad_photograph() -> None:
    def answer(photograph: str) -> str:
        raise ZeroDivisionError(photograph)

    with pytest.raises(ZeroDivisionError):
        list(run(["a"], answer, silent()))


def test_no_more_of_stdin_is_read_than_shows_that_it_is_too_large() -> None:
    stdin = io.BytesIO(bytes(100))
    assert source("-", stdin, 10) == bytes(11)
    assert source("a.jpg", stdin, 10) == Path("a.jpg")


@pytest.mark.parametrize(
    ("stream", "total"),
    [(io.StringIO(), 100), (Terminal(), MANY - 1)],
    ids=["no terminal", "few photographs"],
)
def test_there_is_no_bar(stream: io.StringIO, total: int) -> None:
    progress = Progress(stream, total)
    progress.show(1, "a.jpg")
    progress.clear()
    assert stream.getvalue() == ""


def test_a_bar_counts_and_leaves_a_clean_line() -> None:
    stream = Terminal()
    photographs: list[str | PhotoError] = [f"{number}.jpg" for number in range(MANY)]
    seen = [stream.getvalue()[-4:] for _ in run(photographs, str.upper, Progress(stream, MANY))]
    assert f"2/{MANY} 2.jpg" in stream.getvalue()
    assert seen == ["\r\x1b[K"] * MANY


def test_a_name_cannot_steer_the_terminal_through_the_bar() -> None:
    stream = Terminal()
    Progress(stream, MANY, width=40).show(0, "a\x1b]0;owned\x07\n" + "w\u00efde\u6f22" * 30)
    line = stream.getvalue().removeprefix("\r").removesuffix("\x1b[K")
    assert line.isprintable() and line.isascii() and len(line) < 40
    assert ascii_name("\u6f22\u202e") == "?\\u202e"
