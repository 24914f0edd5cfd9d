"""From bytes, a path, a picture or an array to a `Photo`: upright, sRGB, bounded, without metadata."""

from __future__ import annotations

import importlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from .errors import (
    DermedgeError,
    PhotoDamaged,
    PhotoEmpty,
    PhotoFormatUnknown,
    PhotoTooLarge,
    PhotoTooSmall,
    PhotoUnreadable,
    UsageError,
)
from .photo_format import MOST_SCANS, absurd_tiff, jpeg_in_passes, recognise
from .result import Photo
from .srgb import in_srgb


@dataclass(frozen=True, slots=True)
class Limits:
    """What a photograph may cost, checked on its header before anything is decoded."""

    file_bytes: int = 50_000_000
    jpeg_pixels: int = 120_000_000
    """Of a JPEG that is decoded row by row and at a fraction of its size."""
    pixels: int = 32_000_000
    """Of everything that is decoded in full or held as a whole, progressive JPEGs too."""
    side: int = 32
    aspect: float = 20.0


LIMITS = Limits()

Source = str | os.PathLike[Any] | bytes | Image.Image | NDArray[Any]

_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BAND_ROWS = 256
_IN_ONE_PIECE = 4_000_000
"""Pixels that cost little memory, and less time than bands."""
_EXIF_BYTES = 1 << 20
"""Cameras write some 64 KB; unpacking a hostile 50 MB block would take gigabytes."""


class _TiffPage(TiffImageFile):
    """Pillow unpacks every tag on loading; this one sees the orientation only."""

    def getexif(self) -> Image.Exif:
        exif = Image.Exif()
        if _ORIENTATION in self.tag_v2:
            exif[_ORIENTATION] = self.tag_v2[_ORIENTATION]
        return exif


# The plugin's own class and not Image.open(): that one warns, process-wide, of sizes that are allowed here.
# An MPO is read as the JPEG that it begins with.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": _TiffPage,
    "GIF": GifImageFile,
}


