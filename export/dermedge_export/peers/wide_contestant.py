"""The wide tower as the runtime opens it, or as the project's forerunner used it; a program of its own.

`python -m dermedge_export.peers.wide_contestant KIND PATH CROPS ANSWERS THREADS` prints a line with the first answer,
and its figures at the end.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .contestant import memory_mb

Vector = NDArray[np.float32]
Embed = Callable[[NDArray[np.uint8]], Vector]
LOW_MEMORY = {"dermedge": False, "dermedge-low-memory": True}


def dermedge(path: Path, size: int, threads: int, low_memory: bool) -> Embed:
    from dermedge.graph import Graph, GraphSettings
    from dermedge.pack.manifest import TowerSpec
    from dermedge.tower import contract

    spec = TowerSpec(path.name, size, "bicubic", 1.0, (0, 0, 0), 1)
    settings = GraphSettings("cpu", threads, low_memory)
    graph = Graph.open(path, settings, *contract(spec), name=path.name)
    return lambda crop: graph.run({"crop": crop[None]})["embedding"][0]


def grad_cam(path: Path, size: int, threads: int) -> Embed:
    """A pass for the scores, then one more with gradients, backwards from the score to the last layer's activations.

    `backward()` as it is commonly called runs through the whole network, parameters included.
    """
    import torch
    from transformers import SiglipVisionModel

    torch.set_num_threads(threads)
    model = SiglipVisionModel.from_pretrained(path).eval()
    text = torch.nn.functional.normalize(torch.ones(model.config.hidden_size), dim=0)
    seen = []
    model.vision_model.encoder.layers[-1].register_forward_hook(
        lambda layer, given, made: seen.append(made[0] if isinstance(made, tuple) else made)
    )

    def embed(crop: NDArray[np.uint8]) -> Vector:
        pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() * (2 / 255) - 1
        with torch.inference_mode():
            vector: Vector = model(pixel_values=pixels).pooler_output[0].numpy()
        seen.clear()
        model.zero_grad()
        pooled = model(pixel_values=pixels).pooler_output[0]
        seen[0].retain_grad()
        (pooled / pooled.norm() @ text).backward()
        weights = seen[0].grad.mean(dim=1, keepdim=True)
        heat = (seen[0].detach() * weights).sum(dim=-1).relu()
        assert bool(heat.isfinite().all())
        return vector / np.linalg.norm(vector)

    return embed


def main() -> None:
    kind, path, given, taken, threads = sys.argv[1:]
    crops = np.load(given)
    begun, size = time.perf_counter(), crops.shape[1]
    if kind in LOW_MEMORY:
        embed = dermedge(Path(path), size, int(threads), LOW_MEMORY[kind])
    else:
        embed = grad_cam(Path(path), size, int(threads))
    loaded = time.perf_counter() - begun
    # The first pass pays for buffers and is not counted, but it is what a new process answers first.
    embed(crops[0])
    print("first", flush=True)
    answers, times = [], []
    for crop in crops:
        begun = time.perf_counter()
        answers.append(embed(crop))
        times.append(time.perf_counter() - begun)
    np.save(taken, np.stack(answers))
    print(json.dumps({"seconds": statistics.median(times), "load_seconds": loaded, **memory_mb()}))


if __name__ == "__main__":
    main()
