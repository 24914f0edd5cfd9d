"""The runtime and a pack on emulated processors, against their answers on this machine. Run by `make arm-test`.

Not collected by the ordinary test run: the name says so to pytest, and the root of `root.py` has to be there.
QUICK=1 takes one processor of each architecture, two photographs, and a small pack for the installations.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tiny_attention
import tiny_pack
from arm import root as arm_root
from dermedge_export.siglip import scores

CHECKOUT = arm_root.CHECKOUT
PACK = Path(os.environ.get("PACK") or CHECKOUT / "artifacts" / "compact").absolute()
QUICK = os.environ.get("QUICK") not in (None, "", "0")
SAMPLES = sorted((CHECKOUT / "artifacts" / "samples").glob("*.jpg"))
# A pack may have taken its golden photographs from the samples: each is looked at once.
PHOTOGRAPHS = list({photo.read_bytes(): photo for photo in (*PACK.glob("golden/*.[jp]*g"), *SAMPLES)}.values())
PHOTOGRAPHS = sorted(PHOTOGRAPHS)[: 2 if QUICK else None]
TIMEOUT = 900

# The embeddings of each photograph in full and of its left half, so that padding is in play too.
EMBED = """
import json, sys
from dermedge import Scanner
from dermedge.photo import read_photo
from dermedge.result import Box
with Scanner.open(sys.argv[1], provider="cpu") as scanner:
    for name in sys.argv[2:]:
        with open(name, "rb") as file:
            photo = read_photo(file.read(), name=name)
        boxes = photo.frame, Box(0, 0, photo.width / 2, photo.height)
        print(json.dumps([scanner.tower.embed(scanner.crop(photo, box)).vector.tolist() for box in boxes]))
"""
HWCAP = "import ctypes; print(ctypes.CDLL(None).getauxval(16))"
DOT_PRODUCT = 1 << 20
"""In aarch64's hardware capabilities, asimddp."""
MULTIPLY = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(session.run(None, {"a": np.full((4, 64), 255, np.uint8)})[0].ravel()[0])
"""
ATTEND = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(json.dumps(session.run(["y"], dict(np.load(sys.argv[2])))[0].ravel().tolist()))
"""


@dataclass(frozen=True)
class Machine:
    """A processor to run on: emulated, or this one."""

    name: str
    architecture: str = ""
    cpu: str = ""
    part: str = ""
    """What an ARM core answers when asked which it is."""

    def run(self, *arguments: str | Path, status: int = 0, **more: str) -> str:
        """Python's standard output."""
        command: list[str | Path] = [sys.executable]
        environment = dict(os.environ) | {"PYTHONDONTWRITEBYTECODE": "1"} | more
        if self.architecture == "aarch64":
            root = arm_root.existing()
            # qemu 7 shows the host's file, and ONNX Runtime aborts on finding no ARM core in it.
            (root.folder / "proc" / "cpuinfo").write_text(self.cpuinfo())
            command = ["qemu-aarch64", "-L", root.folder, "-cpu", self.cpu, root.python]
            environment["PYTHONPATH"] = str(root.site)
        elif self.architecture:
            command = ["qemu-x86_64", "-cpu", self.cpu, sys.executable]
        line = [str(part) for part in (*command, *arguments)]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        assert done.returncode == status, f"{line} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def dermedge(self, *arguments: str | Path, **more: str) -> list[Any]:
        """The JSON that the command prints, a line each where it prints several."""
        text = self.run("-m", "dermedge", *arguments, "--json", **more)
        try:
            return [json.loads(text)]
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines()]

    def cpuinfo(self) -> str:
        """What Linux shows as /proc/cpuinfo on such a machine."""
        dot = " asimddp" if self.cpu == "cortex-a76" else ""
        one = (
            "processor\t: {}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
            f"{dot}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {self.part}\n"
            "CPU revision\t: 3\n\n"
        )
        return "".join(one.format(number) for number in range(os.cpu_count() or 1))


HERE = Machine("this machine")
A72 = Machine("Raspberry Pi 4", "aarch64", "cortex-a72", "0xd08")
A76 = Machine("Raspberry Pi 5", "aarch64", "cortex-a76", "0xd0b")
HASWELL = Machine("Haswell", "x86_64", "Haswell")
SKYLAKE = Machine("Skylake client", "x86_64", "Skylake-Client")

ARM = (A72,) if QUICK else (A72, A76)
X86 = (HASWELL,) if QUICK else (HASWELL, SKYLAKE)
every_machine = pytest.mark.parametrize("machine", (*ARM, *X86), ids=lambda machine: machine.cpu)
every_arm = pytest.mark.parametrize("machine", ARM, ids=lambda machine: machine.cpu)
every_x86 = pytest.mark.parametrize("machine", X86, ids=lambda machine: machine.cpu)


@cache
def expected_scans() -> list[Any]:
    return HERE.dermedge("scan", *PHOTOGRAPHS, "--pack", PACK, "--provider", "cpu")


@cache
def expected_embeddings() -> list[Any]:
    return [json.loads(line) for line in HERE.run("-c", EMBED, PACK, *PHOTOGRAPHS).splitlines()]


@cache
def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PACK / "pack.json").read_text())["golden"]
    return found


def test_there_is_something_to_compare() -> None:
    assert len(PHOTOGRAPHS) >= (2 if QUICK else 5)
    assert sum(len(scan["lesions"]) for scan in expected_scans()) > 0


