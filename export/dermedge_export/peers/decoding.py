"""What decoding a photograph at a fraction of its size saves, part by part, in processor time of one thread."""

from __future__ import annotations

import inspect
import io
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from PIL import Image

from dermedge import Scanner
from dermedge.crop import cut
from dermedge.detector import GREY, letterbox
from dermedge.photo import read_photo
from dermedge.quality import assess

from ..results import rows

WORKING, FULL = inspect.signature(read_photo).parameters["working_side"].default, 1 << 20
"""Long sides that a JPEG is not decoded below: the runtime's, and one that no photograph has."""
PARTS = {
    "reading": "reading: decode, upright, sRGB, array",
    "resize": "resize for the detector",
    "crops": "crops",
    "quality": "quality of the frame",
}


def decoding(data: bytes, scanner: Scanner, rounds: int) -> dict[str, Any]:
    """Milliseconds by part, the photograph decoded in full and as the runtime does it; and of the decoder alone."""
    scan = scanner.scan(data)
    boxes = [lesion.box for lesion in scan.lesions] + [detection.box for detection in scan.rejected]
    size = scanner.pack.manifest.detector.size

    def parts(working_side: int) -> dict[str, float]:
        def read() -> Any:
            return read_photo(data, working_side=working_side)

        photo = read()
        work: Mapping[str, Callable[[], Any]] = {
            "reading": read,
            "resize": lambda: cut(photo, letterbox(photo), size, "bilinear", GREY),
            "crops": lambda: [scanner.crop(photo, box) for box in boxes],
            "quality": lambda: assess(photo),
        }
        return {part: _milliseconds(do, rounds) for part, do in work.items()}

    return {
        "crops": len(boxes),
        "full": parts(FULL),
        "fraction": parts(WORKING),
        "scale": scan.photo.scale,
        "decoder": {
            name: _milliseconds(partial(_decoded, data, step, mode), rounds)
            for name, step, mode in (("half", 2, None), ("quarter", 4, None), ("half in grey", 2, "L"))
        },
    }


def _decoded(data: bytes, step: int, mode: str | None) -> None:
    image = Image.open(io.BytesIO(data))
    image.draft(mode, (image.width // step, image.height // step))
    image.load()


def _milliseconds(do: Callable[[], Any], rounds: int) -> float:
    """The least of several: what else the machine does only ever adds."""
    least = float("inf")
    for _ in range(rounds):
        begun = time.thread_time()
        do()
        least = min(least, time.thread_time() - begun)
    return round(least * 1e3, 1)


def in_words(found: Mapping[str, Any]) -> str:
    full, fraction, decoder = found["full"], found["fraction"], found["decoder"]
    table = rows(
        ("part", "decoded in full", f"at 1/{round(1 / found['scale'])}"),
        [(words, f"{full[part]:.1f}", f"{fraction[part]:.1f}") for part, words in PARTS.items()],
    )
    return (
        f"**The largest part is decoding.** A JPEG is decoded at the smallest of 1/1, 1/2, 1/4, 1/8 of its size that "
        f"leaves {WORKING:,} pixels on its long side, and everything after it works on that. On the generated "
        f"12-megapixel photograph with {found['crops']} crops, in milliseconds of processor time on one thread:\n\n"
        f"{table}\n\n"
        f"The decoder alone takes {decoder['half']:.1f} of them at a half, {decoder['quarter']:.1f} at a quarter and "
        f"{decoder['half in grey']:.1f} at a half in grey: what is left is entropy decoding. No choice of size avoids "
        "that, and one JPEG without restart markers cannot be shared between cores."
    )
