"""What appears by itself: photographs in a watched folder, and sticks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dermedge import UsageError
from dermedge_tui import watching
from dermedge_tui.command import main
from dermedge_tui.paths import photographs_below
from dermedge_tui.session import MOST_PHOTOS
from dermedge_tui.watching import Sticks, Watched
from tui_stage import Stage, play

pytestmark = pytest.mark.alone


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what is mounted."""
    file = tmp_path / "mounts"

    def say(*places: Path | str) -> None:
        lines = ["/dev/sda1 / ext4 rw 0 0", "proc /proc proc rw 0 0"]
        lines += [f"/dev/sdb1 {str(place).replace(' ', chr(92) + '040')} vfat rw 0 0" for place in places]
        file.write_text("\n".join([*lines, ""]))

    say()
    monkeypatch.setattr(watching, "MOUNTS", file)
    monkeypatch.setattr(watching, "PLACES", (*watching.PLACES, f"{tmp_path}/media/"))
    return say


async def until(stage: Stage, happened: Callable[[], object], seconds: float = 30) -> None:
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < seconds, stage.text()
        await stage.pilot.pause(0.05)


def test_a_photograph_is_new_when_it_is_complete(tmp_path: Path) -> None:
    (tmp_path / "before.jpg").write_bytes(b"1")
    watched = Watched(str(tmp_path))
    assert watched.look() == [] == watched.look()
    new = tmp_path / "new.jpg"
    new.touch()
    assert [watched.look() for _ in range(3)] == [[]] * 3, "nothing is in it yet"
    for written in (b"1", b"12", b"123"):
        new.write_bytes(written)
        assert watched.look() == [], "it still grows"
    assert watched.look() == [str(new)]
    assert watched.look() == [], "once"
    (tmp_path / "text.txt").write_bytes(b"1")
    (tmp_path / ".hidden.jpg").write_bytes(b"1")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    assert [watched.look() for _ in range(2)] == [[]] * 2


def test_a_camera_that_writes_over_its_photograph_is_followed(tmp_path: Path) -> None:
    photo = tmp_path / "now.jpg"
    photo.write_bytes(b"1")
    watched = Watched(str(tmp_path))
    watched.look()
    photo.write_bytes(b"12")
    assert watched.look() == [] and watched.look() == [str(photo)]


def test_several_come_in_the_order_they_were_made(tmp_path: Path) -> None:
    watched = Watched(str(tmp_path))
    watched.look()
    for age, name in enumerate(("c.jpg", "a.jpg", "b.jpg")):
        (tmp_path / name).write_bytes(b"1")
        os.utime(tmp_path / name, (1e9 + age, 1e9 + age))
    watched.look()
    assert [Path(path).name for path in watched.look()] == ["c.jpg", "a.jpg", "b.jpg"]


def test_a_folder_that_goes_and_comes_back_brings_only_what_is_new(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / "old.jpg").write_bytes(b"1")
    watched = Watched(str(folder))
    watched.look()
    folder.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            watched.look()
    (tmp_path / "away" / "new.jpg").write_bytes(b"1")
    (tmp_path / "away").rename(folder)
    watched.look()
    assert watched.look() == [str(folder / "new.jpg")]


def test_a_stick_is_new_when_it_is_plugged_in(tmp_path: Path, mounts: Callable[..., None]) -> None:
    place = tmp_path / "media" / "MY STICK"
    mounts("/media/always there", "/home/me")
    sticks = Sticks()
    assert sticks.look() == ([], [])
    mounts("/media/always there", place, "/home/other", "/mediatek/x")
    assert sticks.look() == ([str(place)], [])
    assert sticks.look() == ([], [])
    mounts("/media/always there")
    assert sticks.look() == ([], [str(place)])


def test_where_nothing_tells_what_is_mounted_there_are_no_sticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOUNTS", Path("/nowhere"))
    sticks = Sticks()
    assert sticks.look() == ([], []) == sticks.look()