def read_photo(
    source: Source, *, name: str | None = None, limits: Limits = LIMITS, working_side: int = 1536
) -> Photo:
    """Decode one photograph, or raise the `PhotoError` that says why not.

    A large JPEG is decoded at an eighth, a quarter or a half of its size, the least that leaves its long side
    `working_side` pixels.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, name or "array", limits)
    if isinstance(source, Image.Image):
        name = name or "picture"
        with _refusals(name, "picture"):
            _check_size(source.size, limits.pixels, limits, name)
            source.load()
            return _photo(source, source.size, 1.0, name, source.format or "pixels", [])
    if isinstance(source, bytes):
        name, data = name or "photo", source
        if len(data) > limits.file_bytes:
            raise PhotoTooLarge(_too_many_bytes(name, limits))
    elif isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        name = name or path
        data = _read_file(path, _shown(name), limits)
    else:
        raise UsageError(
            f"a photograph is a path, bytes, a PIL image or an array, not {type(source).__name__}"
        )
    if not data:
        raise PhotoEmpty(f"{_shown(name)} is empty; copy or take the photograph again")
    kind = recognise(data, _shown(name))
    with _refusals(name, kind):
        return _from_bytes(data, kind, name, limits, working_side)


def _read_file(path: str, shown: str, limits: Limits) -> bytes:
    # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    try:
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise PhotoUnreadable(f"{shown} is a folder; give the path of a photograph")
            if not stat.S_ISREG(status.st_mode):
                raise PhotoUnreadable(f"{shown} is a pipe or a device; give the path of a photograph")
            if status.st_size > limits.file_bytes:
                raise PhotoTooLarge(_too_many_bytes(shown, limits))
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(status.st_size + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise PhotoUnreadable(f"{shown} cannot be read ({reason}); check path and permissions") from error
    if len(data) != status.st_size:
        raise PhotoUnreadable(f"{shown} changed while it was read; try again when it is written")
    return data


def _from_bytes(data: bytes, kind: str, name: str, limits: Limits, working_side: int) -> Photo:
    if kind == "HEIC":
        return _from_heic(data, name, limits)
    if kind == "TIFF" and (oddity := absurd_tiff(data, limits.pixels)):
        raise PhotoDamaged(f"{_shown(name)} is no sane TIFF ({oddity}); export it again, best as JPEG or PNG")
    image = _DECODERS[kind](io.BytesIO(data))
    size, step, notes = image.size, 1, list[str]()
    if isinstance(image, JpegImageFile):
        passes = jpeg_in_passes(image, data)
        _check_size(size, limits.pixels if passes else limits.jpeg_pixels, limits, name)
        if passes and data.count(b"\xff\xda") > MOST_SCANS:
            raise PhotoDamaged(f"{_shown(name)} has more passes than any camera writes; save it again")
        step = next((s for s in (8, 4, 2) if -(-max(size) // s) >= working_side), 1)
        image.draft(None, (size[0] // step, size[1] // step))
    else:
        _check_size(size, limits.pixels, limits, name)
    if getattr(image, "is_animated", False):
        notes.append("several pictures in one file; the first one is judged")
    image.load()
    return _photo(image, size, 1 / step, name, kind, notes)


def _from_heic(data: bytes, name: str, limits: Limits) -> Photo:
    try:
        pillow_heif = importlib.import_module("pillow_heif")
    except ImportError as error:
        raise PhotoFormatUnknown(
            f"{_shown(name)} is HEIC, which needs the extra `dermedge[heic]`; install it, or save a JPEG"
        ) from error
    heif = pillow_heif.open_heif(io.BytesIO(data))
    _check_size(heif.size, limits.pixels, limits, name)
    image: Image.Image = heif.to_pillow()
    # libheif has turned the picture already; what the EXIF block says would turn it again.
    image.info.pop("exif", None)
    image.info.pop("xmp", None)
    return _photo(image, image.size, 1.0, name, "HEIC", [])


def _from_array(array: NDArray[Any], name: str, limits: Limits) -> Photo:
    grey, colour = array.ndim == 2, array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype != np.uint8 or not (grey or colour):
        raise UsageError(
            f"an array must be uint8 of height x width, or height x width x 3 or 4 (RGB, RGBA), "
            f"not {array.dtype} of {' x '.join(map(str, array.shape))}"
        )
    height, width = array.shape[:2]
    _check_size((width, height), limits.pixels, limits, name)
    if colour and array.shape[2] == 3:
        # A copy: a camera's buffer is written to again while the photograph is still being judged.
        pixels = np.array(array, order="C")
        pixels.flags.writeable = False
        return Photo(name, pixels, width, height, 1.0, "pixels")
    return _photo(Image.fromarray(np.ascontiguousarray(array)), (width, height), 1.0, name, "pixels", [])


def _photo(
    image: Image.Image, size: tuple[int, int], scale: float, name: str, kind: str, notes: list[str]
) -> Photo:
    """The loaded picture turned upright and into sRGB; `size` is that of its header."""
    orientation = _orientation(image, notes)
    image = in_srgb(image, notes)
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
        size = size[::-1] if orientation >= 5 else size
    pixels = _pixels(image)
    pixels.flags.writeable = False
    return Photo(name, pixels, size[0], size[1], scale, kind, tuple(notes))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """A large one band by band: in one piece, Pillow holds all bytes twice beside its own picture."""
    width, height = image.size
    if width * height <= _IN_ONE_PIECE:
        return np.asarray(image)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BAND_ROWS):
        band = image.crop((0, top, width, min(top + _BAND_ROWS, height)))
        pixels[top : top + _BAND_ROWS] = np.asarray(band)
    return pixels


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        if len(image.info.get("exif") or b"") > _EXIF_BYTES:
            raise ValueError("larger than any camera writes")
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        notes.append("its EXIF block is damaged; if it was taken sideways, it is judged sideways")
        return 1


def _check_size(size: tuple[int, int], most: int, limits: Limits, name: str) -> None:
    width, height = size
    shown = _shown(name)
    if width * height > most:
        raise PhotoTooLarge(
            f"{shown} has {width} x {height} pixels, more than the {most / 1e6:g} million allowed; shrink it"
        )
    if min(size) < limits.side:
        raise PhotoTooSmall(
            f"{shown} has {width} x {height} pixels, below {limits.side} on a side; take a larger one"
        )
    if max(size) > limits.aspect * min(size):
        raise PhotoTooSmall(f"{shown} is a strip of {width} x {height} pixels; take one that is less narrow")


def _too_many_bytes(name: str, limits: Limits) -> str:
    return f"{_shown(name)} has more than {limits.file_bytes / 1e6:g} MB; shrink the photograph"


def _shown(name: str) -> str:
    """A name that cannot break the one line that an error is."""
    return name if name.isprintable() else ascii(name)


@contextmanager
def _refusals(name: str, kind: str) -> Iterator[None]:
    """Whatever a decoder throws at hostile bytes, as the error that says so."""
    try:
        yield
    except DermedgeError:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoTooLarge(f"{_shown(name)} needs more memory than there is; shrink it") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise PhotoDamaged(
            f"{_shown(name)} is damaged, or {kind} of an unusual kind ({reason}); copy or save it again"
        ) from error
