"""Weights are rounded for what their layer answers, on the grid that the quantizer finds again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx.numpy_helper import to_array

import tiny_siglip
from dermedge_export.siglip import rounding
from dermedge_export.siglip.graph import export
from dermedge_export.siglip.load import load
from dermedge_export.siglip.measure import measure
from dermedge_export.siglip.network import ImageTower, build
from dermedge_export.siglip.quantize import quantize
from dermedge_export.siglip.smooth import observe, smooth

OBSERVED = tiny_siglip.crops(4, seed=9)
OTHERS = tiny_siglip.crops(24, seed=1)


def tower() -> ImageTower:
    return build(load(str(tiny_siglip.shared())))


def as_int8(tower: ImageTower, room: Path) -> Path:
    room.mkdir()
    export(tower, room / "exact.onnx", 64)
    quantize(room / "exact.onnx", room / "tower.onnx", "int8")
    return room / "tower.onnx"


def error(graph: Path) -> float:
    """Of the embeddings, around their mean, in parts of how much they differ."""
    with torch.inference_mode():
        exact: NDArray[np.float32] = tower()(torch.from_numpy(OTHERS))[0].numpy()
    found = measure(graph, OTHERS).embeddings
    return float(np.square(found - exact).sum() / np.square(exact - exact.mean(0)).sum())


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageTower, Path]:
    changed = tower()
    smooth(changed, observe(changed, OBSERVED))
    rounding.round_weights(changed, OBSERVED)
    return changed, as_int8(changed, tmp_path_factory.mktemp("fitted") / "graph")


def test_on_crops_it_has_not_seen_int8_errs_less_than_half_as_much_as_with_the_nearest_weights(
    fitted: tuple[ImageTower, Path], tmp_path: Path
) -> None:
    plain = as_int8(tower(), tmp_path / "plain")
    assert error(fitted[1]) < error(plain) / 2
    # At the same cost: the graphs hold the same operators.
    kinds = [Counter(node.op_type for node in onnx.load(str(path)).graph.node) for path in (plain, fitted[1])]
    assert kinds[0] == kinds[1]


def test_the_quantizer_finds_the_grid_again(fitted: tuple[ImageTower, Path]) -> None:
    changed, path = fitted
    held = {t.name: to_array(t, str(path.parent)) for t in onnx.load(str(path)).graph.initializer}
    for name, layer in changed.linears():
        steps, scale = held[f"{name}.weight_quantized"], held[f"{name}.weight_scale"]
        assert np.abs(steps.astype(int)).max(0).tolist() == [rounding.PEAK] * steps.shape[1], name
        assert np.allclose(steps * scale, layer.weight.numpy(), rtol=1e-5, atol=1e-7), name


def test_no_pair_of_products_can_overflow_sixteen_bits(fitted: tuple[ImageTower, Path]) -> None:
    """x86 without VNNI adds two of them with saturation, and says nothing."""
    graph = onnx.load(str(fitted[1])).graph
    names = {i for node in graph.node if node.op_type == "MatMulInteger" for i in node.input[1:2]}
    kernels = [to_array(t).astype(int) for t in graph.initializer if t.name in names]
    assert len(kernels) == 3 * 6 + 4
    for kernel in kernels:
        largest = np.sort(np.abs(kernel), axis=0)[-2:].sum(0).max()
        assert 255 * largest <= np.iinfo(np.int16).max


def test_errors_are_made_good_where_inputs_move_together() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 8, generator=generator) @ torch.randn(8, 64, generator=generator)
    inputs = inputs + 0.1 * torch.randn(400, 64, generator=generator)
    weight = torch.randn(64, 32, generator=generator)
    step = weight.abs().amax(0) / rounding.PEAK
    nearest = (weight / step).round() * step
    found = rounding.rounded(weight, rounding._compensation(inputs.T @ inputs))
    assert torch.equal((found / step).round().clamp(-64, 64), (found / step).round())
    assert (inputs @ (found - weight)).square().sum() < (inputs @ (nearest - weight)).square().sum() / 4


def test_layers_left_in_float_keep_their_weights() -> None:
    before, changed = tower(), tower()
    rounding.round_weights(changed, OBSERVED, ("blocks.1.expand",))
    kept = {name for (name, a), (_, b) in zip(before.linears(), changed.linears(), strict=True)
            if torch.equal(a.weight, b.weight)}  # fmt: skip
    assert kept == {"blocks.1.expand"}


def test_a_column_of_zeros_and_a_flat_input_are_no_fault() -> None:
    weight = torch.zeros(16, 4)
    assert torch.equal(rounding.rounded(weight, rounding._compensation(torch.zeros(16, 16))), weight)
    assert torch.equal(rounding.as_int8(torch.zeros(3, 5)), torch.zeros(3, 5))
