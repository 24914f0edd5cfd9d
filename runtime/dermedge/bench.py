"""How long each step takes on this machine, how soon the first answer comes, and how much memory it needs."""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DermedgeError, UsageError
from .machine import this_machine
from .report import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .scanner import Scanner

GENERATED = "generated skin with spots, 4000 x 3000, JPEG quality 90"
MOST_COLD_STARTS = 5
SUBMISSION_SCHEMA = 1

LAUNCHER = """
import json, os, subprocess, sys, time
begun = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
answer = process.stdout.readline()
seconds = time.perf_counter() - begun
process.stdout.read()
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps([seconds, usage.ru_maxrss, process.returncode, bool(answer)]))
"""
"""Starts and measures the new process. The peak that the system accounts to a process begins with its parent's
size, so the parent must be smaller than what it measures: this one imports nothing but the standard library."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds at the median, and at the 95th percentile."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the benchmark."""

    photo: str
    photo_bytes: int
    machine: str
    pack: str
    digest: str
    provider: str
    threads: int
    low_memory: bool
    scans: int
    lesions: int
    steps: Mapping[str, Spread]
    decode: Spread
    """A full decode by Pillow of the same bytes, in turns with the scans."""
    ratio: float
    """Median scan over median full decode."""
    cold_start: Spread
    """From starting a new process to its first answer."""
    cold_starts: int
    peak_mb: float
    """Of that new process."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    *,
    pack: str | None = None,
    photo: Path | None = None,
    repeat: int = 20,
    provider: str = "auto",
    threads: int | None = None,
    low_memory: bool = False,
    cold_starts: int | None = None,
) -> Measured:
    from .scanner import Scanner

    data, described = (generate(), GENERATED) if photo is None else (_read(photo), photo.name)
    with Scanner.open(pack, provider=provider, threads=threads, low_memory=low_memory) as scanner:
        steps, decode, lesions = _warm(scanner, data, repeat)
        command = _command(scanner)
        first, peak = _cold(command, data, photo, cold_starts or min(repeat, MOST_COLD_STARTS))
        total = spread(steps["total"])
        full = spread(decode)
        from .graph import usable_cores

        return Measured(
            photo=described,
            photo_bytes=len(data),
            machine=f"{platform.machine()}, Python {platform.python_version()}",
            pack=f"{scanner.pack.ref.id} {scanner.pack.ref.version}",
            digest=scanner.pack.ref.digest,
            provider=scanner.provider,
            threads=threads or usable_cores(),
            low_memory=low_memory,
            scans=repeat,
            lesions=lesions,
            steps={step: spread(seconds) for step, seconds in steps.items()},
            decode=full,
            ratio=round(total.p50 / full.p50, 3),
            cold_start=spread(first),
            cold_starts=len(first),
            peak_mb=round(peak, 1),
        )


def table(measured: Measured) -> str:
    lines = [
        f"photograph  {printable(measured.photo)} ({measured.photo_bytes / 1e6:.1f} MB)",
        f"found       {measured.lesions} lesion(s)",
        f"machine     {measured.machine}, {measured.threads} thread(s), {measured.provider}"
        + (", low memory" if measured.low_memory else ""),
        f"pack        {measured.pack}",
        "",
        f"{'step, ms':24}{'p50':>10}{'p95':>10}    over {measured.scans} scans",
    ]
    rows = {**measured.steps, "Pillow's full decode": measured.decode}
    lines += [f"{name:24}{row.p50:10.1f}{row.p95:10.1f}" for name, row in rows.items()]
    lines += [
        "",
        f"{'total / full decode':24}{measured.ratio:10.2f}",
        f"{'cold start, ms':24}{measured.cold_start.p50:10.1f}{measured.cold_start.p95:10.1f}    "
        f"over {measured.cold_starts} new processes, to the first answer",
        f"{'peak memory, MB':24}{measured.peak_mb:10.1f}              of such a process",
    ]
    return "\n".join(lines)


def submission(measured: Measured) -> dict[str, Any]:
    """What a person can hand back: figures and what they depend on, nothing that says whose machine it was."""
    figures = measured.as_json()
    if measured.photo != GENERATED:
        figures["photo"] = "a photograph of their own"
    return {"schema": SUBMISSION_SCHEMA, "machine": this_machine().as_json(), "measured": figures}


def require_folder(path: Path) -> None:
    """Before minutes are spent on measuring."""
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: its folder does not exist; make it, or give another place")


def write_submission(measured: Measured, path: Path) -> None:
    """Written beside and renamed: the file is there whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(submission(measured), indent=2, ensure_ascii=False) + "\n")
        os.replace(part, path)  # noqa: PTH105
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); give another place") from error


