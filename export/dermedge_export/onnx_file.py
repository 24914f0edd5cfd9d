"""Torch modules to ONNX files that hold nothing but the network: the same weights give the same bytes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

OPSET = 20


def to_onnx(
    module: nn.Module, example: Sequence[torch.Tensor], inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Export with fixed shapes; nodes still carry the module path that `scoped` reads."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), tuple(example), dynamo=True, opset_version=OPSET, verbose=False,
            input_names=list(inputs), output_names=list(outputs),
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def scoped(graph: onnx.ModelProto, part: str) -> list[str]:
    """Names of the nodes that came out of the submodule `part`; call it before `strip`."""
    names = []
    for node in graph.graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "")
        if f"'{part}'" in scopes or f"'{part}." in scopes:
            names.append(node.name)
    return names


def strip(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Remove dates, authors, local paths and intermediate shapes, which differ between machines."""
    graph.producer_name = graph.producer_version = graph.domain = graph.doc_string = ""
    graph.graph.name, graph.graph.doc_string = "main", ""
    del graph.metadata_props[:], graph.graph.metadata_props[:], graph.graph.value_info[:]
    for item in (*graph.graph.node, *graph.graph.initializer, *graph.graph.input, *graph.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    return graph


def halve_weights(graph: onnx.ModelProto, least: int = 256) -> onnx.ModelProto:
    """Store large float weights as float16 with a Cast behind each, which the runtime folds away when it loads."""
    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < least:
            continue
        name, half = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return graph


def save(graph: onnx.ModelProto, path: Path) -> None:
    """Check the graph and write it in one step, so that no half file is ever seen."""
    onnx.checker.check_model(graph)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(graph.SerializeToString(deterministic=True))
    temporary.replace(path)
