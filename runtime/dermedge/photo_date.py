"""The day a photograph was taken, as its camera wrote it down; the only metadata that anything here asks for."""

from __future__ import annotations

import io
import os
import stat
from datetime import date, datetime

from PIL.JpegImagePlugin import JpegImageFile

_REACH = 1 << 20
"""Cameras write their EXIF block before the picture; what comes later is not worth reading a large file for."""
_EXIF, _ORIGINAL, _DIGITIZED = 0x8769, 0x9003, 0x9004
_STAMP = "%Y:%m:%d %H:%M:%S"


def capture_date(source: str | os.PathLike[str] | bytes) -> date | None:
    """From the EXIF block of a JPEG; None where there is none that makes sense."""
    data = source[:_REACH] if isinstance(source, bytes) else _beginning(source)
    try:
        tags = JpegImageFile(io.BytesIO(data)).getexif().get_ifd(_EXIF)
        stamp = tags.get(_ORIGINAL) or tags.get(_DIGITIZED)
        return datetime.strptime(str(stamp).strip("\0 "), _STAMP).date() if stamp else None
    except Exception:
        # Hostile or damaged bytes throw anything at all, and no date is a full answer.
        return None


def _beginning(path: str | os.PathLike[str]) -> bytes:
    """Nothing of a pipe or a device: reading one could wait for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return b""
    try:
        return os.read(descriptor, _REACH) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)
