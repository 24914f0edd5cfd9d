"""The tower as an ONNX graph whose weights lie in a file beside it; the same weights give the same bytes."""

from __future__ import annotations

import gc
import logging
import warnings
from pathlib import Path

import onnx
import torch
from onnx.external_data_helper import load_external_data_for_model

from ..onnx_file import OPSET, strip
from .measure import DATA
from .network import Attention, ImageTower

INLINE = 1024
"""Tensors of fewer bytes stay in the graph."""


def export(tower: ImageTower, path: Path, size: int, *, fused: bool = True) -> None:
    """Write the float32 graph; without `fused` it keeps to standard operators, for other runtimes.

    Intermediate types stay in the graph: the quantizer reads them.
    """
    for module in tower.modules():
        if isinstance(module, Attention):
            module.fused = fused
    # Two, not one: a batch of one would be taken for a constant.
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    # It warns of each operator of torchvision that it could have served.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            tower.eval(), (example,), dynamo=True, opset_version=OPSET, verbose=False,
            input_names=["crop"], output_names=["embedding", "patches"],
            dynamic_shapes={"crop": {0: torch.export.Dim("n", min=1, max=256)}},
        )  # fmt: skip
    assert program is not None
    program.save(str(path), external_data=True)
    # What was traced refers to itself in circles and holds the weights: a large tower would lie twice in memory.
    del program
    gc.collect()


def finish(source: Path, target: Path) -> None:
    """Write `source` again without dates, paths and intermediate shapes, its weights in one file beside `target`."""
    graph = onnx.load(str(source), load_external_data=False)
    load_external_data_for_model(graph, str(source.parent))
    strip(graph)
    for name in (target, target.with_name(target.name + DATA)):
        name.unlink(missing_ok=True)
    onnx.save(
        graph, str(target), save_as_external_data=True, all_tensors_to_one_file=True, location=target.name + DATA,
        size_threshold=INLINE, convert_attribute=False,
    )  # fmt: skip