def spread(seconds: list[float]) -> Spread:
    import numpy as np

    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
    return Spread(round(float(p50), 2), round(float(p95), 2))


def generate(width: int = 4000, height: int = 3000) -> bytes:
    """A JPEG of skin-like texture with three dark spots; the same work on every machine."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(20)
    shade = rng.standard_normal((height, width), np.float32)
    shade *= 6.0
    for cells, strength in ((8, 9.0), (60, 5.0), (900, 5.0)):
        shade += strength * _smooth(rng, width, height, cells)
    wobble = 0.1 * _smooth(rng, width, height, 40)
    y, x = np.ogrid[:height, :width]
    dark = np.zeros((height, width), np.float32)
    for centre_x, centre_y, radius in ((0.35, 0.45, 0.10), (0.70, 0.30, 0.05), (0.62, 0.75, 0.03)):
        distance = np.hypot((x - centre_x * width).astype(np.float32), (y - centre_y * height).astype(np.float32))
        np.maximum(dark, ((1.08 - distance / (radius * width) - wobble) / 0.16).clip(0, 1), out=dark)
    pixels = np.empty((height, width, 3), np.uint8)
    for channel, (skin, spot, gain) in enumerate(((206, 92, 1.0), (158, 58, 0.9), (134, 45, 0.8))):
        pixels[..., channel] = (skin + gain * shade - (skin - spot) * dark).clip(0, 255)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def _smooth(rng: np.random.Generator, width: int, height: int, cells: int) -> NDArray[np.float32]:
    """Noise of about `cells` bumps across."""
    import numpy as np
    from PIL import Image

    coarse = rng.standard_normal((max(2, cells * height // width), cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _read(photo: Path) -> bytes:
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise UsageError(f"{photo}: cannot be read ({error.strerror}); give a JPEG") from error
    if not data.startswith(b"\xff\xd8"):
        raise UsageError(f"{photo}: is no JPEG; the benchmark compares with the decoding of a JPEG")
    return data


def _warm(scanner: Scanner, data: bytes, repeat: int) -> tuple[dict[str, list[float]], list[float], int]:
    from PIL import Image

    steps: dict[str, list[float]] = {}
    decode: list[float] = []
    lesions = len(scanner.scan(data, name="bench.jpg").lesions)  # the first run allocates, and is not counted
    for _ in range(repeat):
        begun = time.perf_counter()
        Image.open(io.BytesIO(data)).load()
        decode.append(time.perf_counter() - begun)
        for step, seconds in scanner.scan(data, name="bench.jpg").seconds.items():
            steps.setdefault(step, []).append(seconds)
    return steps, decode, lesions


def _command(scanner: Scanner) -> list[str]:
    settings = scanner.settings
    command = [
        sys.executable,
        "-m",
        "dermedge",
        "scan",
        "--json",
        "--pack",
        str(scanner.pack.folder),
        "--provider",
        settings.provider,
    ]
    command += ["--threads", str(settings.threads)] if settings.threads else []
    return command + ["--low-memory"] * settings.low_memory


def _cold(command: list[str], data: bytes, photo: Path | None, times: int) -> tuple[list[float], float]:
    """Seconds to the first answer of new processes, and the largest peak in MB."""
    seconds: list[float] = []
    peak = 0
    with tempfile.TemporaryDirectory(prefix="dermedge-bench-") as folder:
        if photo is None:
            photo = Path(folder) / "bench.jpg"
            photo.write_bytes(data)
        for _ in range(times):
            run = subprocess.run(
                [sys.executable, "-I", "-S", "-c", LAUNCHER, *command, "--", str(photo)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            first, kilobytes, status, answered = json.loads(run.stdout)
            if status != 0 or not answered:
                raise DermedgeError(f"a new process did not answer (exit status {status}); try `dermedge doctor`")
            seconds.append(first)
            peak = max(peak, kilobytes)
    return seconds, peak / 1024
