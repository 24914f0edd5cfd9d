"""Quantized forms stay near the float32 tower, parity alone chooses among them, and smoothing changes no answer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import tiny_siglip
from dermedge import PackError
from dermedge_export.siglip import ladder, smooth
from dermedge_export.siglip.ladder import RUNGS, Climbed, Reference, climb
from dermedge_export.siglip.load import load
from dermedge_export.siglip.network import ImageTower, build
from dermedge_export.siglip.parity import Gates, Judge, compare

CROPS = tiny_siglip.crops(8)
LOOSE = Gates(centred_cosine=0.9, top1=0.0, malignant_shift=1.0)


def tower(folder: Path) -> ImageTower:
    return build(load(str(folder)))


def judge() -> Judge:
    rows = np.random.default_rng(0).standard_normal((6, 48)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Judge(rows, 10.0, np.arange(6) < 2)


@cache
def reference() -> Reference:
    with torch.inference_mode():
        embeddings, patches = tower(tiny_siglip.shared())(torch.from_numpy(CROPS))
    return Reference(CROPS, embeddings.numpy(), patches[0].numpy())


@pytest.fixture(scope="module")
def climbed(tmp_path_factory: pytest.TempPathFactory) -> Climbed:
    """All four forms of weights, measured whether or not a smaller one passes."""
    forms = [RUNGS[0], RUNGS[2], RUNGS[4], RUNGS[5]]
    room = tmp_path_factory.mktemp("ladder")
    return climb(load(str(tiny_siglip.shared())), reference(), judge(), LOOSE, room, rungs=tuple(forms), every=True)


def test_every_form_stays_near_the_float32_tower_and_keeps_its_heat_map(climbed: Climbed) -> None:
    floors = {"int8": 0.97, "int8-weights-only": 0.99, "float16": 0.9999}
    for tried in climbed.tried:
        assert tried.parity.centred_cosine > floors[tried.rung.weights], tried.rung.name
        assert tried.heat > 0.9, tried.rung.name


def test_smaller_forms_are_smaller(climbed: Climbed) -> None:
    int8, noisy_in_float, weights_only, half = (tried.measured.megabytes for tried in climbed.tried)
    assert int8 < noisy_in_float < half
    assert int8 < weights_only < half


def test_the_first_that_passes_is_shipped_even_where_all_are_measured(climbed: Climbed) -> None:
    assert len(climbed.tried) == 4
    assert climbed.shipped is climbed.tried[0]
    assert climbed.graph.stat().st_size > 0


def test_the_layers_that_int8_hurts_most_stay_in_float(climbed: Climbed) -> None:
    assert climbed.tried[0].in_float == ()
    assert len(climbed.tried[1].in_float) == max(1, round(18 / 16))


def test_int8_weights_leave_a_bit_free(climbed: Climbed) -> None:
    """Eight bits overflow silently on x86 without VNNI."""
    document = onnx.load(str(climbed.graph))
    names = {i for node in document.graph.node if node.op_type == "MatMulInteger" for i in node.input[1:2]}
    kernels = [onnx.numpy_helper.to_array(t) for t in document.graph.initializer if t.name in names]
    assert len(kernels) == 3 * 6 + 4
    assert all(k.dtype == np.int8 and np.abs(k.astype(int)).max() <= 64 for k in kernels)


def test_pixels_and_the_heads_attention_stay_in_float(climbed: Climbed) -> None:
    document = onnx.load(str(climbed.graph), load_external_data=False)
    floats = {t.name for t in document.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    assert {"embed.weight", "head.key"} <= floats


def test_gates_that_nothing_can_keep_are_an_error_and_the_ladder_is_climbed_to_its_end(tmp_path: Path) -> None:
    wrong = replace(reference(), embeddings=reference().embeddings[::-1].copy())
    said: list[str] = []
    with pytest.raises(PackError, match="no form of the tower agrees"):
        climb(
            load(str(tiny_siglip.shared())), wrong, judge(), Gates(), tmp_path, rungs=(RUNGS[0], RUNGS[6]),
            told=said.append,
        )  # fmt: skip
    assert said == ["int8", "float32"]


def test_a_stricter_gate_refuses_int8_and_ships_the_next_form(tmp_path: Path) -> None:
    strict = Gates(centred_cosine=0.9995, top1=0.0, malignant_shift=1.0)
    found = climb(
        load(str(tiny_siglip.shared())), reference(), judge(), strict, tmp_path, rungs=(RUNGS[0], RUNGS[5])
    )
    assert found.tried[0].failures and "centred cosine" in found.tried[0].failures[0]
    assert found.shipped.rung.weights == "float16"


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same function as the shared checkpoint's, with a few channels that ruin an int8 scale for the others."""
    return tiny_siglip.checkpoint(tmp_path_factory.mktemp("loud") / "loud", outliers=40.0)


def test_smoothing_changes_no_answer_and_quietens_loud_channels(loud: Path) -> None:
    changed = tower(loud)
    before = smooth.observe(changed, CROPS)
    smooth.smooth(changed, before)
    with torch.inference_mode():
        assert np.abs(changed(torch.from_numpy(CROPS))[0].numpy() - reference().embeddings).max() < 1e-4
    after = smooth.observe(changed, CROPS)
    for name in ("blocks.0.attention.query", "blocks.1.expand"):
        assert after[name].noise < before[name].noise / 10


def test_loud_channels_fail_plain_int8_and_smoothing_saves_the_rung(loud: Path, tmp_path: Path) -> None:
    gates = Gates(centred_cosine=0.98, top1=0.0, malignant_shift=1.0)
    found = climb(load(str(loud)), reference(), judge(), gates, tmp_path, rungs=RUNGS[:2])
    assert found.tried[0].failures, found.tried[0].parity
    assert found.shipped.rung.smoothed
    assert found.shipped.parity.centred_cosine > found.tried[0].parity.centred_cosine + 0.02


def test_the_noisiest_layers_are_ranked_by_what_one_scale_costs() -> None:
    seen = {name: smooth.Activations(torch.ones(1), noise) for name, noise in (("a", 0.1), ("b", 0.3), ("c", 0.2))}
    assert smooth.noisiest(seen, 2 / 3) == ("b", "c")
    assert smooth.noisiest(seen, 0.01) == ("b",)
    assert smooth.noisiest(seen, 0) == ()


def test_parity_is_measured_around_the_mean_and_in_malignant_mass() -> None:
    rng = np.random.default_rng(3)
    middle = rng.standard_normal(48)
    exact = (10 * middle + rng.standard_normal((50, 48))).astype(np.float32)
    other = (10 * middle + rng.standard_normal((50, 48))).astype(np.float32)
    found = compare(exact, other, judge())
    assert found.cosine > 0.97
    assert abs(found.centred_cosine) < 0.2
    same = compare(exact, exact, judge())
    assert (same.centred_cosine, same.top1, same.malignant_shift) == (1, 1, 0)
    assert same.failures(Gates()) == ()


def test_labels_turn_lost_accuracy_into_a_failure() -> None:
    labelled = replace(judge(), labels=np.array([0, 1, 2, -1]))
    exact = judge().prompts[[0, 1, 2, 3]]
    found = compare(exact, judge().prompts[[0, 1, 3, 3]], labelled)
    assert found.balanced_accuracy_loss == pytest.approx(1 / 3, abs=1e-4)
    assert any("balanced accuracy" in why for why in found.failures(replace(LOOSE, centred_cosine=-1)))
    assert ladder.RUNGS[0].name == "int8"