@pytest.mark.parametrize(("machine", "dot_product"), ((A72, False), (A76, True)), ids=("cortex-a72", "cortex-a76"))
def test_the_two_arm_cores_differ_in_the_dot_product(machine: Machine, dot_product: bool) -> None:
    assert machine.run("-c", "import platform; print(platform.machine())").strip() == "aarch64"
    assert bool(int(machine.run("-c", HWCAP)) & DOT_PRODUCT) is dot_product


@every_x86
def test_an_x86_without_vnni_saturates_signed_weights(machine: Machine, tmp_path: Path) -> None:
    """The control: on these processors a full-range int8 graph is wrong, so the tests below can fail."""
    weights = numpy_helper.from_array(np.full((64, 8), 127, np.int8), "b")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
        "control",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [4, 64])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [4, 8])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(tmp_path / "control.onnx"))
    assert int(machine.run("-c", MULTIPLY, tmp_path / "control.onnx")) < 255 * 127 * 64


@every_machine
def test_attention_with_scores_in_int8_answers_as_here(machine: Machine, tmp_path: Path) -> None:
    """The large tower's, with queries and keys at both ends of their steps: with one bit more, products overflow."""
    onnx.save(scores.in_int8(tiny_attention.fused()), str(tmp_path / "attention.onnx"))
    np.savez(tmp_path / "given.npz", **{name: np.sign(value) for name, value in tiny_attention.given().items()})
    command = ("-c", ATTEND, tmp_path / "attention.onnx", tmp_path / "given.npz")
    found, expected = (np.array(json.loads(each.run(*command))) for each in (machine, HERE))
    assert found == pytest.approx(expected, abs=1e-4)


@every_machine
def test_doctor_finds_nothing_wrong(machine: Machine) -> None:
    (report,) = machine.dermedge("doctor", "--pack", PACK)
    checks = {check["name"]: check for check in report["checks"]}
    assert machine.architecture in checks["python"]["detail"]
    for photo in golden()["photos"]:
        assert checks[photo["photo"]]["state"] == "ok"
    assert [check for check in report["checks"] if check["state"] == "fail"] == []


def straddled(modality: str, lesion: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The cuts that lie between two machines' masses for one lesion, and so may part their levels."""
    cuts = json.loads((PACK / "pack.json").read_text())["triage"][modality]
    values = {name: cut["value"] if isinstance(cut, dict) else cut for name, cut in cuts.items()}
    between = [sorted((lesion[mass], other[mass])) for mass in ("malignant", "referral")]
    return [name for name, value in values.items() if any(low <= value <= high for low, high in between)]


@every_machine
def test_the_samples_are_answered_as_here(machine: Machine) -> None:
    """Rounding may carry a mass over a cut that it all but touches; nothing else may change a level."""
    scans = machine.dermedge("scan", *PHOTOGRAPHS, "--pack", PACK, "--provider", "cpu")
    tolerance = golden()
    for scan, expected in zip(scans, expected_scans(), strict=True):
        assert (scan["photo"], scan["modality"]) == (expected["photo"], expected["modality"])
        for lesion, other in zip(scan["lesions"], expected["lesions"], strict=True):
            assert lesion["box"] == pytest.approx(other["box"], abs=tolerance["box_pixels"])
            assert lesion["probabilities"] == pytest.approx(other["probabilities"], abs=tolerance["probability"])
            cuts = straddled(scan["modality"], lesion, other)
            assert lesion["level"] == other["level"] or cuts, (scan["photo"], lesion["level"], other["level"])


@every_machine
def test_the_embeddings_are_those_of_here(machine: Machine) -> None:
    found = [json.loads(line) for line in machine.run("-c", EMBED, PACK, *PHOTOGRAPHS).splitlines()]
    cosines = (np.array(found) * np.array(expected_embeddings())).sum(axis=-1)
    assert cosines.shape == (len(PHOTOGRAPHS), 2)
    assert cosines.min() >= golden()["cosine"], cosines


def variant(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The pack with another manifest."""
    if QUICK:
        tiny_pack.build(folder, id=pack_id())
    else:
        shutil.copytree(PACK, folder)
    return tiny_pack.edit_manifest(folder, change)


@cache
def pack_id() -> str:
    found: str = json.loads((PACK / "pack.json").read_text())["id"]
    return found


@every_arm
def test_a_pack_is_installed_upgraded_and_rolled_back(machine: Machine, tmp_path: Path) -> None:
    old = variant(tmp_path / "old", lambda document: document.update(version="1.0.0"))
    new = variant(tmp_path / "new", lambda document: document.update(version="1.1.0"))
    store = {"DERMEDGE_PACKS": str(tmp_path / "packs")}

    def current() -> list[str]:
        (listed,) = HERE.dermedge("pack", "list", **store)
        return [row["name"][:5] for row in listed["packs"] if row["id"] == pack_id() and row["current"]]

    machine.dermedge("pack", "install", old, **store)
    machine.dermedge("pack", "install", new, **store)
    assert current() == ["1.1.0"]
    machine.dermedge("pack", "rollback", pack_id(), **store)
    assert current() == ["1.0.0"]


@every_arm
def test_a_pack_that_answers_otherwise_is_refused(machine: Machine, tmp_path: Path) -> None:
    def shift(document: dict[str, Any]) -> None:
        document["golden"]["photos"][0]["boxes"][0][0] += 30

    pack = variant(tmp_path / "shifted", shift)
    machine.run("-m", "dermedge", "pack", "install", pack, status=4, DERMEDGE_PACKS=str(tmp_path / "packs"))
