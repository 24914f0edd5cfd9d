"""Cameras: which are at hand, and what one sees now.

    with open_camera(cameras()[0]) as feed:
        for frame in feed:
            scan = scanner.scan(frame.source)

Frames stay in memory, no connection is opened, and where there is no picture there is an error and no stand-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import CameraAbsent, CameraError, CameraForbidden, CameraToolMissing
from . import rpicam, v4l2
from .feed import Camera, Feed, Frame
from .preview import preview

__all__ = ["Camera", "Feed", "Frame", "cameras", "open_camera", "preview"]


def cameras() -> tuple[Camera, ...]:
    """Every camera that can be opened, at least one; where there is none, the error says why and what to do."""
    nodes = v4l2.search()
    program = rpicam.program()
    try:
        found = (*nodes.cameras, *(rpicam.search(program) if program else ()))
    except CameraError:
        if not nodes.cameras:
            raise
        found = nodes.cameras
    if found:
        return found
    if nodes.forbidden:
        raise CameraForbidden(
            f"no permission for {', '.join(nodes.forbidden)}; add yourself to the group video, then log in again"
        )
    if nodes.sensor and program is None:
        raise CameraToolMissing(
            "a camera is wired to this board, but the program that reads it is missing; apt install rpicam-apps-lite"
        )
    raise CameraAbsent("no camera was found; plug one in, or read photographs from files")


@contextmanager
def open_camera(camera: Camera) -> Iterator[Feed]:
    """The camera's pictures from now on; it is let go of at the end, whatever happens."""
    source = v4l2.Device(camera) if camera.kind == "v4l2" else rpicam.Child(camera)
    try:
        yield Feed(camera, source)
    finally:
        source.close()
