"""A picture in the clipboard, by the desktop's own program and straight into memory."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from dermedge import UsageError

from .language import _
from .session import Shot

FORMATS = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "image/gif")
"""From the best: a photograph that was copied whole tells when it was taken."""
MOST_BYTES = 50_000_000
"""As of a file."""
ANSWERS_WITHIN = 8.0
"""Seconds; the program asks the one that the picture was copied in, and that one may hang."""
_CHUNK = 1 << 16


class ClipboardUnusable(UsageError):
    """No program that reads it, no picture in it, or one that is too large or does not come."""


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    formats: tuple[str, ...] | None
    """The arguments that list them; None where the program gives PNG and asks nothing."""
    picture: tuple[str, ...]
    """The arguments that give a picture, before the name of its format."""


def picture() -> Shot:
    """What was copied last, if it is a picture; nothing is written to disk."""
    program = _program()
    if program is None:
        raise ClipboardUnusable(_missing())
    if program.formats is None:
        data = _output([program.path, *program.picture])
    else:
        listed = _output([program.path, *program.formats]).decode("utf-8", "replace").split()
        format = next((format for format in FORMATS if format in listed), None)
        data = _output([program.path, *program.picture, format]) if format else b""
    if not data:
        raise ClipboardUnusable(_("There is no picture in the clipboard. Copy one, then try again."))
    return Shot(f"{_('Clipboard')} {datetime.now():%H:%M:%S}", data)


def _program() -> Program | None:
    """The one for the desktop that this terminal runs on."""
    if os.environ.get("WAYLAND_DISPLAY") and (path := shutil.which("wl-paste")):
        return Program(path, ("--list-types",), ("--no-newline", "--type"))
    if os.environ.get("DISPLAY") and (path := shutil.which("xclip")):
        selection = ("-selection", "clipboard", "-out", "-target")
        return Program(path, (*selection, "TARGETS"), selection)
    if path := shutil.which("pngpaste"):
        return Program(path, None, ("-",))
    return None


def _missing() -> str:
    if os.environ.get("WAYLAND_DISPLAY"):
        return _("The program that reads the clipboard is missing: apt install wl-clipboard")
    if os.environ.get("DISPLAY"):
        return _("The program that reads the clipboard is missing: apt install xclip")
    return _("This terminal runs on no desktop, so there is no clipboard. Choose the photograph's file instead.")


def _output(command: list[str]) -> bytes:
    """All that it writes, or nothing where it fails: an empty clipboard is a failure too."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
    except OSError as error:
        raise ClipboardUnusable(_missing()) from error
    assert process.stdout
    try:
        data = _read(process.stdout.fileno())
        return data if process.wait(ANSWERS_WITHIN) == 0 else b""
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        raise ClipboardUnusable(_("The clipboard does not answer. Copy the picture once more.")) from error
    finally:
        process.stdout.close()
        with suppress(OSError):
            process.kill()
        process.wait()


def _read(pipe: int) -> bytes:
    end = time.monotonic() + ANSWERS_WITHIN
    ready = select.poll()
    ready.register(pipe, select.POLLIN)
    data = bytearray()
    while True:
        if not ready.poll(max(0.0, end - time.monotonic()) * 1000):
            raise TimeoutError
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return bytes(data)
        data += chunk
        if len(data) > MOST_BYTES:
            told = _("The picture in the clipboard has more than {most} MB. Make it smaller.")
            raise ClipboardUnusable(told.format(most=MOST_BYTES // 1_000_000))
