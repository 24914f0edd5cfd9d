"""Embeddings of crops through the ONNX graph, averaged over the views that the runtime takes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from dermedge.result import Crop
from dermedge.tower import views_of

from .data import RESAMPLE, Pixels

Vectors = NDArray[np.float32]


def session(graph: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)


def embed_views(run: onnxruntime.InferenceSession, crops: Sequence[Crop], count: int) -> Vectors:
    """Embeddings of each view: [views, crops, dimension]."""
    seen = (views_of(crop.pixels, crop.close, count, RESAMPLE) for crop in crops)
    return np.stack([run.run(["embedding"], {"crop": views})[0] for views in seen], axis=1)


def embed_once(run: onnxruntime.InferenceSession, pixels: Pixels, batch: int = 16) -> Vectors:
    """Embeddings of crops as they are: [crops, dimension]."""
    parts = [run.run(["embedding"], {"crop": pixels[i : i + batch]})[0] for i in range(0, len(pixels), batch)]
    return np.concatenate(parts)


def averaged(per_view: Vectors, count: int) -> Vectors:
    return unit(per_view[:count].mean(0))
