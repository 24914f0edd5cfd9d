"""The tower's graph with smaller weights: int8 arithmetic, int8 weights only, or float16 weights."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import onnx

from dermedge.errors import PackError

from ..onnx_file import halve_weights
from .graph import finish
from .measure import DATA
from .scores import in_int8

Weights = Literal["int8-with-scores", "int8", "int8-weights-only", "float16", "float32"]
"""The first has attention's scores in int8, too."""

ALWAYS_FLOAT = ("embed", "head.key")
"""Raw pixels go into the one, a softmax over all patches follows the other; together under 1 % of the work."""
BLOCK = 64
"""Weights that share a scale in the weights-only form."""


def quantize(source: Path, target: Path, weights: Weights, in_float: Iterable[str] = ()) -> None:
    """Write `source` with `weights` to `target`; the linear layers named in `in_float` stay as they are.

    In a process of its own: what the quantizers hold of a large graph is gone when they are done.
    """
    command = [sys.executable, "-m", __name__, str(source), str(target), weights, *in_float]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise PackError(f"the tower cannot be made {weights}: {lines[-1] if lines else f'exit {done.returncode}'}")


def main() -> None:
    given, taken, weights, *in_float = sys.argv[1:]
    source, target = Path(given), Path(taken)
    with tempfile.TemporaryDirectory(dir=target.parent) as room:
        made = Path(room) / "made.onnx"
        _FORMS[weights](source, made, _nodes(source, (*ALWAYS_FLOAT, *in_float)))
        finish(made, target)


def _nodes(source: Path, layers: Iterable[str]) -> list[str]:
    """The MatMul nodes that read these layers' kernels."""
    kernels = {name for layer in layers for name in (layer, f"{layer}.weight")}
    graph = onnx.load(str(source), load_external_data=False).graph
    return [node.name for node in graph.node if node.op_type == "MatMul" and kernels & set(node.input)]


def _int8(source: Path, made: Path, left_out: list[str]) -> None:
    """Weights per channel and of seven bits: eight overflow silently on x86 without VNNI. Activations as they come."""
    from onnxruntime.quantization import quantize_dynamic
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    chosen = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True, nodes_to_exclude=left_out)
    logging.getLogger().setLevel(logging.ERROR)  # it warns about every kernel that it reads in two places
    quantize_dynamic(
        str(source), str(made), op_types_to_quantize=["MatMul"], per_channel=chosen.per_channel, reduce_range=True,
        weight_type=chosen.weights_dtype, nodes_to_exclude=chosen.nodes_to_exclude, use_external_data_format=True,
        extra_options={"WeightSymmetric": chosen.weights_symmetric, "DefaultTensorType": onnx.TensorProto.FLOAT},
    )  # fmt: skip


def _int8_with_scores(source: Path, made: Path, left_out: list[str]) -> None:
    _int8(source, made, left_out)
    onnx.save(in_int8(onnx.load(str(made), load_external_data=False)), str(made))


def _int8_weights_only(source: Path, made: Path, left_out: list[str]) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.ERROR)
    # Level 4 computes in int8 where the processor can: otherwise the weights would be unpacked for nothing.
    quantizer = MatMulNBitsQuantizer(
        onnx.load(str(source)), bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=4, nodes_to_exclude=left_out
    )
    quantizer.process()
    _save(quantizer.model.model, made)


def _float16(source: Path, made: Path, left_out: list[str]) -> None:
    _save(halve_weights(onnx.load(str(source))), made)


def _float32(source: Path, made: Path, left_out: list[str]) -> None:
    _save(onnx.load(str(source)), made)


def _save(graph: onnx.ModelProto, path: Path) -> None:
    onnx.save(graph, str(path), save_as_external_data=True, location=path.name + DATA)


_FORMS: Mapping[str, Callable[[Path, Path, list[str]], None]] = {
    "int8-with-scores": _int8_with_scores, "int8": _int8, "int8-weights-only": _int8_weights_only,
    "float16": _float16, "float32": _float32,
}  # fmt: skip


if __name__ == "__main__":
    main()
