"""The one place that opens an ONNX graph: provider, threads, memory, and whether it keeps its contract."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import GraphInvalid, ProviderError, UsageError
from .provider import (
    PROVIDERS,
    bounds_waiting,
    missing_library,
    one_line,
    onnx_runtime,
    provider_options,
    resolve_provider,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions, SessionOptions

Shape = tuple[int | None, ...]
Contract = Mapping[str, tuple[str, Shape | None]]
"""Name -> numpy dtype and shape. None for a side: any length; None for the shape: anything at all."""

DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16",
          "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32",
          "tensor(int8)": "int8", "tensor(bool)": "bool"}

HINT = "Run dermedge doctor: this machine and this pack may not fit together."

SPIN_US = "200"
"""Microseconds that a thread waits awake for the next operation, most of which come sooner than it could be woken."""

M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 1 << 20
"""The C library's name for a limit, and the bytes from which --low-memory has freed memory go back at once."""


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """How graphs are run on this box."""

    provider: str = "auto"
    threads: int | None = None
    """None: one a physical core that this process may use."""
    low_memory: bool = False
    """Keep weights mapped, and give back after every run what it took: slower, for a box with 1 GB."""

    def __post_init__(self) -> None:
        if self.provider != "auto" and self.provider not in PROVIDERS:
            raise UsageError(f"unknown provider {self.provider!r}; take auto, {', '.join(PROVIDERS)}")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"threads must be at least 1, not {self.threads}")


def usable_cores() -> int:
    """Physical cores within this process's affinity and CPU quota."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:
        return os.cpu_count() or 1
    cores = {_core_of(cpu) for cpu in allowed}
    quota = _cpu_quota()
    return max(1, len(cores) if quota is None else min(len(cores), int(quota)))


def _core_of(cpu: int) -> tuple[str, str]:
    folder = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    try:
        return ((folder / "physical_package_id").read_text(), (folder / "core_id").read_text())
    except OSError:
        return ("cpu", str(cpu))


def _cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """CPUs' worth of time that a container grants, by cgroup v2 or v1."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((root / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return float(quota) / float(period)
    return None


class Graph:
    """An opened graph that keeps its contract; safe to run from several threads."""

    def __init__(
        self, session: InferenceSession, name: str, outputs: Contract, run_options: RunOptions | None = None
    ) -> None:
        self._session = session
        self._run_options = run_options
        self._name = name
        self._outputs = outputs
        self.provider: str = session.get_providers()[0]

    @classmethod
    def open(cls, model: bytes | Path, settings: GraphSettings, inputs: Contract, outputs: Contract,
             name: str = "graph") -> Graph:
        """Open a graph whose bytes were verified; `name` is how errors call it."""
        wanted = resolve_provider(settings.provider)
        providers = provider_options(wanted, settings.threads or usable_cores())
        source = model if isinstance(model, bytes) else str(model)
        try:
            session = onnx_runtime().InferenceSession(
                source, _options(settings), providers=providers, enable_fallback=0)
        except Exception as error:
            raise _opening_error(wanted, name, error) from error
        session.disable_fallback()
        active = session.get_providers()[0]
        if active != wanted:
            raise ProviderError(f"{wanted} did not start ({missing_library(wanted) or 'no device that it can use'}); "
                                "install what it needs, or ask for provider cpu")
        _check(name, "input", session.get_inputs(), inputs, exact=True)
        _check(name, "output", session.get_outputs(), outputs, exact=False)
        # Other providers bring memory of their own, which need not be a pool that can shrink.
        frugal = settings.low_memory and wanted == PROVIDERS["cpu"]
        return cls(session, name, outputs, _giving_back() if frugal else None)

    def run(self, feeds: Mapping[str, NDArray[Any]],
            wanted: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """The contract's outputs (or those `wanted` of them), finite and of the right rank."""
        names = list(self._outputs if wanted is None else wanted)
        try:
            values = self._session.run(names, dict(feeds), self._run_options)
        except Exception as error:
            raise GraphInvalid(f"{self._name} failed to run: {one_line(error)}. {HINT}") from error
        answer = dict(zip(names, values, strict=True))
        for output, value in answer.items():
            shape = self._outputs[output][1]
            if shape is not None and not _fits(value.shape, shape):
                raise GraphInvalid(f"{self._name}: output {output} came out as {list(value.shape)} "
                                   f"instead of {_words(shape)}. {HINT}")
            if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                raise GraphInvalid(f"{self._name}: output {output} holds NaN or infinity. {HINT}")
        return answer


def _options(settings: GraphSettings) -> SessionOptions:
    options = onnx_runtime().SessionOptions()
    options.intra_op_num_threads = settings.threads or usable_cores()
    options.inter_op_num_threads = 1
    # Fatal only: every error also comes as an exception, and a person should read it once.
    options.log_severity_level = 4
    # Without a bound, two sessions that take turns in one process would starve each other.
    wait = bounds_waiting(onnx_runtime().__version__)
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if wait else "0")
    if wait:
        options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_US)
    if settings.low_memory:
        options.add_session_config_entry("session.disable_prepacking", "1")
        _give_back_what_is_freed()
    return options