def test_a_mount_of_the_kernels_own_is_seen() -> None:
    """In a name space of its own, so that nothing of this machine changes."""
    code = (
        "import subprocess; from dermedge_tui.watching import Sticks; sticks = Sticks(); sticks.look(); "
        "run = lambda *a: subprocess.run(a, check=True); run('mount', '-t', 'tmpfs', 'none', '/mnt'); "
        "run('mkdir', '/mnt/A STICK'); run('mount', '-t', 'tmpfs', 'none', '/mnt/A STICK'); print(sticks.look()); "
        "run('umount', '/mnt/A STICK'); print(sticks.look())"
    )
    alone = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this machine grants no name space of one's own")
    child = subprocess.run([*alone, sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.splitlines() == ["(['/mnt/A STICK'], [])", "([], ['/mnt/A STICK'])"], child.stderr


def test_photographs_of_all_folders_are_found_the_newest_first(tmp_path: Path) -> None:
    names = ("DCIM/100CANON/b.JPG", "DCIM/101CANON/a.jpg", "c.png", "DCIM/notes.txt", ".trash/d.jpg")
    for age, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    found = photographs_below(str(tmp_path))
    assert [each.name for each in found] == ["DCIM/100CANON/b.JPG", "DCIM/101CANON/a.jpg", "c.png"]
    assert photographs_below(str(tmp_path / "gone")) == []


def test_what_appears_in_a_watched_folder_is_scanned_by_itself(
    pack: Path, photos: Path, tmp_path: Path, mounts: Callable[..., None]
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(photos / "skin.png", folder / "before.png")

    async def script(stage: Stage) -> None:
        assert "New photographs are scanned:" in stage.words()
        assert stage.app.session.entries == (), "what was there is not new"
        shutil.copy(photos / "mole.png", folder)
        await until(stage, lambda: stage.page == "ResultPage")
        await stage.settle()
        await stage.press("escape")
        folder.rename(tmp_path / "away")
        await until(stage, lambda: "Not there any more:" in stage.words())
        (tmp_path / "away").rename(folder)
        await until(stage, lambda: "New photographs are scanned:" in stage.words())
        shutil.copy(photos / "arm.png", folder)
        await until(stage, lambda: len(stage.app.session.entries) == 2)
        await stage.settle()

    play(script, pack, folder=photos, watch=str(folder))


def test_the_folder_on_the_screen_is_watched_by_a_key_and_no_longer_by_the_same(
    pack: Path, photos: Path, tmp_path: Path, mounts: Callable[..., None]
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()

    async def script(stage: Stage) -> None:
        await stage.press("w")
        assert "New photographs are scanned:" in stage.words()
        await stage.pilot.pause(1.5)
        shutil.copy(photos / "mole.png", folder)
        await until(stage, lambda: stage.app.session.entries)
        await stage.settle()
        await stage.press("escape")
        assert "mole.png" in stage.text(), "and it is in the list"
        await stage.press("w")
        assert "New photographs are scanned:" not in stage.words()

    play(script, pack, folder=folder)


def test_a_stick_is_offered_listed_and_survives_being_taken_out(
    pack: Path, photos: Path, tmp_path: Path, mounts: Callable[..., None]
) -> None:
    stick = tmp_path / "media" / "CAMERA"
    for name in ("arm.png", "mole.png"):
        (stick / "DCIM" / name[0]).mkdir(parents=True)
        shutil.copy2(photos / name, stick / "DCIM" / name[0])

    async def script(stage: Stage) -> None:
        await until(stage, lambda: stage.app.screen._sticks._known is not None)
        mounts(stick)
        await until(stage, lambda: "The stick CAMERA with 2 photographs is there: press u." in stage.words())
        assert "u Stick" in stage.text()
        await stage.press("f2", "down", "down", "enter")
        assert "CAMERA" in stage.words(), "another language changes nothing about it"
        await stage.press("f2", "up", "up", "enter", "u")
        assert "DCIM/a/arm.png" in stage.text() and "u Stick" not in stage.text()
        await stage.press("enter")
        assert stage.page == "ResultPage" and len(stage.app.session.entries) == 1
        await stage.press("escape")
        shutil.rmtree(stick)
        mounts()
        await until(stage, lambda: "DCIM" not in stage.text() and "arm.png" in stage.text())
        assert any("taken out" in notice.message for notice in stage.app._notifications)
        assert len(stage.app.session.entries) == 1

    play(script, pack, folder=photos)


def test_a_stick_without_photographs_is_passed_over(
    pack: Path, photos: Path, tmp_path: Path, mounts: Callable[..., None]
) -> None:
    stick = tmp_path / "media" / "EMPTY"
    stick.mkdir(parents=True)

    async def script(stage: Stage) -> None:
        await until(stage, lambda: stage.app.screen._sticks._known is not None)
        mounts(stick)
        await until(stage, lambda: str(stick) in stage.app.screen._sticks._known)
        await stage.settle()
        assert "EMPTY" not in stage.text()

    play(script, pack, folder=photos)


def test_five_thousand_photographs_at_once_fill_the_session_and_block_nothing(
    pack: Path, photos: Path, tmp_path: Path, mounts: Callable[..., None]
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    longest = [0.0]

    async def script(stage: Stage) -> None:
        await until(stage, lambda: stage.app.screen._watched._known is not None)
        for number in range(5000):
            (folder / f"{number:04}.jpg").write_bytes(b"no JPEG")
        before = time.thread_time()
        while not stage.app.queue.items:
            await stage.pilot.pause(0.005)
            now = time.thread_time()
            longest[0] = max(longest[0], now - before)
            before = now
        await stage.settle()
        assert len(stage.app.queue.items) == MOST_PHOTOS
        assert any("4800 were left out" in notice.message for notice in stage.app._notifications)

    play(script, pack, folder=photos, watch=str(folder), size=(120, 40))
    assert longest[0] < 0.1


def test_a_folder_that_is_not_there_cannot_be_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_DRIVER", "x:WebDriver")
    with pytest.raises(UsageError, match="/nowhere is no folder that could be watched"):
        main(["--watch", "/nowhere"])
