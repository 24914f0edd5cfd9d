from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import tiny_pack
from dermedge import provider
from dermedge.doctor import examine
from dermedge.errors import ProviderError, UsageError
from dermedge.provider import (
    bounds_waiting,
    check_build,
    engine_cache,
    missing_library,
    provider_options,
    resolve_provider,
)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
TENSORRT, OPENVINO = "TensorrtExecutionProvider", "OpenVINOExecutionProvider"


@pytest.mark.parametrize(
    ("name", "available", "expected"),
    [
        ("auto", [CPU], CPU),
        ("auto", [CUDA, CPU], CUDA),
        ("auto", [TENSORRT, OPENVINO, CPU], CPU),
        ("cpu", [CUDA, CPU], CPU),
        ("cuda", [CUDA, CPU], CUDA),
        ("tensorrt", [TENSORRT, CUDA, CPU], TENSORRT),
        ("openvino", [OPENVINO, CPU], OPENVINO),
    ],
)
def test_provider_is_the_one_asked_for(name: str, available: list[str], expected: str) -> None:
    assert resolve_provider(name, available) == expected


@pytest.mark.parametrize(("name", "package"), [("cuda", "onnxruntime-gpu"), ("tensorrt", "onnxruntime-gpu"),
                                               ("openvino", "onnxruntime-openvino")])
def test_absent_provider_is_an_error_that_says_what_is_there_and_what_to_install(
    name: str, package: str
) -> None:
    with pytest.raises(ProviderError, match=rf"{name} is not in .*\(it has: cpu\).*install {package} "):
        resolve_provider(name, [CPU])


def test_unknown_provider_is_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match="'gpu'"):
        resolve_provider("gpu", [CPU])


@pytest.mark.parametrize(
    ("version", "machine", "refused"),
    [
        ("1.20.0", "x86_64", True),
        ("1.24.0", "x86_64", True),
        ("1.24.1", "aarch64", True),
        ("1.21.0", "aarch64", True),
        ("1.21.0", "arm64", True),
        ("1.21.0", "x86_64", False),
        ("1.21.1", "aarch64", False),
        ("1.24.2", "x86_64", False),
    ],
)
def test_bad_builds_are_refused(version: str, machine: str, refused: bool) -> None:
    if refused:
        with pytest.raises(ProviderError, match=f"{version} cannot be used"):
            check_build(version, machine)
    else:
        check_build(version, machine)


def in_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_build_that_crashes_on_import_is_refused_before_it_is_imported() -> None:
    said = in_new_process(
        "import platform, sys\n"
        "from importlib import metadata\n"
        "from dermedge import errors, provider\n"
        "platform.machine = lambda: 'aarch64'\n"
        "provider.ARM_CRASH = metadata.version('onnxruntime')\n"
        "try: provider.onnx_runtime()\n"
        "except errors.ProviderError as error: print('onnxruntime' in sys.modules, error)\n"
    )
    assert said.startswith("False ONNX Runtime ") and "older ARM cores" in said


def test_a_sound_build_is_imported_on_arm_too() -> None:
    said = in_new_process(
        "import platform\n"
        "from dermedge import provider\n"
        "platform.machine = lambda: 'aarch64'\n"
        "print(provider.onnx_runtime().__name__)\n"
    )
    assert said == "onnxruntime\n"


def test_missing_onnx_runtime_is_one_line_that_says_what_to_install() -> None:
    said = in_new_process(
        "import sys\n"
        "sys.modules['onnxruntime'] = None\n"
        "from dermedge import errors, provider\n"
        "try: provider.resolve_provider('cpu')\n"
        "except errors.ProviderError as error: print(error)\n"
    )
    assert "install the onnxruntime package" in said and said.count("\n") == 1


@pytest.mark.parametrize("name", [CPU, CUDA])
def test_the_cpu_and_cuda_are_told_nothing(name: str) -> None:
    assert provider_options(name, 2) == [(name, {})]


def test_openvino_keeps_to_the_threads_that_were_given() -> None:
    assert provider_options(OPENVINO, 3) == [(OPENVINO, {"device_type": "CPU", "num_of_threads": "3"})]


def test_tensorrt_keeps_its_engines_where_only_their_owner_can_change_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMEDGE_ENGINE_CACHE", str(tmp_path / "engines"))
    (name, told), (beside, _) = provider_options(TENSORRT, 2)
    assert (name, beside) == (TENSORRT, CUDA)
    assert told["trt_engine_cache_enable"] == "1"
    assert Path(told["trt_engine_cache_path"]) == tmp_path / "engines" == engine_cache()
    assert (tmp_path / "engines").stat().st_mode & 0o777 == 0o700


def test_engines_lie_in_the_persons_cache_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DERMEDGE_ENGINE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engine_cache() == tmp_path / "dermedge" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert engine_cache() == Path.home() / ".cache" / "dermedge" / "engines"


def test_a_cache_that_cannot_be_made_is_an_error_that_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DERMEDGE_ENGINE_CACHE", str(tmp_path / "file" / "engines"))
    with pytest.raises(ProviderError, match=r"engines: TensorRT's engines cannot be kept here .*DERMEDGE_ENGINE_CACHE"):
        provider_options(TENSORRT, 2)


def test_what_keeps_a_providers_library_from_loading_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_library(CUDA) is None  # not in this build at all
    monkeypatch.setattr(provider, "onnx_runtime", lambda: SimpleNamespace(__file__=str(tmp_path / "__init__.py")))
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_text("no library")
    reason = missing_library(CUDA)
    assert reason is not None and "libonnxruntime_providers_cuda.so" in reason


def test_nothing_is_logged_besides_the_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from dermedge.provider import onnx_runtime as o; o().InferenceSession(b'x')"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "[E:onnxruntime" not in done.stderr and "InvalidProtobuf" in done.stderr


def test_the_doctor_answers_the_golden_photographs_on_the_provider_that_is_asked_for(tmp_path: Path) -> None:
    pack = str(tiny_pack.build(tmp_path / "tiny"))
    checks = {check.name: check for check in examine(pack, "cpu")}
    assert checks["provider"].detail == f"{CPU} answers the golden photographs"
    assert checks["golden/phone.png"].state == "ok"
    refused = {check.name: check for check in examine(pack, "openvino")}
    assert (refused["provider"].state, refused["provider"].exit_status) == ("fail", 1)
    assert "onnxruntime-openvino" in refused["provider"].detail
    assert "golden/phone.png" not in refused


@pytest.mark.parametrize(("version", "bounds"), [("1.9.1", False), ("1.25.1", False), ("1.26.0", True), ("2.0", True)])
def test_threads_wait_awake_only_where_that_has_an_end(version: str, bounds: bool) -> None:
    assert bounds_waiting(version) is bounds
