"""Attention with whole numbers for scores answers as the fused operator does, and nothing in it can overflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

import tiny_siglip
from dermedge_export.peers.operations import Operations, count
from dermedge_export.siglip import scores
from dermedge_export.siglip.graph import export
from dermedge_export.siglip.load import load
from dermedge_export.siglip.measure import measure
from dermedge_export.siglip.network import ImageTower, build
from dermedge_export.siglip.quantize import quantize
from dermedge_export.siglip.smooth import observe, smooth
from tiny_attention import PATCHES, WIDTH, fused, given


def run(model: onnx.ModelProto, given: dict[str, NDArray[np.float32]]) -> list[NDArray[np.generic]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[NDArray[np.generic]] = session.run(None, given)
    return found


def far(found: NDArray[np.generic], wanted: NDArray[np.generic]) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("crops", [1, 3])
def test_it_answers_as_the_fused_operator_for_any_number_of_crops(crops: int) -> None:
    exact, whole = fused(), scores.in_int8(fused())
    assert not any(node.op_type == scores.ATTENTION for node in whole.graph.node)
    (wanted,), (found,) = run(exact, given(crops)), run(whole, given(crops))
    assert found.shape == wanted.shape
    # Not the same, or nothing would have been rounded.
    assert 1e-4 < far(found, wanted) < 0.03


def test_keys_reach_their_last_step_and_never_beyond() -> None:
    """255 * 64 * 2 is below 2**15: x86 without VNNI adds two products in sixteen bits, and says nothing."""
    for loud in (1e-3, 1.0, 1e4):
        (keys,) = (
            found for found in run(scores.in_int8(fused(("y/keys", TensorProto.INT8))), given(loud=loud))
            if found.dtype == np.int8
        )  # fmt: skip
        assert np.abs(keys.astype(int)).max() == scores.STEPS


def test_keys_of_zero_leave_every_patch_the_same_weight() -> None:
    flat = given() | {"k": np.zeros((2, PATCHES, WIDTH), np.float32)}
    (found,) = run(scores.in_int8(fused()), flat)
    assert far(found, np.broadcast_to(flat["v"].mean(1, keepdims=True), found.shape)) < 1e-5


def test_its_work_is_counted_where_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    onnx.save(scores.in_int8(fused()), str(path))
    found = count(path)
    assert (found.int8, found.floating) == (PATCHES * PATCHES * WIDTH, PATCHES * PATCHES * WIDTH)
    onnx.save(fused(), str(path))
    assert count(path) == Operations(floating=2 * PATCHES * PATCHES * WIDTH)


def test_a_graph_without_attention_is_left_as_it_is() -> None:
    plain = helper.make_model(helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [], []))
    before = plain.SerializeToString()
    assert scores.in_int8(plain).SerializeToString() == before


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> ImageTower:
    """Some channels of the keys are loud and far from zero, and the queries make up for it: trained towers are so."""
    tower = build(load(str(tiny_siglip.shared())))
    with torch.no_grad():
        for block in tower.blocks:
            asked = block.attention
            asked.key.weight[:, ::6] *= 50
            asked.key.bias[::6] += 20
            asked.query.weight[:, ::6] /= 50
            asked.query.bias[::6] /= 50
            for layer in (asked.query, asked.key):
                layer.weight.mul_(3)  # so that scores tell patches apart
    return tower


def error(tower: ImageTower, room: Path) -> float:
    """What whole numbers for scores add, around the mean: against the same tower with int8 in its layers alone."""
    room.mkdir()
    export(tower, room / "exact.onnx", 64)
    found = []
    for form in ("int8", "int8-with-scores"):
        quantize(room / "exact.onnx", room / "tower.onnx", form)
        found.append(measure(room / "tower.onnx", CROPS).embeddings)
    return float(np.square(found[1] - found[0]).sum() / np.square(found[0] - found[0].mean(0)).sum())


CROPS = tiny_siglip.crops(12)


def test_loud_keys_are_shared_out_and_change_no_answer(loud: ImageTower, tmp_path: Path) -> None:
    before = error(loud, tmp_path / "before")
    with torch.inference_mode():
        wanted = loud(torch.from_numpy(CROPS))[0].numpy()
    smooth(loud, observe(loud, tiny_siglip.crops(4, seed=9)))
    with torch.inference_mode():
        assert np.abs(loud(torch.from_numpy(CROPS))[0].numpy() - wanted).max() < 1e-4
    assert error(loud, tmp_path / "after") < before / 5
