"""The image tower: a crop becomes a vector, and each patch's share in it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import GraphInvalid
from .graph import HINT, Contract, Graph, GraphSettings
from .pack.manifest import TowerSpec
from .result import Crop, Embedding

if TYPE_CHECKING:
    from .pack.verify import VerifiedPack

VIEWS: tuple[tuple[bool, int], ...] = (
    (False, 0), (True, 0), (True, 2), (False, 2), (False, 1), (False, 3), (True, 1), (True, 3),
)
"""The eight flips and turns of a square: mirrored or not, then quarter turns. A pack takes the first so many:
two are the picture and its mirror image, four need no quarter turn."""

BATCH = 8
"""Images a run, so that memory stays bounded however many crops are asked for."""
TOLERANCE = 1e-2
"""How far a quantized graph may be off its contract (length 1, patches that sum up) before it is refused."""


def contract(spec: TowerSpec) -> tuple[Contract, Contract]:
    return (
        {"crop": ("uint8", (None, spec.size, spec.size, 3))},
        {"embedding": ("float32", (None, None)), "patches": ("float32", (None, None, None))},
    )


class Tower:
    """Maps crops into the space of the pack's prompts."""

    def __init__(self, graph: Graph, spec: TowerSpec) -> None:
        self._graph = graph
        self._spec = spec
        self._views = VIEWS[: spec.views]

    @classmethod
    def open(cls, pack: VerifiedPack, settings: GraphSettings) -> Tower:
        spec = pack.manifest.tower
        return cls(Graph.open(pack.graph(spec.graph), settings, *contract(spec), name=spec.graph), spec)

    @property
    def provider(self) -> str:
        return self._graph.provider

    def embed(self, crop: Crop) -> Embedding:
        """One vector for all views of a crop, and the patches in the crop's own orientation."""
        answer = self._graph.run({"crop": self._seen(crop.pixels)})
        vectors = self._checked(answer["embedding"])
        grids = _grids(answer["patches"], vectors, self._spec.graph)
        mean = vectors.mean(axis=0)
        length = float(np.linalg.norm(mean))
        if length < TOLERANCE:
            raise GraphInvalid(f"{self._spec.graph}: the views of one crop cancel each other out. {HINT}")
        vector = mean / length
        shares = [_unturned(grid, view) for grid, view in zip(grids, self._views, strict=True)]
        patches = np.mean(shares, axis=0) / length
        # What rounding leaves between the patches and their sum is spread evenly: the sum is a promise.
        patches += (vector - patches.sum(axis=(0, 1))) / (patches.shape[0] * patches.shape[1])
        return Embedding(_frozen(vector), _frozen(patches))

    def vectors(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vectors of many crops [N, size, size, 3], without their patches, in bounded memory."""
        a_run = max(1, BATCH // len(self._views))
        rows = []
        for start in range(0, len(crops), a_run):
            batch = np.concatenate([self._seen(pixels) for pixels in crops[start:start + a_run]])
            vectors = self._checked(self._graph.run({"crop": batch}, ["embedding"])["embedding"])
            mean = vectors.reshape(-1, len(self._views), vectors.shape[1]).mean(axis=1)
            rows.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
        return np.concatenate(rows).astype(np.float32)

    def _seen(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([turned(pixels, view) for view in self._views])

    def _checked(self, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
        vectors = embedding.astype(np.float64)
        if np.abs(np.linalg.norm(vectors, axis=1) - 1).max() > TOLERANCE:
            raise GraphInvalid(f"{self._spec.graph}: an embedding is not of length 1. {HINT}")
        return vectors


def turned(image: NDArray[np.uint8], view: tuple[bool, int]) -> NDArray[np.uint8]:
    mirrored, quarters = view
    return np.rot90(image[:, ::-1] if mirrored else image, quarters)


def _unturned(grid: NDArray[np.float64], view: tuple[bool, int]) -> NDArray[np.float64]:
    mirrored, quarters = view
    back = np.rot90(grid, -quarters)
    return back[:, ::-1] if mirrored else back


def _grids(patches: NDArray[np.float32], vectors: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Patches as square grids, once it is sure that they are the embedding's shares."""
    views, count, width = patches.shape
    side = math.isqrt(count)
    if side * side != count or (views, width) != vectors.shape:
        raise GraphInvalid(f"{name}: patches {list(patches.shape)} are no square grid of shares "
                           f"in an embedding {list(vectors.shape)}. {HINT}")
    grids = patches.reshape(views, side, side, width).astype(np.float64)
    if np.abs(grids.sum(axis=(1, 2)) - vectors).max() > TOLERANCE:
        raise GraphInvalid(f"{name}: its patches do not sum up to its embedding. {HINT}")
    return grids


def _frozen(values: NDArray[np.float64]) -> NDArray[np.float32]:
    narrow = np.ascontiguousarray(values, dtype=np.float32)
    narrow.setflags(write=False)
    return narrow
