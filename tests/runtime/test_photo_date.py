"""The day a photograph was taken, from what cameras write and from what they do not."""

from __future__ import annotations

import io
import os
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from dermedge import capture_date


def photo(stamp: str | None, tag: int = 0x9003) -> bytes:
    picture, exif = Image.new("RGB", (64, 64), "tan"), Image.Exif()
    if stamp is not None:
        exif.get_ifd(0x8769)[tag] = stamp
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("tag", [0x9003, 0x9004])
def test_the_cameras_stamp_is_the_date(tag: int, tmp_path: Path) -> None:
    data = photo("2024:02:29 13:14:15", tag)
    file = tmp_path / "photo"
    file.write_bytes(data)
    assert capture_date(data) == capture_date(file) == capture_date(str(file)) == date(2024, 2, 29)


@pytest.mark.parametrize(
    "stamp", [None, "", "0000:00:00 00:00:00", "2024:13:45 10:00:00", "yesterday", "    :  :     :  :  "]
)
def test_what_is_no_date_is_none(stamp: str | None) -> None:
    assert capture_date(photo(stamp)) is None


def test_damaged_bytes_have_no_date() -> None:
    whole = photo("2024:02:29 13:14:15")
    for cut in range(0, 200, 7):
        assert capture_date(whole[:cut]) in (None, date(2024, 2, 29))
    assert capture_date(b"") is None
    assert capture_date(b"\x89PNG and nothing") is None


def test_what_is_no_file_has_no_date_and_nothing_waits_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "missing", "nul\0byte"):
        assert capture_date(path) is None
