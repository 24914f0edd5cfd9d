"""USB cameras and everything else that Linux shows as /dev/video*, by the kernel's own interface."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import Structure, c_int32
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import CameraBusy, CameraError, CameraForbidden, CameraLost, CameraUnsuited
from . import videodev2 as v4l2
from .feed import Camera, Pixels
from .mjpeg import first
from .yuyv import rgb

DEVICES = Path("/dev")
JPEG = (v4l2.fourcc("MJPG"), v4l2.fourcc("JPEG"))
YUYV = v4l2.fourcc("YUYV")
SENSORS = frozenset({"unicam", "rp1-cfe"})
"""Drivers of a Raspberry Pi's camera socket: raw data of the sensor, which its own programs turn into pictures."""

WANTED_SIDE = 1920
"""Pixels of the longer side: a scan works on 1,536, so that more only costs time."""
LEAST_RATE = 5.0
"""Pictures a second below which nobody can aim."""
BUFFERS = 4
_MOST_MODES = 256
"""Of one list; a driver that never ends it is broken."""

Value = TypeVar("Value", bound="Structure | c_int32")


@dataclass(frozen=True, slots=True)
class Nodes:
    """What the devices turned out to be."""

    cameras: tuple[Camera, ...]
    forbidden: tuple[str, ...]
    sensor: bool
    """Whether there is one that only a board's own program can read."""


@dataclass(frozen=True, slots=True)
class Mode:
    format: int
    width: int
    height: int
    rate: float
    """Pictures a second at most."""


def search() -> Nodes:
    """Opens every device for a moment; also codecs and tuners are devices of this kind."""
    cameras, forbidden, sensor = [], [], False
    for path in sorted(DEVICES.glob("video*"), key=lambda p: (len(p.name), p.name)):
        try:
            device = _open(str(path))
        except OSError as error:
            forbidden += [str(path)] if error.errno in (errno.EACCES, errno.EPERM) else []
            continue
        try:
            about = _ioctl(device, v4l2.QUERYCAP, v4l2.Capability())
            sensor = sensor or _text(about.driver) in SENSORS
            if _can_capture(about) and _has_lens(device) and next(_formats(device), None) is not None:
                cameras.append(Camera(str(path), _text(about.card) or path.name, "v4l2"))
        except OSError:
            continue
        finally:
            os.close(device)
    return Nodes(tuple(cameras), tuple(forbidden), sensor)


class Device:
    """An open camera, its pictures in buffers that it shares with the kernel."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._maps: list[mmap.mmap] = []
        with _explained(self._camera):
            self._device = _open(camera.id)
        try:
            with _explained(self._camera):
                self._format = self._choose()
                self._start()
        except BaseException:
            self.close()
            raise
        self._ready = select.poll()
        self._ready.register(self._device, select.POLLIN)

    def grab(self, wait: float) -> Pixels | None:
        with _explained(self._camera):
            # What lies ready was seen a while ago; the next one is what the camera sees now.
            while (old := self._taken()) is not None:
                self._give(old.index)
            events = self._ready.poll(wait * 1000)
            if not events:
                return None
            if events[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                raise OSError(errno.ENODEV, "gone")
            taken = self._taken()
            if taken is None:
                return None
            data = self._maps[taken.index][: taken.bytesused]
            self._give(taken.index)
        return None if taken.flags & v4l2.FLAG_ERROR else self._picture(data)

    def close(self) -> None:
        with suppress(OSError):
            _ioctl(self._device, v4l2.STREAMOFF, c_int32(v4l2.CAPTURE))
        for shared in self._maps:
            shared.close()
        self._maps = []
        with suppress(OSError):
            os.close(self._device)
        self._device = -1

    def _choose(self) -> v4l2.PixFormat:
        mode = best(_modes(self._device))
        if mode is None:
            raise CameraUnsuited(f"{self._camera.name} sends neither MJPEG nor YUYV; choose another camera")
        asked = v4l2.Format(type=v4l2.CAPTURE)
        asked.fmt.pix = v4l2.PixFormat(width=mode.width, height=mode.height, pixelformat=mode.format)
        # The driver answers with what it really does.
        pix: v4l2.PixFormat = _ioctl(self._device, v4l2.S_FMT, asked).fmt.pix
        if pix.pixelformat != mode.format:
            raise CameraUnsuited(f"{self._camera.name} does not keep to its own formats; choose another camera")
        return pix

    def _start(self) -> None:
        wanted = v4l2.RequestBuffers(count=BUFFERS, type=v4l2.CAPTURE, memory=v4l2.MMAP)
        for index in range(_ioctl(self._device, v4l2.REQBUFS, wanted).count):
            about = v4l2.Buffer(index=index, type=v4l2.CAPTURE, memory=v4l2.MMAP)
            about = _ioctl(self._device, v4l2.QUERYBUF, about)
            where = about.m.offset
            self._maps.append(mmap.mmap(self._device, about.length, mmap.MAP_SHARED, mmap.PROT_READ, offset=where))
            self._give(index)
        _ioctl(self._device, v4l2.STREAMON, c_int32(v4l2.CAPTURE))

    def _give(self, index: int) -> None:
        """The buffer is the kernel's again."""
        _ioctl(self._device, v4l2.QBUF, v4l2.Buffer(index=index, type=v4l2.CAPTURE, memory=v4l2.MMAP))

    def _taken(self) -> v4l2.Buffer | None:
        """A filled buffer, if there is one."""
        try:
            return _ioctl(self._device, v4l2.DQBUF, v4l2.Buffer(type=v4l2.CAPTURE, memory=v4l2.MMAP))
        except BlockingIOError:
            return None

    def _picture(self, data: bytes) -> Pixels | None:
        pix = self._format
        if pix.pixelformat != YUYV:
            return first(data)
        if len(data) < max(pix.bytesperline, 2 * pix.width) * pix.height:
            return None
        return rgb(data, pix.width, pix.height, pix.bytesperline, full=pix.quantization == v4l2.FULL_RANGE)


