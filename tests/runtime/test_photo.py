"""Reading photographs: every format and colour space, every way a file can be bad, bounded cost."""

from __future__ import annotations

import io
import itertools
import os
import random
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from dermedge.errors import (
    PhotoDamaged,
    PhotoEmpty,
    PhotoError,
    PhotoFormatUnknown,
    PhotoTooLarge,
    PhotoTooSmall,
    PhotoUnreadable,
    UsageError,
)
from dermedge.photo import Limits, read_photo
from dermedge.result import Photo

RUNTIME = Path(__file__).parents[2] / "runtime"
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 98},
    "WebP": {"lossless": True},
    "TIFF lzw": {"compression": "tiff_lzw"},
}
"""What makes each format lose as little as it can."""


def skin(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """Something smooth and coloured, different in each corner."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 215, (4, 6, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    packed = b"".join(
        struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
        for tag, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + packed


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def with_jpeg_size(data: bytes, width: int, height: int) -> bytes:
    """The same JPEG, whose header claims another size."""
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"") -> bytes:
    body = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + body + b"\0\0\0\0" + tail


def in_child(code: str, *arguments: str, timeout: float = 20.0) -> str:
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(RUNTIME)}, check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def apart(photo: Photo, expected: Image.Image) -> float:
    return float(np.abs(photo.pixels.astype(int) - np.asarray(expected.convert("RGB")).astype(int)).mean())


# --- formats


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 3.0),
        ("JPEG", {"quality": 95, "progressive": True}, 3.0),
        ("PNG", {}, 0.0),
        ("WebP", {"lossless": True}, 0.0),
        ("WebP", {"quality": 90}, 4.0),
        ("BMP", {}, 0.0),
        ("TIFF", {}, 0.0),
        ("TIFF", {"compression": "tiff_lzw"}, 0.0),
        ("TIFF", {"compression": "tiff_adobe_deflate", "big_tiff": True}, 0.0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 3.0),
    ],
)
def test_each_format_gives_its_pixels(kind: str, options: dict[str, Any], tolerance: float) -> None:
    image = skin()
    photo = read_photo(encoded(image, kind, **options))
    assert (photo.width, photo.height, photo.scale, photo.format) == (96, 64, 1.0, kind)
    assert photo.pixels.shape == (64, 96, 3)
    assert photo.pixels.dtype == np.uint8
    assert apart(photo, image) <= tolerance
    assert photo.notes == ()


def test_pixels_cannot_be_written() -> None:
    for source in (encoded(skin()), skin(), np.array(skin())):
        with pytest.raises(ValueError, match="read-only"):
            read_photo(source).pixels[0, 0, 0] = 1


def test_the_ending_of_the_name_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(encoded(skin(), "JPEG"))
    photo = read_photo(path)
    assert (photo.format, photo.name) == ("JPEG", str(path))
    assert read_photo(str(path), name="left arm").name == "left arm"


def test_a_phones_two_picture_jpeg_gives_the_first() -> None:
    data = encoded(skin(), "MPO", save_all=True, append_images=[skin(seed=1)], quality=95)
    assert apart(read_photo(data), skin()) < 3


@pytest.mark.parametrize("kind", ["GIF", "WebP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame_and_says_so(kind: str) -> None:
    frames = [skin(seed=seed).quantize(64) if kind == "GIF" else skin(seed=seed) for seed in range(3)]
    options = OPTIONS.get(kind, {})
    photo = read_photo(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert apart(photo, frames[0]) < 1
    assert len(photo.notes) == 1 and "first" in photo.notes[0]


def test_heic_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoFormatUnknown, match=r"dermedge\[heic\]"):
        read_photo(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(500))


def test_heic_is_read_upright_with_its_extra() -> None:
    import pillow_heif

    exif = Image.Exif()
    exif[0x0112] = 3
    buffer = io.BytesIO()
    pillow_heif.from_pillow(skin()).save(buffer, quality=95, exif=exif.tobytes())
    photo = read_photo(buffer.getvalue())
    assert photo.format == "HEIC"
    assert apart(photo, skin().rotate(180)) < 6


# --- orientation and metadata


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "TIFF lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = OPTIONS.get(kind, {})
    kind = kind.split()[0]
    data = encoded(skin(), kind, exif=exif, **options)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(skin(), exif=exif))))
    photo = read_photo(data)
    assert (photo.width, photo.height) == upright.size == photo.pixels.shape[1::-1]
    assert apart(photo, upright) < 3
    assert apart(read_photo(Image.open(io.BytesIO(data))), upright) < 3


def test_orientation_and_draft_mode_together() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = read_photo(encoded(skin(1600, 800), "JPEG", exif=exif), working_side=400)
    assert (photo.width, photo.height, photo.scale) == (800, 1600, 0.25)
    assert photo.pixels.shape == (400, 200, 3)
    assert apart(photo, skin(1600, 800).transpose(Image.Transpose.ROTATE_270).resize((200, 400))) < 3


def test_nothing_of_the_metadata_is_kept() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "SecretNorth"
    image = skin()
    data = encoded(image, "JPEG", exif=exif, comment="SecretComment", quality=95)
    assert b"SecretNorth" in data and b"SecretComment" in data
    photo = read_photo(data)
    assert "Secret" not in repr(photo)
    assert type(photo.pixels) is np.ndarray
    assert b"Secret" not in photo.pixels.tobytes()


def test_a_damaged_exif_block_is_a_note() -> None:
    data = encoded(skin(), "PNG", exif=b"Exif\0\0no such thing")
    photo = read_photo(data)
    assert apart(photo, skin()) == 0
    assert any("EXIF" in note for note in photo.notes)


# --- colour


def display_p3() -> bytes:
    """A matrix profile with Display P3's primaries (adapted to D50) and sRGB's curve."""
    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*values)

    curve = b"para\0\0\0\0\0\x03\0\0" + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.51512, 0.2412, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.1571, 0.06657, 0.78407),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = start + len(body)
    header = struct.pack(">I", size) + bytes(4) + b"\x04\x00\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    header += bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return header + bytes(128 - len(header)) + table + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WebP"])
def test_a_wide_gamut_profile_is_converted(kind: str) -> None:
    # (200, 100, 80) of Display P3 is (215, 95, 71) of sRGB, by the two standards' matrices.
    image = Image.new("RGB", (64, 64), (200, 100, 80))
    options = OPTIONS.get(kind, {})
    photo = read_photo(encoded(image, kind, icc_profile=display_p3(), **options))
    assert np.abs(photo.pixels[32, 32].astype(int) - (215, 95, 71)).max() <= 3
    assert photo.notes == ()


def test_an_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert apart(read_photo(encoded(skin(), icc_profile=profile)), skin()) == 0


@pytest.mark.parametrize("profile", [b"no profile", display_p3()[:300], bytes(128)])
def test_a_broken_profile_is_a_note(profile: bytes) -> None:
    photo = read_photo(encoded(skin(), icc_profile=profile))
    assert apart(photo, skin()) == 0
    assert any("profile" in note for note in photo.notes)


def test_a_profile_for_other_channels_is_a_note() -> None:
    photo = read_photo(encoded(skin().convert("CMYK"), "TIFF", icc_profile=display_p3()))
    assert any("profile" in note for note in photo.notes)


def test_a_grey_jpeg_with_a_colour_profile_is_read() -> None:
    photo = read_photo(encoded(skin().convert("L"), "PNG", icc_profile=display_p3()))
    assert apart(photo, skin().convert("L")) <= 1
    assert photo.notes == ()


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "LAB", "YCbCr", "HSV", "RGBX", "I;16", "F"]
)
def test_a_picture_of_any_mode_is_taken(mode: str) -> None:
    grey = mode in ("1", "L", "LA", "I;16", "F")
    image = skin().convert("L") if grey else skin()
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted: Any = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    elif mode == "I;16":
        converted = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        converted = image.convert(mode)
    expected = converted.convert("RGB") if mode in ("1", "P") else image
    assert apart(read_photo(converted), expected) < 3


def test_transparent_parts_are_white_and_said() -> None:
    image = skin().convert("RGBA")
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 48, 64))
    image.putalpha(alpha)
    for data in (encoded(image), encoded(image, "WebP", lossless=True), encoded(image, "TIFF")):
        photo = read_photo(data)
        assert (photo.pixels[:, :48] == 255).all()
        assert np.array_equal(photo.pixels[:, 48:], np.asarray(skin())[:, 48:])
        assert any("white" in note for note in photo.notes)


def test_an_opaque_alpha_channel_is_not_worth_a_note() -> None:
    photo = read_photo(encoded(skin().convert("RGBA")))
    assert apart(photo, skin()) == 0
    assert photo.notes == ()


def test_a_palette_with_a_transparent_entry() -> None:
    image = skin().quantize(16)
    index = image.getpixel((0, 0))
    for kind in ("PNG", "GIF"):
        photo = read_photo(encoded(image, kind, transparency=index))
        assert photo.pixels[0, 0].tolist() == [255, 255, 255]
        opaque = np.asarray(image) != index
        assert np.array_equal(photo.pixels[opaque], np.asarray(image.convert("RGB"))[opaque])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).round().astype(np.uint16), (64, 1))
    photo = read_photo(encoded(Image.fromarray(ramp), kind))
    assert np.abs(photo.pixels[..., 1].astype(int) - np.arange(256)).max() <= 1


def test_big_endian_16_bit_tiff() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).round().astype(">u2"), (64, 1))
    entries = [(256, 3, 1, 256), (257, 3, 1, 64), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1),
               (273, 4, 1, 8 + 2 + 8 * 12 + 4), (277, 3, 1, 1), (278, 3, 1, 64)]
    body = b"".join(
        struct.pack(">HHL", *entry[:3]) + (struct.pack(">HH", entry[3], 0) if entry[1] == 3
                                            else struct.pack(">L", entry[3])) for entry in entries
    )
    data = b"MM\0*" + struct.pack(">LH", 8, len(entries)) + body + bytes(4) + ramp.tobytes()
    photo = read_photo(data)
    assert np.abs(photo.pixels[..., 0].astype(int) - np.arange(256)).max() <= 1


def test_16_bit_colour_png_keeps_the_high_bytes() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    photo = read_photo(png([png_header(50, 40, 16), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]))
    assert np.abs(photo.pixels.astype(int) - values.astype(int) / 257).max() <= 1


def test_float_tiff_says_what_it_took_for_white() -> None:
    values = np.tile(np.linspace(-0.5, 1, 64, dtype=np.float32), (48, 1))
    values[0, 0], values[0, 1] = np.nan, np.inf
    photo = read_photo(encoded(Image.fromarray(values), "TIFF"))
    expected = np.clip(values[5] * 255, 0, 255)
    assert np.abs(photo.pixels[5, :, 0] - expected).max() <= 1
    assert "white" in photo.notes[0]


def test_cmyk_jpeg_with_and_without_adobes_inversion() -> None:
    data = encoded(skin().convert("CMYK"), "JPEG", quality=97)
    assert apart(read_photo(data), skin()) < 4
    start = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[start + 2 : start + 4])[0]
    straight = data[:start] + data[start + 2 + length :]
    inverted = Image.fromarray(255 - np.asarray(skin().convert("CMYK")), "CMYK")
    assert apart(read_photo(straight), inverted) < 4


# --- draft mode


@pytest.mark.parametrize(
    ("side", "working_side", "scale"),
    [(1000, 1536, 1.0), (1600, 1600, 1.0), (1600, 800, 0.5), (1600, 801, 1.0), (1601, 801, 0.5),
     (1600, 400, 0.25), (1600, 200, 0.125), (1600, 32, 0.125)],
)
def test_a_jpeg_is_decoded_at_the_least_size_that_serves(side: int, working_side: int, scale: float) -> None:
    image = skin(side, side // 2)
    photo = read_photo(encoded(image, "JPEG", quality=95), working_side=working_side)
    assert (photo.width, photo.height, photo.scale) == (side, side // 2, scale)
    assert photo.pixels.shape[1] == -(-side * scale // 1)
    assert apart(photo, image.resize(photo.pixels.shape[1::-1], Image.Resampling.BOX)) < 3


# --- arrays and pictures


def test_arrays_of_the_three_shapes() -> None:
    rgb = np.array(skin())
    photo = read_photo(rgb, name="camera")
    assert photo.name == "camera"
    assert np.array_equal(photo.pixels, rgb)
    rgb[:] = 0
    assert photo.pixels.any(), "the photograph must not change with the camera's buffer"
    grey = np.asarray(skin().convert("L"))
    assert np.array_equal(read_photo(grey).pixels[..., 2], grey)
    rgba = np.asarray(skin().convert("RGBA")).copy()
    rgba[:10, :, 3] = 0
    assert (read_photo(rgba).pixels[:10] == 255).all()


@pytest.mark.parametrize(
    "source",
    [np.zeros((64, 64, 3)), np.zeros((64, 64, 2), np.uint8), np.zeros(64, np.uint8),
     np.zeros((1, 64, 64, 3), np.uint8), np.zeros((64, 64), np.uint16), 7, None, ["photo.jpg"]],
)
def test_what_is_no_photograph_at_all_is_a_usage_error(source: Any) -> None:
    with pytest.raises(UsageError):
        read_photo(source)


def test_a_picture_is_left_as_it_was() -> None:
    image = skin()
    image.info["icc_profile"] = display_p3()
    before = image.tobytes()
    assert apart(read_photo(image), skin()) > 1
    assert image.tobytes() == before


def test_caps_hold_for_arrays_and_pictures() -> None:
    small = Limits(pixels=5000)
    for source in (skin(), np.asarray(skin()), encoded(skin())):
        with pytest.raises(PhotoTooLarge):
            read_photo(source, limits=small)
    with pytest.raises(PhotoTooSmall):
        read_photo(np.zeros((20, 200, 3), np.uint8))


# --- bad files


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", PhotoEmpty, "empty"),
        (b"just some words, renamed", PhotoFormatUnknown, "text"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", PhotoFormatUnknown, "SVG"),
        (b"<?xml version='1.0'?>\n<!-- x --><svg/>", PhotoFormatUnknown, "SVG"),
        (b"%PDF-1.7\n" + bytes(100), PhotoFormatUnknown, "PDF"),
        (b"PK\x03\x04" + bytes(100), PhotoFormatUnknown, "zip"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(99), PhotoFormatUnknown, "AVIF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99), PhotoFormatUnknown, "video"),
        (bytes(128) + b"DICM" + bytes(99), PhotoFormatUnknown, "DICOM"),
        (b"\x01\x02\x03\x04" * 20, PhotoFormatUnknown, "no picture format"),
        (b"BMW is no bitmap, says a text of some length", PhotoFormatUnknown, "text"),
        (encoded(Image.new("RGB", (1, 1))), PhotoTooSmall, "1 x 1"),
        (encoded(Image.new("RGB", (1, 10_000))), PhotoTooSmall, "1 x 10000"),
        (encoded(Image.new("RGB", (40, 900))), PhotoTooSmall, "strip"),
        (png([png_header(60_000, 60_000), (b"IDAT", zlib.compress(bytes(99)))]), PhotoTooLarge, "60000"),
        (with_jpeg_size(encoded(skin(), "JPEG"), 60_000, 60_000), PhotoTooLarge, "60000"),
        (b"BM" + struct.pack("<4L2i2H", 99, 0, 54, 40, 9**5, 9**5, 1, 24) + bytes(99), PhotoTooLarge, "59"),
        (png([png_header(64, 64)]), PhotoDamaged, "damaged"),
        (png([png_header(0, 64)]), PhotoDamaged, "damaged"),
        (b"II*\0\xff\xff\xff\x7f", PhotoDamaged, "TIFF"),
        (b"\xff\xd8\xff", PhotoDamaged, "JPEG"),
    ],
)
def test_bad_bytes_get_their_own_error(data: bytes, error: type[PhotoError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        read_photo(data, name="holiday\n.jpg")
    assert "\n" not in str(caught.value)
    assert "holiday" in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_a_file_cut_off_anywhere_is_refused(kind: str) -> None:
    noisy = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8))
    data = encoded(noisy, "JPEG", progressive=True) if kind == "progressive" else encoded(noisy, kind)
    for length in np.linspace(0, len(data) * 0.97, 60).astype(int):
        with pytest.raises(PhotoError):
            read_photo(data[:length])


@pytest.mark.parametrize("tag", [b"zTXt", b"iCCP"])
def test_a_compressed_chunk_that_swells_is_refused(tag: bytes) -> None:
    bomb = zlib.compress(bytes(200_000_000), 1)
    data = png([png_header(64, 64), (tag, b"x\0\0" + bomb), (b"IDAT", zlib.compress(bytes(64 * 193)))])
    with pytest.raises(PhotoDamaged):
        read_photo(data)


def test_more_bytes_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(PhotoTooLarge, match="50 MB"):
        read_photo(path)
    with pytest.raises(PhotoTooLarge):
        read_photo(bytes(2000), limits=Limits(file_bytes=1000))


def test_a_progressive_jpeg_counts_as_held_whole() -> None:
    limits = Limits(pixels=5000)
    assert read_photo(encoded(skin(), "JPEG"), limits=limits).width == 96
    with pytest.raises(PhotoTooLarge):
        read_photo(encoded(skin(), "JPEG", progressive=True), limits=limits)


def test_a_jpeg_of_endless_passes_is_refused() -> None:
    data = encoded(skin(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(PhotoDamaged, match="passes"):
        read_photo(data[:-2] + data[last:-2] * 200 + b"\xff\xd9")


@pytest.mark.parametrize(
    "data",
    [
        tiff([(256, 4, 1, 64), (257, 4, 1, 64), (273, 4, 5_000_000, 100)], bytes(20_000_100)),
        tiff([(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 9_000_000, 100)], bytes(18_000_100)),
        tiff([(256, 4, 1, 64), (257, 4, 1, 64), (322, 4, 1, 1 << 16), (323, 4, 1, 1 << 16), (324, 4, 1, 8)]),
        tiff([(256, 4, 1, 64), (257, 4, 1, 64), (259, 3, 1, 34925), (273, 4, 1, 8)]),
    ],
    ids=["strips", "bits", "tiles", "lzma"],
)
def test_an_absurd_tiff_is_refused_before_it_is_unpacked(data: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(PhotoDamaged, match="sane TIFF"):
        read_photo(data)
    assert time.perf_counter() - start < 1


def test_hostile_files_do_not_take_memory(tmp_path: Path) -> None:
    pixels = zlib.compress(bytes(300_000_000), 1)
    hostile = {
        "decompression.png": png([png_header(5000, 5000), (b"IDAT", pixels), (b"IEND", b"")]),
        "header.png": png([png_header(60_000, 60_000), (b"IDAT", pixels), (b"IEND", b"")]),
        "header.jpg": with_jpeg_size(encoded(skin(), "JPEG"), 65_000, 65_000),
        "text.png": png([png_header(64, 64), *[(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**6)))] * 300]),
        "strips.tif": tiff([(256, 4, 1, 64), (257, 4, 1, 64), (273, 4, 5_000_000, 100)], bytes(20_000_100)),
        "canvas.webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\x3f\0" * 2,
        "zip.jpg": b"PK\x03\x04" + pixels,
    }
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
    code = (
        "import resource, sys\n"
        "from dermedge.photo import read_photo\n"
        "from dermedge.errors import PhotoError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        read_photo(path)\n"
        "    except PhotoError:\n"
        "        pass\n"
        "print(peak() - before)\n"
    )
    taken = int(in_child(code, *[str(tmp_path / name) for name in hostile]))
    # The largest is a true picture of 25 megapixels: 100 MB in Pillow, 75 MB as an array, once copied.
    assert taken < 300


def test_too_little_memory_is_a_photo_error(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(encoded(Image.new("RGB", (5000, 5000)), compress_level=1))
    code = (
        "import resource, sys\n"
        "from dermedge.photo import read_photo\n"
        "from dermedge.errors import PhotoTooLarge\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000,) * 2)\n"
        "try:\n"
        "    read_photo(sys.argv[1])\n"
        "except PhotoTooLarge:\n"
        "    print('refused')\n"
    )
    assert in_child(code, str(path)) == "refused"


# --- bad paths


def test_paths_that_hold_no_photograph(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    fifo = tmp_path / "fifo.jpg"
    os.mkfifo(fifo)
    cases: list[tuple[str | Path, type[PhotoError]]] = [
        (empty, PhotoEmpty),
        (tmp_path, PhotoUnreadable),
        (tmp_path / "missing.jpg", PhotoUnreadable),
        (empty / "below.jpg", PhotoUnreadable),
        ("nul\0.jpg", PhotoUnreadable),
        ("a" * 5000, PhotoUnreadable),
        ("/dev/zero", PhotoUnreadable),
        ("/proc/self/status", PhotoUnreadable),  # has more bytes than its size says
        (fifo, PhotoUnreadable),
    ]
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for path, error in cases:
        with pytest.raises(error):
            read_photo(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_a_fifo_without_writer_does_not_hang(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.jpg"
    os.mkfifo(fifo)
    code = (
        "import sys\n"
        "from dermedge.photo import read_photo\n"
        "from dermedge.errors import PhotoUnreadable\n"
        "try:\n"
        "    read_photo(sys.argv[1])\n"
        "except PhotoUnreadable:\n"
        "    print('refused')\n"
    )
    assert in_child(code, str(fifo), timeout=10) == "refused"


def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    # In a child that gives up root where there is root to give up; the library is imported before that.
    path = tmp_path / "private.jpg"
    path.write_bytes(encoded(skin(), "JPEG"))
    path.chmod(0)
    code = (
        "import os, sys\n"
        "from dermedge.photo import read_photo\n"
        "from dermedge.errors import PhotoUnreadable\n"
        "os.chdir(os.path.dirname(sys.argv[1]))\n"
        "if os.getuid() == 0:\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        "    read_photo('private.jpg')\n"
        "except PhotoUnreadable as error:\n"
        "    print(error)\n"
    )
    assert "ermission" in in_child(code, str(path))


def test_a_file_that_is_rewritten_meanwhile(tmp_path: Path) -> None:
    path, done = tmp_path / "moving.jpg", threading.Event()
    whole = encoded(skin(600, 400), "JPEG", quality=95)
    path.write_bytes(whole)

    def disturb() -> None:
        for turn in itertools.cycle(range(3)):
            if done.wait(0.0003):
                return
            if turn == 0:
                path.write_bytes(whole)
            elif turn == 1:
                os.truncate(path, len(whole) // 2)
            else:
                path.unlink()

    thread = threading.Thread(target=disturb)
    thread.start()
    outcomes: set[Any] = set()
    try:
        for _ in range(400):
            try:
                outcomes.add(read_photo(path).width)
            except (PhotoUnreadable, PhotoDamaged, PhotoEmpty) as error:
                outcomes.add(type(error))
    finally:
        done.set()
        thread.join()
    assert outcomes <= {600, PhotoUnreadable, PhotoDamaged, PhotoEmpty}
    assert PhotoUnreadable in outcomes


# --- hostile bytes, many threads


def mutated(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        # Headers decide most: half of the changes fall there.
        at = rng.randrange(min(len(changed), 200)) if rng.random() < 0.5 else rng.randrange(len(changed))
        changed[at] = rng.choice((0, 255, 127, 128, rng.randrange(256), changed[at] ^ 1 << rng.randrange(8)))
    if rng.random() < 0.2:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def test_changed_colour_profiles_never_break_the_reading() -> None:
    profile, rng = display_p3(), random.Random(7)
    for _ in range(300):
        image = skin(40, 36)
        image.info["icc_profile"] = mutated(profile, rng)
        assert read_photo(image).pixels.shape == (36, 40, 3)


def animated_gif() -> bytes:
    return encoded(skin().quantize(16), "GIF", save_all=True, append_images=[skin(seed=1).quantize(16)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "build",
    [
        lambda: encoded(skin(40, 36), "JPEG", exif=exif_with_gps()),
        lambda: encoded(skin(40, 36), "JPEG", progressive=True),
        lambda: encoded(skin(40, 36).convert("CMYK"), "JPEG"),
        lambda: encoded(skin(40, 36).convert("RGBA"), "PNG", icc_profile=display_p3(), exif=exif_with_gps()),
        lambda: encoded(skin(40, 36).quantize(16), "PNG", transparency=3),
        lambda: encoded(skin(40, 36), "WebP", exif=exif_with_gps()),
        lambda: encoded(skin(40, 36), "BMP"),
        lambda: encoded(skin(40, 36), "TIFF", exif=exif_with_gps()),
        lambda: encoded(skin(40, 36), "TIFF", compression="tiff_lzw"),
        lambda: encoded(skin(40, 36).convert("F"), "TIFF"),
        animated_gif,
    ],
    ids=["jpeg", "progressive", "cmyk", "png", "palette", "webp", "bmp", "tiff", "lzw", "float", "gif"],
)
def test_changed_bytes_give_a_photo_or_a_photo_error(build: Callable[[], bytes]) -> None:
    data, rng = build(), random.Random(7)
    read = 0
    for _ in range(1200):
        try:
            photo = read_photo(mutated(data, rng))
        except PhotoError as error:
            assert "\n" not in str(error)
            continue
        read += 1
        assert photo.pixels.ndim == 3 and photo.pixels.shape[2] == 3
    assert 0 < read < 1200


def exif_with_gps() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def test_four_threads_read_as_one_does() -> None:
    exif = exif_with_gps()
    files = [
        encoded(skin(800, 600), "JPEG", icc_profile=display_p3(), exif=exif),
        encoded(skin(300, 200).convert("RGBA"), icc_profile=display_p3(), exif=exif),
        encoded(skin(300, 200), "WebP"),
        encoded(skin(300, 200), "TIFF", compression="tiff_lzw", exif=exif),
        encoded(skin(300, 200), "JPEG")[:-400],
    ]

    def outcome(data: bytes) -> tuple[Any, ...]:
        try:
            photo = read_photo(data, working_side=400)
        except PhotoError as error:
            return (str(error),)
        return photo.width, photo.height, zlib.crc32(photo.pixels.tobytes()), photo.notes

    alone = [outcome(data) for data in files]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(outcome, files * 20))
    assert together == alone * 20


def test_a_picture_too_large_for_one_piece_is_read_whole() -> None:
    picture = skin(2311, 1901)
    assert np.array_equal(read_photo(encoded(picture, "BMP")).pixels, np.asarray(picture))
