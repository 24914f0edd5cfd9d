from __future__ import annotations

import getpass
import json
import platform
import socket
from pathlib import Path

import pytest

from dermedge.machine import this_machine

PI_4 = {
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n"
                    "Serial\t\t: 100000001a2b3c4d\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/meminfo": "MemTotal:        3884320 kB\nMemFree: 1 kB\n",
    "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
}  # fmt: skip
LAPTOP = {
    "proc/cpuinfo": "model name\t: AMD Ryzen 7\nflags\t\t: fpu avx2 avx_vnni avx512_vnni_not\n",
}


def system(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_board_is_told_by_its_device_tree_and_core(tmp_path: Path) -> None:
    machine = this_machine(system(tmp_path, PI_4))
    assert (machine.board, machine.processor) == ("Raspberry Pi 4 Model B Rev 1.4", "Cortex-A72")
    assert (machine.megahertz, machine.memory_mb, machine.instructions) == (1800, 3793, ())
    assert machine.system == "Debian GNU/Linux 12 (bookworm)"


def test_a_pc_is_told_by_its_model_name_and_its_int8_instructions(tmp_path: Path) -> None:
    machine = this_machine(system(tmp_path, LAPTOP))
    assert (machine.board, machine.processor, machine.instructions) == ("", "AMD Ryzen 7", ("avx2", "avx_vnni"))


def test_a_system_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    machine = this_machine(tmp_path)
    assert (machine.board, machine.processor, machine.megahertz, machine.memory_mb) == ("", "", None, None)
    assert machine.cores_used >= 1


def test_no_serial_number_leaves_the_machine(tmp_path: Path) -> None:
    assert "1a2b3c4d" not in json.dumps(this_machine(system(tmp_path, PI_4)).as_json())


def test_neither_host_nor_user_is_named() -> None:
    told = json.dumps(this_machine().as_json())
    names = {socket.gethostname(), platform.node(), getpass.getuser(), str(Path.home())}
    for name in names - {"", "root", "localhost"}:
        assert name not in told


def test_this_machines_libraries_are_named_with_their_versions() -> None:
    libraries = this_machine().libraries
    assert {"numpy", "pillow"} <= libraries.keys()
    with pytest.raises(KeyError):
        libraries["textual"]
