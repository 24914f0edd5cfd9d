"""Builds of ONNX Runtime for other providers, for real: `make provider-test` installs them, nothing else collects this.

OpenVINO answers the golden photographs; CUDA and TensorRT, on a machine without them, are refused in one line.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OPENVINO, CUDA = (ROOT / f".venv-{name}" / "bin" / "python" for name in ("openvino", "cuda"))
PHOTO = next((ROOT / "artifacts" / "samples").glob("melanoma-*.jpg"))


def dermedge(interpreter: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # The checkout's own code: these environments hold the libraries only.
    environment = os.environ | {"PYTHONPATH": str(ROOT / "runtime")}
    full = [str(interpreter), "-m", "dermedge", *command]
    return subprocess.run(full, capture_output=True, text=True, env=environment, check=False, timeout=600)


@pytest.mark.parametrize("more", [[], ["--threads", "1"], ["--low-memory"]])
def test_openvino_answers_and_every_result_says_so(more: list[str]) -> None:
    done = dermedge(OPENVINO, "scan", str(PHOTO), "--json", "--provider", "openvino", *more)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["provider"] == "OpenVINOExecutionProvider"
    assert done.stderr == ""


def test_openvino_is_held_to_the_golden_photographs() -> None:
    done = dermedge(OPENVINO, "doctor", "--provider", "openvino", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    assert checks["provider"]["detail"].startswith("OpenVINOExecutionProvider")
    golden = [check for name, check in checks.items() if name.startswith("golden/")]
    assert golden and all(check["state"] == "ok" for check in golden)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has the GPU that the test wants absent")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "auto"])
def test_a_gpu_build_without_a_gpu_is_one_line_that_names_the_library_and_no_cpu_run(provider: str) -> None:
    done = dermedge(CUDA, "scan", str(PHOTO), "--provider", provider)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert "did not start (lib" in line and "cannot open shared object file" in line and "provider cpu" in line


def test_a_gpu_build_runs_on_the_cpu_where_that_is_asked_for() -> None:
    done = dermedge(CUDA, "scan", str(PHOTO), "--json", "--provider", "cpu")
    assert json.loads(done.stdout)["provider"] == "CPUExecutionProvider", done.stderr


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has the GPU that the test wants absent")
def test_the_doctor_says_which_library_is_missing_and_what_to_do() -> None:
    done = dermedge(CUDA, "doctor", "--provider", "cuda", "--json")
    [check] = [check for check in json.loads(done.stdout)["checks"] if check["state"] == "fail"]
    assert (check["area"], check["name"]) == ("providers", "provider")
    assert "--provider cpu" in check["remedy"]
    assert done.returncode == 1
