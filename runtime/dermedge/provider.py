"""Which ONNX Runtime is installed, which of its execution providers is taken, and why one does not start."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

from .errors import ProviderError, UsageError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
BUILDS = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "tensorrt": "onnxruntime-gpu",
          "openvino": "onnxruntime-openvino"}
"""Which distribution carries which provider."""

ARM_CRASH = "1.21.0"
"""Its aarch64 build executes an instruction that a Raspberry Pi 4 lacks, already when it is imported."""
BAD_VERSIONS = {
    "1.20.0": "it loses inputs of fused layer normalisations",
    "1.24.0": "it refuses weights kept in a file of their own",
    "1.24.1": "it refuses weights kept in a file of their own",
}


BOUNDED_WAIT = (1, 26)


def numbers(version: str) -> tuple[int, ...]:
    """A release's first two numbers, to compare by."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def bounds_waiting(version: str) -> bool:
    """Whether this ONNX Runtime can be told how long a thread waits awake for work; older ones wait far too long."""
    return numbers(version) >= BOUNDED_WAIT


def check_build(version: str, machine: str) -> None:
    """Refuse builds of ONNX Runtime that crash or fail on sound graphs."""
    reason = BAD_VERSIONS.get(version)
    if version == ARM_CRASH and machine in ("aarch64", "arm64"):
        reason = "it crashes on older ARM cores"
    if reason:
        raise ProviderError(f"ONNX Runtime {version} cannot be used: {reason}; install another release")


@cache
def onnx_runtime() -> ModuleType:
    """The library, imported on first use and only once its build is known to be sound."""
    machine = platform.machine()
    if machine in ("aarch64", "arm64"):
        for name in sorted(set(BUILDS.values())):
            try:
                check_build(metadata.version(name), machine)
            except metadata.PackageNotFoundError:
                continue
    # Since 1.29 its Linux builds keep a device's identifier in the home folder and report to their maker, unless this
    # is set before they are loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError(f"ONNX Runtime cannot be imported ({one_line(error)}); "
                            "install the onnxruntime package") from error
    check_build(onnxruntime.__version__, machine)
    # A provider that does not start is logged in paragraphs besides; a person should read of it once, in one line.
    onnxruntime.set_default_logger_severity(4)
    library: ModuleType = onnxruntime
    return library


def resolve_provider(name: str, available: Iterable[str] | None = None) -> str:
    """ONNX Runtime's name for what was asked, or an error: never a provider that was not asked for."""
    present = list(onnx_runtime().get_available_providers() if available is None else available)
    if name == "auto":
        name = "cuda" if PROVIDERS["cuda"] in present else "cpu"
    if name not in PROVIDERS:
        raise UsageError(f"unknown provider {name!r}; take auto, {', '.join(PROVIDERS)}")
    if PROVIDERS[name] not in present:
        has = ", ".join(short for short, full in PROVIDERS.items() if full in present) or "none of ours"
        raise ProviderError(f"provider {name} is not in this ONNX Runtime (it has: {has}); "
                            f"install {BUILDS[name]} in place of the present build, or choose another")
    return PROVIDERS[name]


def provider_options(wanted: str, threads: int) -> list[tuple[str, dict[str, str]]]:
    """The providers to open a session with, and what each is told; ONNX Runtime adds the CPU by itself."""
    if wanted == PROVIDERS["tensorrt"]:
        cache = engine_cache()
        try:
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ProviderError(f"{cache}: TensorRT's engines cannot be kept here ({error.strerror}); "
                                "set DERMEDGE_ENGINE_CACHE to a folder of yours") from error
        kept = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(cache),
                "trt_timing_cache_enable": "1", "trt_timing_cache_path": str(cache)}
        return [(wanted, kept), (PROVIDERS["cuda"], {})]
    if wanted == PROVIDERS["openvino"]:
        return [(wanted, {"device_type": "CPU", "num_of_threads": str(threads)})]
    return [(wanted, {})]


def engine_cache() -> Path:
    """Where TensorRT keeps the engines it builds, minutes of work each: they hold the pack's weights, nothing else."""
    given = os.environ.get("DERMEDGE_ENGINE_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dermedge" / "engines"


def missing_library(provider: str) -> str | None:
    """What keeps a provider's own library from loading, in the linker's words: ONNX Runtime only logs it."""
    name = f"libonnxruntime_providers_{provider.removesuffix('ExecutionProvider').lower()}.so"
    library = Path(onnx_runtime().__file__ or "").parent / "capi" / name
    if not library.exists():
        return None
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        text = str(error)
        # It needs symbols of another library, which ONNX Runtime loads first: that is no want of anything.
        return None if "undefined symbol" in text else text
    return None


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(". ") or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
