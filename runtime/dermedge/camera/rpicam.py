"""A Raspberry Pi's own cameras: its programs write JPEGs to a pipe, and no file."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from ..errors import CameraAbsent, CameraBusy, CameraError, CameraLost, CameraSilent, CameraToolMissing
from .feed import Camera, Pixels
from .mjpeg import Splitter

ANSWERS_WITHIN = 6.0
"""Seconds for the list of cameras; a board that has just started takes two."""
ENDS_WITHIN = 1.0
"""Seconds between asking the program to end and ending it."""
_LISTED = re.compile(r"^ *(\d+) : (.+?) \[.*\] \((.+)\)$", re.MULTILINE)
_CHUNK, _MOST_CHUNKS = 1 << 16, 256
_KEPT_COMPLAINT = 2000
"""Bytes of what the program wrote last to its error output."""

_BOTH = (
    "--nopreview", "--quality", "93", "--width", "1920", "--height", "1080", "--autofocus-range", "full",
    "--output", "-",
)
_VIDEO = ("--codec", "mjpeg", "--framerate", "10", "--timeout", "0", "--flush", *_BOTH)
_STILL = ("--timeout", "500", *_BOTH)


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    kind: Literal["video", "still"]
    """One that takes stills writes one picture and ends: it is started again for the next."""


def program() -> Program | None:
    """The one to read a board's camera with; the older names are those of before 2024."""
    for family in ("rpicam", "libcamera"):
        if path := shutil.which(f"{family}-vid"):
            return Program(path, "video")
        if path := shutil.which(f"{family}-still"):
            return Program(path, "still")
    return None


def search(program: Program) -> tuple[Camera, ...]:
    """None where the board has none: the program is installed there too."""
    try:
        answer = subprocess.run(
            [program.path, "--list-cameras"], stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWERS_WITHIN
        )
    except subprocess.TimeoutExpired as error:
        told = f"{program.path} does not answer; restart the board, or read photographs from files"
        raise CameraSilent(told) from error
    except OSError as error:
        raise CameraLost(f"{program.path} cannot be started ({error.strerror}); install it again") from error
    text = (answer.stdout + b"\n" + answer.stderr).decode("utf-8", "replace")
    # USB cameras are read by way of /dev/video*.
    return tuple(Camera(at, name, "rpicam") for at, name, where in _LISTED.findall(text) if "usb" not in where.lower())


class Child:
    """The program at work; ended and reaped by `close`."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        found = program()
        if found is None:
            raise CameraToolMissing("the program that reads this board's camera is gone; apt install rpicam-apps-lite")
        self._still = found.kind == "still"
        self._command = [found.path, "--camera", camera.id, *(_STILL if self._still else _VIDEO)]
        self._start()

    def grab(self, wait: float) -> Pixels | None:
        """Of several pictures that lie in the pipe the last one counts: it is the newest."""
        end = time.monotonic() + wait
        while True:
            pictures = self._drain()
            left = end - time.monotonic()
            if pictures or left <= 0:
                return pictures[-1] if pictures else None
            self._ready.poll(left * 1000)

    def close(self) -> None:
        process = self._process
        self._out.close()
        self._errors.close()
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_WITHIN)
            process.kill()
        # A killed process is gone at once, unless a driver holds it; then nobody is to wait for it.
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN)

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise CameraLost(f"{self._command[0]} cannot be started ({error.strerror}); install it again") from error
        assert self._process.stdout and self._process.stderr
        self._out, self._errors = self._process.stdout, self._process.stderr
        self._splitter, self._complaint, self._given = Splitter(), b"", False
        self._ready = select.poll()
        for pipe in (self._out, self._errors):
            os.set_blocking(pipe.fileno(), False)
            self._ready.register(pipe, select.POLLIN)

    def _drain(self) -> list[bytes]:
        """The pictures that lie in the pipe; one that never dries up is given back half read."""
        self._listen()
        pictures: list[bytes] = []
        for _ in range(_MOST_CHUNKS):
            try:
                chunk = os.read(self._out.fileno(), _CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                if not pictures:
                    self._ended()
                break
            pictures += self._splitter.feed(chunk)
        self._given = self._given or bool(pictures)
        return pictures

    def _listen(self) -> None:
        """A full pipe for complaints would stop the program."""
        with suppress(BlockingIOError, ValueError):
            said = os.read(self._errors.fileno(), _CHUNK)
            self._complaint = (self._complaint + said)[-_KEPT_COMPLAINT:]
            if not said:
                with suppress(KeyError):
                    self._ready.unregister(self._errors)

    def _ended(self) -> None:
        """A still is followed by the next one; anything else is an error, and says so."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_WITHIN)
        self._listen()
        status = self._process.returncode
        if self._still and self._given and status == 0:
            self.close()
            self._start()
            return
        said = self._complaint.decode("utf-8", "replace").strip()
        raise _cause(self._camera, status, said)


def _cause(camera: Camera, status: int | None, said: str) -> CameraError:
    if re.search(r"in use|failed to acquire|busy", said, re.IGNORECASE):
        return CameraBusy(f"{camera.name} is used by another program; close that one, then try again")
    if "no cameras available" in said.lower():
        return CameraAbsent(f"{camera.name} is gone; check its cable with the board switched off")
    last = " ".join(said.rpartition("\n")[2].split())[:120] or f"status {status}"
    return CameraLost(f"{camera.name} stopped ({last}); check its cable with the board switched off, then try again")
