"""Cameras for tests: a board's program as a real child process, and a USB camera that one child process sees."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dermedge.camera import v4l2

PROGRAM = """#!{python}
import os, pathlib, sys, time

here = pathlib.Path(__file__).parent
name = pathlib.Path(__file__).name
(here / "called").open("a").write(" ".join(sys.argv[1:]) + "\\n")


def behaviour():
    return (here / "behaviour").read_text()


if "--list-cameras" in sys.argv:
    if behaviour() == "deaf":
        time.sleep(600)
    print((here / "list").read_text())
    sys.exit()

(here / "pid").write_text(str(os.getpid()))
out = sys.stdout.buffer
at = 0
while True:
    pictures = [path.read_bytes() for path in sorted(here.glob("*.jpg"))]
    now = behaviour()
    if now == "dies":
        sys.exit("ERROR: *** the sensor does not answer ***")
    if now == "busy":
        sys.exit("ERROR: *** failed to acquire camera imx708 ***")
    if now == "gone":
        sys.exit("ERROR: *** no cameras available ***")
    if now == "hangs":
        time.sleep(0.05)
        continue
    if now == "rubbish":
        out.write(b"\\xff\\xd8\\xff\\xe0 this is no picture " * 500)
    elif now == "cut":
        out.write(pictures[at % len(pictures)][:400])
    else:
        out.write(pictures[at % len(pictures)])
    out.flush()
    at += 1
    if name.endswith("-still"):
        sys.exit()
    time.sleep(0.03)
"""

LIST = """Available cameras
-----------------
0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)
    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]
                             2304x1296 [56.03 fps - (0, 0)/4608x2592 crop]
1 : HD Webcam [1920x1080] (/base/scb/pcie@7d500000/pci@0,0/usb@0,0-1.3:1.0-046d:0825)
"""


class Board:
    """A board with such a camera; what its program does can change while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "list").write_text(LIST)
        self.behave("works")

    def install(self, name: str = "rpicam-vid") -> None:
        program = self.folder / name
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)

    def behave(self, how: str) -> None:
        # Written beside and moved, so that the program never reads a half.
        (self.folder / "new").write_text(how)
        (self.folder / "new").replace(self.folder / "behaviour")

    def sees(self, *pictures: Image.Image, **options: object) -> list[bytes]:
        """From now on, one after the other, as many as before at least."""
        encoded = [jpeg(picture, **options) for picture in pictures]
        for number, data in enumerate(encoded):
            # Written beside and moved: the program reads them while it runs.
            (self.folder / "new").write_bytes(data)
            (self.folder / "new").replace(self.folder / f"{number:03}.jpg")
        return encoded

    @property
    def calls(self) -> list[str]:
        file = self.folder / "called"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())


class Usb:
    """A USB camera for the length of one child process, where a library answers in the kernel's place."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        self._library = library
        (folder / "video0").touch()
        (folder / "video1").touch()  # no device at all
        self.behave("works")
        self.be("webcam")
        self.see(b"")

    def behave(self, how: str) -> None:
        (self.folder / "behaviour").write_text(how)

    def be(self, kind: str) -> None:
        (self.folder / "kind").write_text(kind)

    def see(self, frame: bytes) -> None:
        (self.folder / "frame").write_bytes(frame)

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()

    def run(self, code: str) -> Any:
        """What the code prints as JSON; `usb` is the folder, `behave` changes the camera under way."""
        before = (
            "import json, pathlib\nfrom dermedge import *\nfrom dermedge.camera import feed, v4l2\n"
            f"usb = v4l2.DEVICES = pathlib.Path({str(self.folder)!r})\n"
            "behave = (usb / 'behaviour').write_text\n"
        )
        child = subprocess.run(
            [sys.executable, "-c", before + code], capture_output=True, text=True, timeout=60,
            env={**os.environ, "PATH": "", "LD_PRELOAD": str(self._library), "SHIM": str(self.folder)},
        )
        assert child.returncode == 0, child.stderr
        return json.loads(child.stdout)


def jpeg(picture: Image.Image, quality: int = 92, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def board(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """With nothing but that camera: the machine's own ones are out of sight."""
    bare, programs = folder / "dev", folder / "bin"
    bare.mkdir()
    programs.mkdir()
    monkeypatch.setattr(v4l2, "DEVICES", bare)
    monkeypatch.setenv("PATH", str(programs))
    return Board(programs)
