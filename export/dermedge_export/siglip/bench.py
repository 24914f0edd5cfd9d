"""`make export-bench`: the full-size tower with random weights, every runtime side by side in one run.

Each contestant is a process of its own, so that its memory is its own; in every round each runs once, so that
a busy minute on the machine hits all of them. int8 is fitted to crops of some photographs and compared on
those of others. Random weights say nothing about accuracy on real ones.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dermedge.errors import UsageError
from dermedge.graph import usable_cores
from dermedge.pack.manifest import TowerSpec

from ..results import rows
from . import contestant as contestant_program
from .crops import SAMPLES, pictures, unlabelled
from .load import Checkpoint, Preprocessing
from .measure import DATA, files, measure
from .parity import Judge, compare

if TYPE_CHECKING:
    from transformers import SiglipVisionConfig

CHILD = contestant_program.__file__
CROPS, OBSERVED = 4, 8
FITTED_TO = 3
"""Of the sample photographs, the first; the others are compared on."""
BASE = "torch fp32 eager"
SPEC = TowerSpec("tower.onnx", 448, "bicubic", 1.0, (127, 127, 127), 1)
NORMALISED = Preprocessing(448, "bicubic", (2 / 255,) * 3, (-1.0,) * 3)
FULL = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
    "image_size": 448, "patch_size": 14,
}  # fmt: skip
SMALL = FULL | {"hidden_size": 96, "intermediate_size": 200, "num_hidden_layers": 2, "num_attention_heads": 4}


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant in one round."""

    embeddings: NDArray[np.float32]
    seconds: float
    load_seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Contestant:
    name: str
    path: Path
    kind: str
    interpreter: str = sys.executable

    def run(self, crops: NDArray[np.uint8], threads: int) -> Run:
        if self.kind == "onnxruntime":
            m = measure(self.path, crops, threads)
            return Run(m.embeddings, m.seconds, m.load_seconds, m.peak_mb)
        given, taken = self.path.parent / "crops.npy", self.path.parent / "answers.npy"
        np.save(given, crops)
        command = [self.interpreter, CHILD, self.kind, str(self.path), str(given), str(taken), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UsageError(f"{self.name} does not run: {last}")
        return Run(np.load(taken), **json.loads(done.stdout.splitlines()[-1]))

    def megabytes(self) -> float:
        if self.kind == "onnxruntime":
            return sum(file.stat().st_size for file in files(self.path)) / 1e6
        beside = self.path.with_suffix(".bin") if self.path.suffix == ".xml" else self.path / "model.safetensors"
        return beside.stat().st_size / 1e6


def bench(room: Path, rounds: int, threads: int | None, openvino: Path | None, *, small: bool = False) -> str:
    room.mkdir(parents=True, exist_ok=True)
    threads = threads or usable_cores()
    crops = compared()
    contestants = _contestants(room, SMALL if small else FULL, openvino)
    runs: dict[str, list[Run]] = {c.name: [] for c in contestants}
    for number in range(rounds):
        for contestant in contestants:
            print(f"round {number + 1} of {rounds}: {contestant.name}", file=sys.stderr)
            runs[contestant.name].append(contestant.run(crops, threads))
    table = _table(contestants, runs, threads)
    (room / "medsiglip-table.md").write_text(table + "\n")
    return table


def compared() -> NDArray[np.uint8]:
    """Crops of photographs that int8 was not fitted to."""
    return unlabelled(pictures(SAMPLES)[FITTED_TO:], SPEC, CROPS)


def _observed() -> NDArray[np.uint8]:
    return unlabelled(pictures(SAMPLES)[:FITTED_TO], SPEC, OBSERVED)


def _contestants(room: Path, shape: Mapping[str, int], openvino: Path | None) -> list[Contestant]:
    """Every graph, made once and kept for the next run in the same room."""
    kept = room / ("small" if shape is SMALL else "full")
    names = {name: kept / name / "tower.onnx" for name in ("fitted", "standard", "int8", "int8-plain")}
    if not (kept / "fitted-with-scores").exists():
        _make(kept, shape, names)
        (kept / "fitted-with-scores").touch()
    found = [
        Contestant(BASE, kept / "model", "torch-float32"),
        Contestant("torch bf16", kept / "model", "torch-bfloat16"),
        Contestant("ONNX Runtime fp32", names["standard"], "onnxruntime"),
        Contestant("ONNX Runtime int8, no saliency", names["int8-plain"], "onnxruntime"),
        Contestant("dermedge: int8 with saliency", names["int8"], "onnxruntime"),
    ]
    if openvino is None:
        print("OpenVINO is left out: give --openvino PYTHON", file=sys.stderr)
        return found
    return [*found, *_openvino(kept, names["standard"], openvino)]


def _openvino(kept: Path, source: Path, interpreter: Path) -> list[Contestant]:
    """Its int8 without calibration, and with: on the crops that ours is fitted to."""
    given = kept / "observed.npy"
    np.save(given, _observed())
    made = {}
    for kind, more in (("weights", ()), ("calibrated", (str(given),))):
        made[kind] = xml = kept / f"openvino-{kind}" / "tower.xml"
        if not xml.exists():
            print(f"making OpenVINO's {kind}", file=sys.stderr)
            xml.parent.mkdir(exist_ok=True)
            subprocess.run([str(interpreter), CHILD, f"openvino-{kind}", str(source), str(xml), *more], check=True)
    return [
        Contestant("OpenVINO int8 weights only", made["weights"], "openvino-f32", str(interpreter)),
        Contestant("OpenVINO int8 calibrated", made["calibrated"], "openvino-f32", str(interpreter)),
        Contestant("OpenVINO int8 calibrated, bf16", made["calibrated"], "openvino-bf16", str(interpreter)),
    ]


def _make(kept: Path, shape: Mapping[str, int], names: Mapping[str, Path]) -> None:
    import torch
    from transformers import SiglipConfig, SiglipVisionConfig, SiglipVisionModel

    from .graph import export
    from .ladder import RUNGS
    from .network import build
    from .quantize import quantize
    from .rounding import round_weights
    from .smooth import observe, smooth

    for path in names.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    config: SiglipVisionConfig = SiglipVisionConfig(**shape)
    print("making the checkpoint and its graphs", file=sys.stderr)
    torch.manual_seed(0)
    model = SiglipVisionModel(config)
    model.save_pretrained(kept / "model", safe_serialization=True)
    del model
    whole = SiglipConfig(vision_config=config.to_dict())
    weights = kept / "model" / "model.safetensors"
    checkpoint = Checkpoint("random weights", "0" * 40, kept / "model", whole, NORMALISED, (weights,))
    tower = build(checkpoint)
    export(tower, kept / "raw.onnx", 448, fused=False)
    print("fitting int8", file=sys.stderr)
    observed = _observed()
    smooth(tower, observe(tower, observed))
    round_weights(tower, observed)
    export(tower, names["fitted"], 448)
    del tower
    quantize(kept / "raw.onnx", names["standard"], "float32")
    quantize(names["fitted"], names["int8"], RUNGS[0].weights)
    _without_saliency(names["int8"], names["int8-plain"])
    for file in (*files(kept / "raw.onnx"), *files(names["fitted"])):
        file.unlink()


def _without_saliency(source: Path, target: Path) -> None:
    """The runtime leaves out whatever only led to an output that is gone; an empty one takes its place."""
    import onnx

    graph = onnx.load(str(source), load_external_data=False)
    kept = [node for node in graph.graph.node if "patches" not in node.output]
    del graph.graph.node[:]
    graph.graph.node.extend(kept)
    # The contract asks for `patches`: one patch, the embedding itself, costs nothing.
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), "one"))
    graph.graph.node.append(onnx.helper.make_node("Unsqueeze", ["embedding", "one"], ["patches"], name="as_patch"))
    onnx.save(graph, str(target))
    data = target.with_name(target.name + DATA)
    data.unlink(missing_ok=True)
    data.hardlink_to(source.with_name(source.name + DATA))


def _table(contestants: list[Contestant], runs: Mapping[str, list[Run]], threads: int) -> str:
    exact = runs[BASE][0].embeddings
    base = statistics.median(run.seconds for run in runs[BASE])
    judge = Judge(exact[:2] / np.linalg.norm(exact[:2], axis=1, keepdims=True), 1.0, np.array([True, False]))
    lines = []
    for contestant in contestants:
        mine = runs[contestant.name]
        seconds, parity = statistics.median(r.seconds for r in mine), compare(exact, mine[0].embeddings, judge)
        lines.append((
            contestant.name, f"{contestant.megabytes():.0f}", f"{statistics.median(r.load_seconds for r in mine):.2f}",
            f"{max(r.peak_mb for r in mine):.0f}", f"{seconds:.3f}", f"{base / seconds:.2f}",
            f"{parity.cosine:.5f} / {parity.centred_cosine:.4f}",
        ))  # fmt: skip
    head = ("variant", "MB", "load s", "peak MB", "s a crop", "times torch fp32", "cosine / centred")
    note = f"Random weights, {threads} threads, medians of {len(runs[BASE])} rounds in one run, one crop at a time."
    return f"{note}\n\n{rows(head, lines)}"
