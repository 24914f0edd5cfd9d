"""The part of the kernel's <linux/videodev2.h> that is spoken here, as a 64-bit system lays it out."""

from __future__ import annotations

from ctypes import Structure, Union, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_ulong, sizeof

CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE"""
MMAP = 1
"""V4L2_MEMORY_MMAP"""
CAP_VIDEO_CAPTURE = 0x1
CAP_STREAMING = 0x04000000
CAP_DEVICE_CAPS = 0x80000000
FLAG_ERROR = 0x40
"""V4L2_BUF_FLAG_ERROR: the content is damaged."""
INPUT_CAMERA = 2
"""V4L2_INPUT_TYPE_CAMERA"""
DISCRETE = 1
"""V4L2_FRMSIZE_TYPE_DISCRETE, and V4L2_FRMIVAL_TYPE_DISCRETE."""
FULL_RANGE = 1
"""V4L2_QUANTIZATION_FULL_RANGE"""


def fourcc(code: str) -> int:
    return int.from_bytes(code.encode("ascii"), "little")


class Capability(Structure):
    _fields_ = (
        ("driver", c_uint8 * 16),
        ("card", c_uint8 * 32),
        ("bus_info", c_uint8 * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class Input(Structure):
    _fields_ = (
        ("index", c_uint32),
        ("name", c_uint8 * 32),
        ("type", c_uint32),
        ("audioset", c_uint32),
        ("tuner", c_uint32),
        ("std", c_uint64),
        ("status", c_uint32),
        ("capabilities", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FormatDescription(Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_uint8 * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FrameSize(Structure):
    """The union holds width and height, or the least, the largest and the step of each."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("numbers", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    )


class FrameInterval(Structure):
    """The union begins with the only, or the shortest, interval: numerator and denominator of seconds."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("numbers", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    )


class PixFormat(Structure):
    _fields_ = (
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        ("colorspace", c_uint32),
        ("priv", c_uint32),
        ("flags", c_uint32),
        ("ycbcr_enc", c_uint32),
        ("quantization", c_uint32),
        ("xfer_func", c_uint32),
    )


class _FormatUnion(Union):
    # One of its members holds pointers, so that it is aligned as they are.
    _fields_ = (("pix", PixFormat), ("raw", c_uint8 * 200), ("aligned", c_uint64))


class Format(Structure):
    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class RequestBuffers(Structure):
    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint8),
        ("reserved", c_uint8 * 3),
    )


class _Where(Union):
    _fields_ = (("offset", c_uint32), ("userptr", c_ulong), ("fd", c_int32))


class Buffer(Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("timestamp", c_int64 * 2),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _Where),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    )


_WRITE, _READ = 1, 2


def _request(direction: int, number: int, size: int) -> int:
    """_IOC() of <asm-generic/ioctl.h>, for the type 'V'."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _request(_READ, 0, sizeof(Capability))
ENUM_FMT = _request(_READ | _WRITE, 2, sizeof(FormatDescription))
S_FMT = _request(_READ | _WRITE, 5, sizeof(Format))
REQBUFS = _request(_READ | _WRITE, 8, sizeof(RequestBuffers))
QUERYBUF = _request(_READ | _WRITE, 9, sizeof(Buffer))
QBUF = _request(_READ | _WRITE, 15, sizeof(Buffer))
DQBUF = _request(_READ | _WRITE, 17, sizeof(Buffer))
STREAMON = _request(_WRITE, 18, sizeof(c_int32))
STREAMOFF = _request(_WRITE, 19, sizeof(c_int32))
ENUMINPUT = _request(_READ | _WRITE, 26, sizeof(Input))
ENUM_FRAMESIZES = _request(_READ | _WRITE, 74, sizeof(FrameSize))
ENUM_FRAMEINTERVALS = _request(_READ | _WRITE, 75, sizeof(FrameInterval))
