"""What a camera sees, at the size that a screen has room for."""

from __future__ import annotations

from PIL import Image, ImageDraw

from ..result import Box, Photo

_CORNERS = (255, 255, 255)


def preview(photo: Photo, size: tuple[int, int], target: Box | None = None) -> Image.Image:
    """The largest picture of the photograph that fits into `size`, with the corners of `target` on it."""
    scale = min(size[0] / photo.width, size[1] / photo.height)
    fitting = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    image = Image.fromarray(photo.pixels).resize(fitting, Image.Resampling.BOX, reducing_gap=2.0)
    if target is not None:
        _mark(image, *(round(v * scale) for v in (target.x0, target.y0, target.x1 - 1, target.y1 - 1)))
    return image


def _mark(image: Image.Image, x0: int, y0: int, x1: int, y1: int) -> None:
    arm = max(2, (x1 - x0) // 5)
    brush = ImageDraw.Draw(image)
    for x, along in ((x0, arm), (x1, -arm)):
        for y, down in ((y0, arm), (y1, -arm)):
            brush.line((x + along, y, x, y, x, y + down), fill=_CORNERS)