def _giving_back() -> RunOptions:
    """At the end of a run; within it buffers are pooled, as new pages for each would cost more than the arithmetic."""
    options = onnx_runtime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _give_back_what_is_freed() -> None:
    """Ask the C library to return large blocks to the system when they are freed, in this whole process.

    glibc raises its own limit with every large block that it frees, up to 32 MB, and from then on keeps them: in
    pieces that the next photograph's buffers do not fit into. Half of the memory went there.
    """
    set_limit = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_limit is not None:  # other C libraries have no such limit
        set_limit(M_MMAP_THRESHOLD, LARGE_BLOCK)


def _opening_error(wanted: str, name: str, error: Exception) -> Exception:
    text = one_line(error)
    hints = ("Provider", "CUDA", "TensorRT", "OpenVINO")
    if wanted != PROVIDERS["cpu"] and any(hint in text for hint in hints):
        return ProviderError(f"{wanted} did not start ({missing_library(wanted) or text}); "
                             "install what it needs, or ask for provider cpu")
    return GraphInvalid(f"{name} was refused by ONNX Runtime: {text}. Reinstall the pack.")


def _check(name: str, kind: str, found: Sequence[Any], contract: Contract, *, exact: bool) -> None:
    nodes = {node.name: node for node in found}
    if set(contract) - set(nodes) or (exact and set(nodes) != set(contract)):
        raise GraphInvalid(f"{name}: its {kind}s are {', '.join(sorted(nodes)) or 'none'} "
                           f"instead of {', '.join(sorted(contract))}. Reinstall the pack.")
    for key, (dtype, shape) in contract.items():
        node = nodes[key]
        if DTYPES.get(node.type) != dtype:
            raise GraphInvalid(f"{name}: {kind} {key} is {node.type} instead of {dtype}. Reinstall the pack.")
        sides = [side if isinstance(side, int) else None for side in node.shape]
        if shape is not None and not _declares(sides, shape, free=kind == "input"):
            raise GraphInvalid(f"{name}: {kind} {key} is {_words(sides)} instead of {_words(shape)}. "
                               "Reinstall the pack.")


def _declares(sides: Sequence[int | None], shape: Shape, *, free: bool) -> bool:
    """Whether a declared shape can serve; an input that must take any length may not be fixed (`free`)."""
    if len(sides) != len(shape):
        return False
    return all(
        (side is None or not free) if want is None else side in (None, want)
        for side, want in zip(sides, shape, strict=True)
    )


def _fits(shape: Sequence[int], contract: Shape) -> bool:
    return len(shape) == len(contract) and all(
        want is None or side == want for side, want in zip(shape, contract, strict=True))


def _words(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("any" if side is None else str(side) for side in shape) + "]"
