"""What works on this box, what does not, and what to do about it."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CameraAbsent, CameraError, DermedgeError, PackError, ProviderError
from .golden import Check, State, self_test
from .provider import numbers
from .report import Style, is_unicode, printable

if TYPE_CHECKING:
    from .pack import VerifiedPack

LEAST = {"numpy": (2, 0), "pillow": (12, 3), "onnxruntime": (1, 19)}
"""As the package declares them; an environment can be changed behind its back."""
RUNTIME_BUILDS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
NEEDED_DISK_MB = 1000
"""A wide pack takes some 450 MB, and its version before stays beside it."""
SPARE_MB = 150
"""What a large photograph takes on top of what the small golden ones showed."""


def examine(pack: str | None = None, provider: str = "auto") -> list[Check]:
    """Everything, in an order in which the first failure is the one to repair first.

    The golden photographs are answered on `provider`.
    """
    checks = [*_installation()]
    if not any(check.state == "fail" for check in checks):
        checks += [*_pack(pack, provider), *_threads(), *_disk(), *_camera()]
    return [*checks, *_terminal()]


def table(checks: list[Check], style: Style) -> str:
    """One line a check, and beneath a failure what to do."""
    labels: dict[State, str] = {
        "ok": style.paint("ok  ", 36),
        "note": style.paint("note", 33),
        "fail": style.paint("FAIL", 1, 31),
    }
    column = max(len(check.name) for check in checks)
    lines: list[str] = []
    for check in checks:
        lines.append(f"{labels[check.state]}  {check.name:{column}}  {printable(check.detail)}")
        if check.remedy:
            lines.append(style.wrap("-> ", printable(check.remedy), indent=" " * (column + 8)))
    failed = sum(check.state == "fail" for check in checks)
    lines += ["", f"{failed} of {len(checks)} checks failed" if failed else "everything that is needed works"]
    return "\n".join(lines)


def _installation() -> Iterator[Check]:
    yield Check("installation", "python", "ok", f"{platform.python_version()}, {platform.machine()}")
    for name, least in LEAST.items():
        yield _library(name, least)


def _library(name: str, least: tuple[int, int]) -> Check:
    from_build = [build for build in (RUNTIME_BUILDS if name == "onnxruntime" else (name,)) if _version(build)]
    if not from_build:
        return Check("installation", name, "fail", "not installed", f"pip install {name}")
    if len(from_build) > 1:
        return Check(
            "installation",
            name,
            "fail",
            f"{' and '.join(from_build)} overwrite each other's files",
            "uninstall all of them, then install the one that is wanted",
        )
    version = _version(from_build[0]) or ""
    if numbers(version) < least:
        return Check(
            "installation",
            name,
            "fail",
            f"{version} is too old",
            f"pip install --upgrade '{from_build[0]}>={least[0]}.{least[1]}'",
        )
    try:
        _load(name)
    except DermedgeError as error:
        return Check("installation", name, "fail", str(error), "see above")
    except Exception as error:
        return Check(
            "installation",
            name,
            "fail",
            f"{version} cannot be loaded ({error})",
            f"pip install --force-reinstall {from_build[0]}",
        )
    return Check("installation", name, "ok", f"{version}" + f" ({from_build[0]})" * (from_build[0] != name))


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _load(name: str) -> None:
    if name == "onnxruntime":
        import numpy as np  # first: where it is broken, ONNX Runtime's own import writes to stderr

        from .provider import onnx_runtime

        onnx_runtime()  # refuses builds that are known to be broken
    elif name == "numpy":
        import numpy as np

        np.zeros(1)
    else:
        from PIL import features

        if not features.check("jpg"):
            raise ImportError("it was built without JPEG")


def _pack(asked: str | None, provider: str) -> Iterator[Check]:
    from .pack import find, verify
    from .scanner import Scanner

    try:
        pack = verify(find(asked))
    except PackError as error:
        yield Check("pack", "pack", "fail", str(error), "dermedge pack install FOLDER, or name another with --pack")
        return
    calibrated = "" if pack.ref.calibrated else "; uncalibrated, so it never reassures"
    yield Check(
        "pack",
        "pack",
        "ok" if pack.ref.calibrated else "note",
        f"{pack.ref.id} {pack.ref.version}, every byte as listed{calibrated}",
    )
    try:
        with Scanner.open(pack.folder, provider=provider) as scanner:
            yield Check("providers", "provider", "ok", f"{scanner.provider} answers the golden photographs")
            yield from self_test(scanner)
    except ProviderError as error:
        yield Check("providers", "provider", "fail", str(error), "see docs/PROVIDERS.md, or take --provider cpu")
        return
    except DermedgeError as error:
        yield Check("pack", "graphs", "fail", str(error), "dermedge pack install FOLDER, or name another with --pack")
        return
    yield from _memory()
    yield from _providers(pack)


def _providers(pack: VerifiedPack) -> Iterator[Check]:
    """A provider that is listed may still fail for want of a driver: only opening the tower tells."""
    from .graph import GraphSettings
    from .provider import BUILDS, PROVIDERS, onnx_runtime
    from .tower import Tower

    available = onnx_runtime().get_available_providers()
    for short, full in PROVIDERS.items():
        if full not in available:
            yield Check("providers", short, "note", f"not in this ONNX Runtime; {BUILDS[short]} has it")
            continue
        try:
            Tower.open(pack, GraphSettings(provider=short))
        except DermedgeError as error:
            yield Check("providers", short, "note", str(error), "repair its driver, or scan with --provider cpu")
        else:
            yield Check("providers", short, "ok", "opens the pack's tower")


def _memory() -> Iterator[Check]:
    needed = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + SPARE_MB
    sizes = {"total": _meminfo("MemTotal"), "available": _meminfo("MemAvailable"), "limit": cgroup_limit()}
    known = {name: size for name, size in sizes.items() if size is not None}
    if not known:
        yield Check(
            "memory",
            "memory",
            "note",
            f"this system does not say how much there is; about {needed} MB are needed",
        )
        return
    detail = ", ".join(f"{size} MB {name}" for name, size in known.items()) + f"; about {needed} MB are needed"
    if min(known.values()) >= needed:
        yield Check("memory", "memory", "ok", detail)
    else:
        yield Check("memory", "memory", "note", detail, "close other programs, or scan with --low-memory")


def _meminfo(field: str) -> int | None:
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) // 1024
    return None


def cgroup_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The MB that a container grants, by cgroup v2 or v1; None where it sets no limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limit = int((root / name).read_text())
            # Version 1 writes "no limit" as a number beyond any machine.
            return limit // 2**20 if limit < 2**60 else None
    return None


def _threads() -> Iterator[Check]:
    from .graph import usable_cores

    yield Check("threads", "threads", "ok", f"{usable_cores()} of {os.cpu_count() or 1} processors are used")


def _terminal() -> Iterator[Check]:
    if not sys.stdout.isatty():
        yield Check("terminal", "terminal", "note", "stdout is no terminal; findings are printed without colours")
        return
    size = shutil.get_terminal_size()
    style = Style.of(sys.stdout)
    detail = (
        f"{size.columns} x {size.lines}, {'UTF-8' if style.unicode else sys.stdout.encoding}, "
        f"{'with' if style.colour else 'without'} colours"
    )
    if is_unicode(sys.stdout) and size.columns >= 80 and size.lines >= 24:
        yield Check("terminal", "terminal", "ok", detail)
    else:
        yield Check(
            "terminal",
            "terminal",
            "note",
            detail,
            "best is UTF-8 (LANG=C.UTF-8) and 80 x 24 or more; plain ASCII is used otherwise",
        )


def _disk() -> Iterator[Check]:
    from .pack import store

    folder = store.root()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free // 2**20
    if not os.access(existing, os.W_OK):
        yield Check(
            "disk",
            "pack store",
            "note",
            f"{folder} cannot be written",
            "set XDG_DATA_HOME to a folder of yours if packs are to be installed",
        )
    elif free < NEEDED_DISK_MB:
        yield Check("disk", "pack store", "note", f"{folder}, {free} MB free", "make room before installing a pack")
    else:
        yield Check("disk", "pack store", "ok", f"{folder}, {free} MB free")


def _camera() -> Iterator[Check]:
    from .camera import cameras

    try:
        found = ", ".join(f"{camera.name} ({camera.id})" for camera in cameras())
    except CameraAbsent:
        yield Check("camera", "camera", "note", "none; photographs can be read from files all the same")
    except CameraError as error:
        wrong, _, remedy = str(error).partition("; ")
        yield Check("camera", "camera", "note", wrong, remedy)
    else:
        yield Check("camera", "camera", "ok", found)