@contextmanager
def _explained(camera: Camera) -> Iterator[None]:
    """What the kernel refuses, as the error that says so."""
    try:
        yield
    except OSError as error:
        raise _cause(error, camera) from error


def _cause(error: OSError, camera: Camera) -> CameraError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return CameraForbidden(f"no permission for {camera.id}; add yourself to the group video, then log in again")
    if error.errno == errno.EBUSY:
        return CameraBusy(f"{camera.name} is used by another program; close that one, then try again")
    if error.errno in (errno.ENODEV, errno.ENOENT, errno.ENXIO, errno.EIO, errno.EPIPE, errno.EPROTO):
        return CameraLost(f"{camera.name} is gone; plug it in again")
    return CameraLost(f"{camera.name} failed ({error.strerror or error}); take it out and plug it in again")


def best(modes: list[Mode]) -> Mode | None:
    """Fast enough to aim, large enough to scan; of those the one that costs least."""
    quick = [mode for mode in modes if mode.rate >= LEAST_RATE] or modes

    def cost(mode: Mode) -> tuple[int, bool, int, float]:
        missing = max(0, WANTED_SIDE - max(mode.width, mode.height))
        return missing, mode.format == YUYV, mode.width * mode.height, -mode.rate

    return min(quick, key=cost, default=None)


def _modes(device: int) -> list[Mode]:
    return [
        Mode(format, width, height, _rate(device, format, width, height))
        for format in _formats(device)
        for width, height in _sizes(device, format)
    ]


def _formats(device: int) -> Iterator[int]:
    """Of those that are served here."""
    for index in range(_MOST_MODES):
        try:
            found = _ioctl(device, v4l2.ENUM_FMT, v4l2.FormatDescription(index=index, type=v4l2.CAPTURE))
        except OSError:
            return
        if found.pixelformat in (*JPEG, YUYV):
            yield found.pixelformat


def _sizes(device: int, format: int) -> Iterator[tuple[int, int]]:
    for index in range(_MOST_MODES):
        try:
            found = _ioctl(device, v4l2.ENUM_FRAMESIZES, v4l2.FrameSize(index=index, pixel_format=format))
        except OSError:
            return
        if found.type == v4l2.DISCRETE:
            yield found.numbers[0], found.numbers[1]
        else:
            # Any size: the largest that is not larger than wanted; the driver rounds it to its steps.
            _least, width, _step, _least_height, height, _step_height = found.numbers
            shrink = min(1.0, WANTED_SIDE / max(width, height, 1))
            yield round(width * shrink), round(height * shrink)
            return


def _rate(device: int, format: int, width: int, height: int) -> float:
    """Of the shortest interval; a driver that does not tell is believed to be fast enough."""
    rates = []
    for index in range(_MOST_MODES):
        asked = v4l2.FrameInterval(index=index, pixel_format=format, width=width, height=height)
        try:
            found = _ioctl(device, v4l2.ENUM_FRAMEINTERVALS, asked)
        except OSError:
            break
        rates.append(found.numbers[1] / max(1, found.numbers[0]))
        if found.type != v4l2.DISCRETE:
            break
    return max(rates, default=LEAST_RATE)


def _can_capture(about: v4l2.Capability) -> bool:
    does = about.device_caps if about.capabilities & v4l2.CAP_DEVICE_CAPS else about.capabilities
    needed = v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_STREAMING
    return bool(does & needed == needed)


def _has_lens(device: int) -> bool:
    """The parts of a board's picture processor capture too, from memory."""
    source = _ioctl(device, v4l2.ENUMINPUT, v4l2.Input())
    return bool(source.type == v4l2.INPUT_CAMERA)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _ioctl(device: int, request: int, value: Value) -> Value:
    """Filled in by the kernel."""
    while True:
        try:
            fcntl.ioctl(device, request, value)
            return value
        except InterruptedError:  # the window was resized meanwhile
            continue


def _text(characters: bytes) -> str:
    return bytes(characters).partition(b"\0")[0].decode("utf-8", "replace").strip()
