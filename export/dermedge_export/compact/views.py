"""Embeddings of crops through the ONNX graph, averaged over views of the dihedral group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .data import Pixels

Vectors = NDArray[np.float32]


def session(graph: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def dihedral(crops: Pixels, count: int) -> list[Pixels]:
    """Identity, both mirrors, the half turn, then the same of the transposed crop."""
    seen = [crops, crops[:, :, ::-1], crops[:, ::-1], crops[:, ::-1, ::-1]]
    seen += [view.transpose(0, 2, 1, 3) for view in seen]
    return [np.ascontiguousarray(view) for view in seen[:count]]


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)


def embed_views(run: onnxruntime.InferenceSession, crops: Pixels, count: int, batch: int = 16) -> Vectors:
    """Embeddings of each view: [views, crops, dimension]."""
    rows = []
    for view in dihedral(crops, count):
        parts = [run.run(["embedding"], {"crop": view[i : i + batch]})[0] for i in range(0, len(view), batch)]
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def averaged(per_view: Vectors, count: int) -> Vectors:
    return unit(per_view[:count].mean(0))
