"""What this machine is, as far as it explains a measurement: no name, no user, no address, no serial number."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

FASTER = ("asimddp", "i8mm", "avx2", "avx_vnni", "avx512_vnni", "amx_int8")
"""Instructions that decide how fast int8 runs, as Linux names them."""
LIBRARIES = ("numpy", "pillow", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")


@dataclass(frozen=True, slots=True)
class Machine:
    """Empty strings and None where the system does not say."""

    board: str
    """As its maker wrote it into the device tree: Raspberry Pi 4 Model B Rev 1.4."""
    processor: str
    architecture: str
    processors: int
    cores_used: int
    megahertz: int | None
    """The highest clock that the processor offers."""
    memory_mb: int | None
    instructions: tuple[str, ...]
    """Of those in FASTER."""
    system: str
    python: str
    libraries: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "instructions": list(self.instructions)}


def this_machine(root: Path = Path("/")) -> Machine:
    """`root` is where the system's own files are looked for."""
    from .graph import usable_cores

    cpuinfo = _text(root / "proc/cpuinfo")
    flags = set(_field(cpuinfo, "flags").split()) | set(_field(cpuinfo, "Features").split())
    kilohertz = _text(root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").strip()
    memory = _field(_text(root / "proc/meminfo"), "MemTotal").split()
    return Machine(
        board=_text(root / "proc/device-tree/model").strip("\0 \n"),
        processor=_field(cpuinfo, "model name") or _arm_core(cpuinfo),
        architecture=platform.machine(),
        processors=os.cpu_count() or 1,
        cores_used=usable_cores(),
        megahertz=int(kilohertz) // 1000 if kilohertz.isdecimal() else None,
        memory_mb=int(memory[0]) // 1024 if memory else None,
        instructions=tuple(name for name in FASTER if name in flags),
        system=_system(_text(root / "etc/os-release")),
        python=platform.python_version(),
        libraries={name: version for name in LIBRARIES if (version := _version(name))},
    )


_ARM_CORES = {
    "0xd03": "Cortex-A53", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76", "0xd42": "Cortex-A78AE", "0xd0c": "Neoverse-N1", "0xd40": "Neoverse-V1",
}  # fmt: skip


def _arm_core(cpuinfo: str) -> str:
    part = _field(cpuinfo, "CPU part")
    return _ARM_CORES.get(part, f"ARM core {part}" if part else "")


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _system(release: str) -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', release, re.MULTILINE)
    return found[1] if found else platform.system()


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def _version(name: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None
