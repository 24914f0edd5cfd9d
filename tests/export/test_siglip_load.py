"""Checkpoints: from a folder or the hub's cache, everything read from their own files, each fault named in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import tiny_siglip
from dermedge_export.siglip.load import PINNED, CheckpointError, load

MEDSIGLIP = "google/medsiglip-448"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_siglip.shared(), tmp_path / "model"))


def edit(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        document = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))

    return change


def drop(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return change


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def cut_off(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def only_pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def test_a_folder_says_all_about_itself(folder: Path) -> None:
    found = load(str(folder))
    assert found.name == "model"
    assert found.revision.startswith("sha256:")
    assert found.scale == pytest.approx(20.0855, abs=1e-3)
    assert found.bias == -10
    assert (found.preprocessing.size, found.preprocessing.resample) == (64, "bicubic")
    assert found.preprocessing.gain[0] * 255 + found.preprocessing.offset[0] == pytest.approx(1)
    assert found.preprocessing.neutral == (128, 128, 128)


def test_preprocessing_is_what_the_file_says(folder: Path) -> None:
    edit("preprocessor_config.json", image_mean=[0.2, 0.4, 0.6], image_std=[0.1, 0.2, 0.4], resample=2)(folder)
    found = load(str(folder)).preprocessing
    assert found.resample == "bilinear"
    assert found.offset == pytest.approx((-2, -2, -1.5))
    assert found.neutral == (51, 102, 153)


def test_another_folder_is_another_revision(folder: Path) -> None:
    before = load(str(folder)).revision
    edit("preprocessor_config.json", resample=2)(folder)
    assert load(str(folder)).revision != before


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (drop("config.json"), "config.json is missing"),
        (write("config.json", "{"), "no JSON"),
        (edit("config.json", model_type="clip"), "architecture is clip, not siglip"),
        (edit("config.json", model_type="siglip2"), "architecture is siglip2"),
        (drop("preprocessor_config.json"), "preprocessor_config.json is missing"),
        (edit("preprocessor_config.json", image_processor_type="ViTImageProcessor"), "is for ViTImageProcessor"),
        (edit("preprocessor_config.json", image_std=...), "does not say 'image_std'"),
        (edit("preprocessor_config.json", resample=5), "something else"),
        (edit("preprocessor_config.json", size={"height": 32, "width": 32}), "takes 64 pixels"),
        (drop("spiece.model", "tokenizer.json"), "no tokenizer"),
        (drop("model.safetensors"), "download the safetensors weights"),
        (only_pickled, "pickled weights are not opened"),
        (cut_off, "model.safetensors is cut off"),
        (write("model.safetensors.index.json", '{"weight_map": {"a": "../other"}}'), "points outside"),
    ],
)
def test_each_fault_is_named_in_one_line(fault: Callable[[Path], None], said: str, folder: Path) -> None:
    fault(folder)
    with pytest.raises(CheckpointError, match=said) as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "revision", "said"),
    [
        ("no/such/folder", None, "neither a folder nor a repository"),
        ("someone/some-model", None, "name the commit"),
        (MEDSIGLIP, "main", "name the commit"),
    ],
)
def test_a_repository_needs_a_commit(model: str, revision: str | None, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        load(model, revision)


def ask(home: Path, endpoint: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: the hub's library reads its settings when it is imported."""
    code = "import sys; from dermedge_export.siglip.load import load; print(load(sys.argv[1]).folder)"
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", **settings}
    command = [sys.executable, "-c", code, MEDSIGLIP]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


class Hub:
    """A real server in the hub's place: it refuses as the hub does, and counts who asked."""

    def __init__(self, status: int, code: str) -> None:
        asked = self.asked = []  # type: list[str]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def gated() -> Iterator[Hub]:
    hub = Hub(403, "GatedRepo")
    thread = threading.Thread(target=hub.server.serve_forever, daemon=True)
    thread.start()
    yield hub
    hub.server.shutdown()
    thread.join()
    hub.server.server_close()


def test_a_gated_repository_is_explained_and_a_cached_one_never_asked_for(gated: Hub, tmp_path: Path) -> None:
    done = ask(tmp_path, gated.url)
    assert gated.asked
    last = done.stderr.strip().splitlines()[-1]
    for part in ("accept its terms yourself", "huggingface.co/google/medsiglip-448", "token", "hf auth login"):
        assert part in last

    gated.asked.clear()
    snapshots = tmp_path / "hub" / "models--google--medsiglip-448" / "snapshots"
    shutil.copytree(tiny_siglip.shared(), snapshots / PINNED[MEDSIGLIP])
    done = ask(tmp_path, gated.url)
    assert done.returncode == 0, done.stderr
    assert PINNED[MEDSIGLIP] in done.stdout
    assert gated.asked == []


def test_offline_without_the_checkpoint_is_one_line(tmp_path: Path) -> None:
    done = ask(tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert "go online once, or give a folder" in done.stderr.strip().splitlines()[-1]
