"""What a file is, told from its bytes; and what must be known of it before a decoder may see it."""

from __future__ import annotations

import struct

from PIL.JpegImagePlugin import JpegImageFile

from .errors import PhotoFormatUnknown

MOST_SCANS = 100
"""Encoders write about ten passes; each one walks the whole picture, so a small file could take minutes."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_BMP_HEADERS = frozenset((12, 40, 52, 56, 64, 108, 124))
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a zip archive or an office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\x7fELF", "a program"),
    (128, b"DICM", "a DICOM file"),
)
_SERVED = "JPEG, PNG, WebP, HEIC, TIFF, BMP and GIF are read: save it as one of these"

_TIFF_VALUES = 1 << 17
"""One strip a row, four separate bands, the tallest picture allowed; each value becomes an object."""
_TIFF_BYTES = frozenset((1, 2, 6, 7))
"""Types that stay one string of bytes, however long."""
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT, _TIFF_COMPRESSION = 322, 323, 259
_TIFF_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946))
"""Those of cameras and scanners; LZMA and its like let the file say how much memory to take."""


def recognise(data: bytes, shown: str) -> str:
    """The format's name, by content and never by the file's ending."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if data[4:8] == b"ftyp" and _HEIC_BRANDS & (brands := _brands(data)) and b"avif" not in brands:
        return "HEIC"
    raise PhotoFormatUnknown(f"{shown} {_hint(data)}; {_SERVED}")


def _brands(data: bytes) -> frozenset[bytes]:
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return frozenset(box[at : at + 4] for at in range(0, len(box), 4) if at != 4)


def _hint(data: bytes) -> str:
    for offset, magic, what in _FOREIGN:
        if data.startswith(magic, offset):
            return f"is {what}, no photograph"
    if data[4:8] == b"ftyp":
        return "is an AVIF picture" if b"avif" in _brands(data) else "is a video"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in data[:4096].lower()):
        return "is an SVG drawing, no photograph"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, no photograph"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in data[:512]):
        return "is text, no photograph"
    return "is in no picture format that is known here"


def jpeg_in_passes(image: JpegImageFile, data: bytes) -> bool:
    """Whether libjpeg must hold all coefficients at once: progressive, or one component a scan.

    Pillow has stopped reading right behind the first scan's header, which says how many components it holds.
    """
    if image.info.get("progressive") or image.fp is None:
        return True
    header = 2 + 1 + 2 * image.layers + 3
    start = image.fp.tell() - header
    return data[start : start + 3] != struct.pack(">HB", header, image.layers)


def absurd_tiff(data: bytes, pixels: int) -> str | None:
    """Why this TIFF's first directory would cost more than any picture needs, or None."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in (data[2], data[3])
    entry_bytes, count_format, entry_format = (20, "Q", "HHQ") if big else (12, "H", "HHL")
    try:
        (start,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + count_format, data, start)
        start += struct.calcsize(count_format)
        tile = {_TIFF_TILE_WIDTH: 1, _TIFF_TILE_HEIGHT: 1}
        for at in range(start, start + min(entries, 4096) * entry_bytes, entry_bytes):
            tag, unit, count = struct.unpack_from(order + entry_format, data, at)
            if unit not in _TIFF_BYTES and count > _TIFF_VALUES:
                return f"{count} values in tag {tag}"
            value_at = at + struct.calcsize(order + entry_format)
            (value,) = struct.unpack_from(order + ("H" if unit == 3 else "L"), data, value_at)
            if tag in tile:
                tile[tag] = value
            if tag == _TIFF_COMPRESSION and value not in _TIFF_COMPRESSIONS:
                return f"compression {value}"
    except (struct.error, OverflowError):
        return "its directory lies outside the file"
    if tile[_TIFF_TILE_WIDTH] * tile[_TIFF_TILE_HEIGHT] > pixels:
        return "a tile larger than the largest picture"
    return None
