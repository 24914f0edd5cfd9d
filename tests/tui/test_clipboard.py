"""A picture in the clipboard, by real programs on the path in the desktop's place."""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

import tiny_pack
from dermedge_tui import clipboard
from dermedge_tui.clipboard import ClipboardUnusable
from tiny_camera import jpeg
from tui_stage import Stage, play

PROGRAM = """#!{python}
import pathlib, sys, time

here = pathlib.Path(__file__).parent
with open(here / "called", "a") as file:
    print(*sys.argv[1:], file=file)
asked = sys.argv[1:]
how = (here / "behaviour").read_text()
if how == "hangs":
    time.sleep(600)
if how == "empty":
    sys.exit("Nothing is copied")
if "--list-types" in asked or "TARGETS" in asked:
    print((here / "formats").read_text())
elif how == "endless":
    while True:
        sys.stdout.buffer.write(bytes(1 << 20))
else:
    sys.stdout.buffer.write((here / "picture").read_bytes())
"""


class Desktop:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.holds(b"", "text/plain")

    def install(self, name: str) -> None:
        program = self.folder / name
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)

    def holds(self, data: bytes, *formats: str, how: str = "works") -> None:
        (self.folder / "picture").write_bytes(data)
        (self.folder / "formats").write_text("\n".join(formats))
        (self.folder / "behaviour").write_text(how)

    @property
    def calls(self) -> list[str]:
        return (self.folder / "called").read_text().splitlines()


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desktop:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.delenv("DISPLAY", raising=False)
    return Desktop(folder)


def mole() -> Image.Image:
    return tiny_pack.skin_with_spots(("melanoma", 128, 128, 56))


@pytest.mark.parametrize(
    ("program", "display", "last"),
    [
        ("wl-paste", "WAYLAND_DISPLAY", "--no-newline --type image/jpeg"),
        ("xclip", "DISPLAY", "-selection clipboard -out -target image/jpeg"),
        ("pngpaste", "", "-"),
    ],
)
def test_each_desktops_program_gives_the_picture(
    program: str, display: str, last: str, desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY")
    if display:
        monkeypatch.setenv(display, ":0")
    desktop.install(program)
    desktop.holds(jpeg(mole()), "text/html", "image/png", "image/jpeg", "TIMESTAMP")
    shot = clipboard.picture()
    assert shot.data == jpeg(mole()) and shot.taken is None
    assert desktop.calls[-1] == last


@pytest.mark.parametrize(
    ("formats", "how", "told"),
    [
        (("text/plain", "UTF8_STRING"), "works", "There is no picture in the clipboard. Copy one"),
        ((), "works", "There is no picture in the clipboard. Copy one"),
        (("image/png",), "empty", "There is no picture in the clipboard. Copy one"),
        (("image/png",), "hangs", "The clipboard does not answer. Copy the picture once more."),
        (("image/png",), "endless", "more than 50 MB. Make it smaller."),
    ],
)
def test_each_trouble_is_said_and_ends(
    formats: tuple[str, ...], how: str, told: str, desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "ANSWERS_WITHIN", 0.5 if how == "hangs" else 30)
    desktop.install("wl-paste")
    desktop.holds(jpeg(mole()), *formats, how=how)
    begun = time.monotonic()
    with pytest.raises(ClipboardUnusable, match=told):
        clipboard.picture()
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("display", "told"),
    [("WAYLAND_DISPLAY", "apt install wl-clipboard"), ("DISPLAY", "apt install xclip"), ("", "runs on no desktop")],
)
def test_a_missing_program_is_named(
    display: str, told: str, desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY")
    if display:
        monkeypatch.setenv(display, ":0")
    with pytest.raises(ClipboardUnusable, match=told):
        clipboard.picture()


def test_a_copied_photograph_is_scanned_and_keeps_its_date(pack: Path, photos: Path, desktop: Desktop) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2023:05:06 07:08:09"
    desktop.install("wl-paste")
    desktop.holds(jpeg(mole(), exif=exif), "image/jpeg")

    async def script(stage: Stage) -> None:
        await stage.press("v")
        assert stage.page == "ResultPage" and "■ URGENT" in stage.text() and "Clipboard" in stage.text()
        (entry,) = stage.app.session.entries
        assert (entry.taken, entry.dated) == (date(2023, 5, 6), "camera")
        await stage.press("m")
        assert stage.app.session.entries[0].scan.lesions[0].mask is not None, "the picture is still there"

    play(script, pack, folder=photos)


def test_a_picture_without_a_date_stands_under_today(pack: Path, photos: Path, desktop: Desktop) -> None:
    desktop.install("wl-paste")
    desktop.holds(jpeg(mole()), "image/jpeg")

    async def script(stage: Stage) -> None:
        await stage.press("v")
        (entry,) = stage.app.session.entries
        assert (entry.taken, entry.dated) == (date.today(), "unknown")

    play(script, pack, folder=photos)


def test_nothing_to_paste_is_told_on_the_page(pack: Path, photos: Path, desktop: Desktop) -> None:
    desktop.install("wl-paste")

    async def script(stage: Stage) -> None:
        await stage.press("v")
        assert stage.page == "HomePage"
        assert any("no picture in the clipboard" in notice.message for notice in stage.app._notifications)
        desktop.holds(b"no JPEG at all", "image/jpeg")
        await stage.press("v")
        assert "Clipboard" in stage.said("#queue-items") and "no photograph" in stage.said("#queue-items")

    play(script, pack, folder=photos)
