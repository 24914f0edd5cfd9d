"""Structures and request numbers, against the kernel's own header."""

from __future__ import annotations

import subprocess
from ctypes import sizeof
from pathlib import Path

from dermedge.camera import videodev2

STRUCTURES = {
    "Capability": ("v4l2_capability", ("driver", "card", "capabilities", "device_caps")),
    "Input": ("v4l2_input", ("index", "name", "type", "std", "status", "capabilities")),
    "FormatDescription": ("v4l2_fmtdesc", ("index", "type", "flags", "description", "pixelformat")),
    "FrameSize": ("v4l2_frmsizeenum", ("index", "pixel_format", "type", "numbers=discrete")),
    "FrameInterval": ("v4l2_frmivalenum", ("index", "pixel_format", "width", "height", "type", "numbers=discrete")),
    "PixFormat": (
        "v4l2_pix_format",
        ("width", "height", "pixelformat", "field", "bytesperline", "sizeimage", "quantization"),
    ),
    "Format": ("v4l2_format", ("type", "fmt")),
    "RequestBuffers": ("v4l2_requestbuffers", ("count", "type", "memory", "capabilities", "flags")),
    "Buffer": (
        "v4l2_buffer",
        ("index", "type", "bytesused", "flags", "field", "timestamp", "timecode", "sequence", "memory", "m", "length"),
    ),
}
REQUESTS = (
    "QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON", "STREAMOFF", "ENUMINPUT",
    "ENUM_FRAMESIZES", "ENUM_FRAMEINTERVALS",
)
CONSTANTS = {
    "CAPTURE": "V4L2_BUF_TYPE_VIDEO_CAPTURE",
    "MMAP": "V4L2_MEMORY_MMAP",
    "CAP_VIDEO_CAPTURE": "V4L2_CAP_VIDEO_CAPTURE",
    "CAP_STREAMING": "V4L2_CAP_STREAMING",
    "CAP_DEVICE_CAPS": "V4L2_CAP_DEVICE_CAPS",
    "FLAG_ERROR": "V4L2_BUF_FLAG_ERROR",
    "INPUT_CAMERA": "V4L2_INPUT_TYPE_CAMERA",
    "DISCRETE": "V4L2_FRMSIZE_TYPE_DISCRETE",
    "FULL_RANGE": "V4L2_QUANTIZATION_FULL_RANGE",
}


def test_every_layout_and_number_is_the_kernels(compiler: str, tmp_path: Path) -> None:
    ours: dict[str, int] = {}
    lines = []
    for name, (kernels, fields) in STRUCTURES.items():
        structure = getattr(videodev2, name)
        ours[name] = sizeof(structure)
        lines.append(f'SAY("{name}", sizeof(struct {kernels}));')
        for field in fields:
            own, _, theirs = field.partition("=")
            ours[f"{name}.{own}"] = getattr(structure, own).offset
            lines.append(f'SAY("{name}.{own}", offsetof(struct {kernels}, {theirs or own}));')
    for name in REQUESTS:
        ours[name] = getattr(videodev2, name)
        lines.append(f'SAY("{name}", VIDIOC_{name});')
    for name, theirs in CONSTANTS.items():
        ours[name] = getattr(videodev2, name)
        lines.append(f'SAY("{name}", {theirs});')
    for code, theirs in (("MJPG", "V4L2_PIX_FMT_MJPEG"), ("JPEG", "V4L2_PIX_FMT_JPEG"), ("YUYV", "V4L2_PIX_FMT_YUYV")):
        ours[code] = videodev2.fourcc(code)
        lines.append(f'SAY("{code}", {theirs});')
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/videodev2.h>\n"
        '#define SAY(name, value) printf("%s %lu\\n", name, (unsigned long)(value))\n'
        f"int main(void) {{ {' '.join(lines)} return 0; }}\n"
    )
    subprocess.run([compiler, "-o", tmp_path / "layout", source], check=True, timeout=60)
    printed = subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True, timeout=10).stdout
    theirs = {name: int(value) for name, value in (line.split() for line in printed.splitlines())}
    assert ours == theirs
