"""Runs the tower in torch or OpenVINO for the bench: a program of its own, as its interpreter may lack this package."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def peak_mb() -> float:
    """Of this process since its program was started; `ru_maxrss` would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)


def _torch(path: Path, crops: NDArray[np.uint8], threads: int, kind: str) -> tuple[list[Any], list[float], float]:
    import torch
    from transformers import SiglipVisionModel

    torch.set_num_threads(threads)
    dtype = getattr(torch, kind)
    start = time.perf_counter()
    model = SiglipVisionModel.from_pretrained(path, dtype=dtype).eval()
    loaded, answers, times = time.perf_counter() - start, [], []
    with torch.inference_mode():
        for crop in crops:
            start = time.perf_counter()
            pixels = (torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() * (2 / 255) - 1).to(dtype)
            vector = model(pixel_values=pixels).pooler_output[0].float()
            answers.append((vector / vector.norm()).numpy())
            times.append(time.perf_counter() - start)
    return answers, times, loaded


def _openvino(
    path: Path, crops: NDArray[np.uint8], threads: int, precision: str
) -> tuple[list[Any], list[float], float]:
    import openvino  # type: ignore[import-not-found]

    start = time.perf_counter()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().compile_model(str(path), "CPU", settings)
    loaded, answers, times = time.perf_counter() - start, [], []
    for crop in crops:
        start = time.perf_counter()
        answers.append(np.array(model({"crop": crop[None]})["embedding"])[0])
        times.append(time.perf_counter() - start)
    return answers, times, loaded


def _openvino_weights(source: Path, target: Path) -> None:
    import nncf  # type: ignore[import-not-found]
    import openvino

    model = nncf.compress_weights(openvino.convert_model(str(source)), mode=nncf.CompressWeightsMode.INT8_ASYM)
    openvino.save_model(model, str(target), compress_to_fp16=False)


def _openvino_calibrated(source: Path, target: Path, observed: Path) -> None:
    import nncf
    import openvino

    crops = [{"crop": crop[None]} for crop in np.load(observed)]
    model = nncf.quantize(
        openvino.convert_model(str(source)), nncf.Dataset(crops), subset_size=len(crops),
        model_type=nncf.ModelType.TRANSFORMER,
    )  # fmt: skip
    openvino.save_model(model, str(target), compress_to_fp16=False)


def main() -> None:
    kind, path, given, *rest = sys.argv[1:]
    if kind == "openvino-weights":
        _openvino_weights(Path(path), Path(given))
        return
    if kind == "openvino-calibrated":
        _openvino_calibrated(Path(path), Path(given), Path(rest[0]))
        return
    taken, threads = rest
    crops = np.load(given)
    # Once more at the front: the first pass pays for buffers and compilation.
    crops = np.concatenate([crops[:1], crops])
    if kind.startswith("openvino-"):
        answers, times, loaded = _openvino(Path(path), crops, int(threads), kind.removeprefix("openvino-"))
    else:
        answers, times, loaded = _torch(Path(path), crops, int(threads), kind.removeprefix("torch-"))
    np.save(taken, np.stack(answers[1:]))
    told = {"seconds": statistics.median(times[1:]), "load_seconds": loaded, "peak_mb": peak_mb()}
    print(json.dumps({name: round(value, 4) for name, value in told.items()}))


if __name__ == "__main__":
    main()
