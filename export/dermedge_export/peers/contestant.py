"""One contestant: the whole scan, with another runtime at its two networks; a process of its own.

`python -m dermedge_export.peers.contestant KIND PACK NETWORKS THREADS` answers one JSON line to each line of its input.
It runs in environments that have numpy, Pillow and the one runtime that it is about.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermedge.graph import Contract, Graph, GraphSettings
from dermedge.scanner import Scanner

Answer = Callable[[str, NDArray[np.uint8]], dict[str, NDArray[Any]]]
"""From an input's name and pixels to the outputs."""
Load = Callable[[Path, int], Answer]


class Peer(Graph):
    """Another runtime in the place of ONNX Runtime's session."""

    def __init__(self, answer: Answer, provider: str) -> None:
        self._answer = answer
        self.provider = provider

    def run(self, feeds: Any, wanted: Any = None) -> dict[str, NDArray[Any]]:
        [(name, pixels)] = feeds.items()
        return self._answer(name, pixels)


def onnxruntime_defaults(path: Path, threads: int) -> Answer:
    """As `InferenceSession(path)` gives it; only the number of threads is everybody's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path / "float.onnx"), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda name, pixels: dict(zip(names, session.run(names, {name: pixels}), strict=True))


def torch_eager(path: Path, threads: int, file: str) -> Answer:
    import torch

    torch.set_num_threads(threads)
    network = torch.load(path / file, weights_only=False)
    return lambda _, pixels: network.answer(pixels)


def openvino(path: Path, threads: int, file: str) -> Answer:
    import openvino as ov  # type: ignore[import-not-found]

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    model = ov.Core().compile_model(str(path / file), "CPU", settings)
    names = [output.get_any_name() for output in model.outputs]

    def answer(name: str, pixels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        found = model({name: pixels})
        return {output: np.array(found[output]) for output in names}

    return answer


LOADERS: dict[str, Load] = {
    "onnxruntime": onnxruntime_defaults,
    "torch-float32": lambda path, threads: torch_eager(path, threads, "float32.pt"),
    "torch-channels-last": lambda path, threads: torch_eager(path, threads, "channels_last.pt"),
    "torch-bfloat16": lambda path, threads: torch_eager(path, threads, "bfloat16.pt"),
    "openvino-weights": lambda path, threads: openvino(path, threads, "weights.xml"),
    "openvino-calibrated": lambda path, threads: openvino(path, threads, "calibrated.xml"),
}
OURS = {"dermedge": False, "dermedge-low-memory": True}
"""With --low-memory or without."""


def take_place(kind: str, networks: Path) -> None:
    """Every graph that the runtime opens from here on is opened by `kind`; networks/NAME holds its files."""

    def opened(
        cls: type[Graph], model: bytes | Path, settings: GraphSettings, inputs: Contract, outputs: Contract,
        name: str = "graph",
    ) -> Graph:  # fmt: skip
        return Peer(LOADERS[kind](networks / Path(name).stem, settings.threads or 1), kind)

    Graph.open = classmethod(opened)  # type: ignore[method-assign, assignment]


def timed_graphs(scanner: Scanner) -> dict[str, float]:
    """Seconds within the networks alone, by step; what is left of a step is resizing and arithmetic."""
    spent: dict[str, float] = {}

    def wrap(step: str, graph: Graph) -> None:
        run = graph.run

        def counted(*given: Any) -> dict[str, NDArray[Any]]:
            begun = time.perf_counter()
            answer = run(*given)
            spent[step] = spent.get(step, 0.0) + time.perf_counter() - begun
            return answer

        graph.run = counted  # type: ignore[method-assign, assignment]

    wrap("detector", scanner.detector._graph)
    wrap("tower", scanner.tower._graph)
    return spent


def memory_mb() -> dict[str, float]:
    """The peak since this program began (`ru_maxrss` would count its parent's), and what is this process's own now.

    Own is what the system cannot drop and read again from a file. `Private_*` would count mapped weights as well, where
    no other process maps the same file, and as dirty even while the file itself is on its way to the disk.
    """
    status, rollup = (Path(f"/proc/self/{name}").read_text() for name in ("status", "smaps_rollup"))
    private = int(rollup.partition("Anonymous:")[2].split()[0])
    peak = int(status.partition("VmHWM:")[2].split()[0])
    return {"peak_mb": round(peak / 1024, 1), "private_mb": round(private / 1024, 1)}


def scanned(scanner: Scanner, photo: Path, spent: dict[str, float]) -> dict[str, Any]:
    spent.clear()
    processor = time.process_time()
    scan = scanner.scan(photo)
    processor = time.process_time() - processor
    crops = len(scan.lesions) + len(scan.rejected)
    return {"seconds": dict(scan.seconds), "in_graphs": dict(spent), "processor": processor, "crops": crops}


def answered(scanner: Scanner, photo: Path) -> list[dict[str, Any]]:
    """Boxes, the embeddings of what lies in them, and the whole frame's, which is there whatever was found."""
    from dermedge.photo import read_photo
    from dermedge.scorer import Facts

    read = read_photo(photo)
    boxes = [read.frame, *(detection.box for detection in scanner.detector.find(read))]
    found = []
    for box in boxes:
        vector = scanner.tower.embed(scanner.crop(read, box)).vector
        modality = scanner.scorer.modality(vector)[0]
        scores = scanner.scorer.score(vector, modality, Facts())
        found.append({
            "box": [box.x0, box.y0, box.x1, box.y1], "vector": [round(float(v), 7) for v in vector],
            "malignant": scores.malignant, "top": scores.ranked()[0][0],
        })  # fmt: skip
    return found


def main() -> None:
    kind, pack, networks, threads = sys.argv[1:]
    begun = time.perf_counter()
    if kind not in OURS:
        take_place(kind, Path(networks))
    scanner = Scanner.open(pack, provider="cpu", threads=int(threads), low_memory=OURS.get(kind, False))
    spent = timed_graphs(scanner)
    print(json.dumps({"load_seconds": time.perf_counter() - begun}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        photo = Path(asked.get("photo", ""))
        if asked["do"] == "scan":
            said: Any = scanned(scanner, photo, spent)
        elif asked["do"] == "answers":
            said = answered(scanner, photo)
        else:
            said = memory_mb()
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
