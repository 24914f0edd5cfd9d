"""Quantized forms stay near the float32 tower, and parity alone chooses among them."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

import tiny_siglip
from dermedge import PackError
from dermedge_export.siglip import ladder, network
from dermedge_export.siglip.ladder import RUNGS, Climbed, Reference, _fitted, climb
from dermedge_export.siglip.load import Checkpoint, load
from dermedge_export.siglip.network import ImageTower, build
from dermedge_export.siglip.parity import Gates, Judge, compare

SCORES, INT8, NOISY_IN_FLOAT, *_, WEIGHTS_ONLY, HALF, EXACT = RUNGS
CROPS = tiny_siglip.crops(8)
OBSERVED = tiny_siglip.crops(4, seed=9)
LOOSE = Gates(0.9, 0.8, top1=0.0, malignant_shift=1.0, malignant_shift_tail=1.0)


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
    """All forms of weights, measured whether or not a smaller one passes."""
    forms = [SCORES, INT8, NOISY_IN_FLOAT, WEIGHTS_ONLY, HALF]
    room = tmp_path_factory.mktemp("ladder")
    checkpoint = load(str(tiny_siglip.shared()))
    return climb(checkpoint, OBSERVED, reference(), judge(), LOOSE, room, rungs=tuple(forms), every=True)


def test_every_form_stays_near_the_float32_tower_and_keeps_its_heat_map(climbed: Climbed) -> None:
    floors = {"int8-with-scores": 0.99, "int8": 0.99, "int8-weights-only": 0.99, "float16": 0.9999}
    for tried in climbed.tried:
        assert tried.parity.centred_cosine > floors[tried.rung.weights], tried.rung.name
        assert tried.heat > 0.9, tried.rung.name


def test_smaller_forms_are_smaller(climbed: Climbed) -> None:
    scores, int8, noisy_in_float, weights_only, half = (tried.measured.megabytes for tried in climbed.tried)
    assert scores == pytest.approx(int8, rel=0.1)  # some kilobytes of operators
    assert max(scores, int8) < noisy_in_float < half
    assert int8 < weights_only < half


def test_the_first_that_passes_is_shipped_even_where_all_are_measured(climbed: Climbed) -> None:
    assert len(climbed.tried) == 5
    assert climbed.shipped is climbed.tried[0]
    assert climbed.graph.stat().st_size > 0


def test_the_layers_that_int8_hurts_most_stay_in_float(climbed: Climbed) -> None:
    assert climbed.tried[0].in_float == climbed.tried[1].in_float == ()
    assert len(climbed.tried[2].in_float) == max(1, round(18 / 16))


def test_pixels_and_the_heads_attention_stay_in_float(climbed: Climbed) -> None:
    document = onnx.load(str(climbed.graph), load_external_data=False)
    floats = {t.name for t in document.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    assert {"embed.weight", "head.key"} <= floats


def test_nothing_of_the_float_tower_is_held_while_the_quantizer_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At full size it would be 1.7 GB beside the quantizer's 5.5."""
    kept: list[weakref.ref[torch.Tensor]] = []

    def remembered(checkpoint: Checkpoint) -> ImageTower:
        tower = build(checkpoint)
        kept.extend(weakref.ref(parameter) for parameter in tower.parameters())
        return tower

    monkeypatch.setattr(network, "build", remembered)
    monkeypatch.setattr(ladder, "quantize", lambda *_: stop())

    def stop() -> None:
        assert kept
        assert sum(tensor.numel() for each in kept if (tensor := each()) is not None) == 0
        raise InterruptedError

    checkpoint = load(str(tiny_siglip.shared()))
    with pytest.raises(InterruptedError):
        climb(checkpoint, OBSERVED, reference(), judge(), LOOSE, tmp_path, rungs=(SCORES,))


def test_rungs_that_are_fitted_alike_are_fitted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At full size fitting takes minutes; and layers that stay in float do so in all rungs of one fit."""
    fitted: list[float] = []

    def counted(tower: ImageTower, observed: NDArray[np.uint8], share: float) -> tuple[str, ...]:
        fitted.append(share)
        return _fitted(tower, observed, share)

    monkeypatch.setattr(ladder, "_fitted", counted)
    found = climb(
        load(str(tiny_siglip.shared())), OBSERVED, reference(), judge(), LOOSE, tmp_path, rungs=RUNGS[:4], every=True
    )
    assert fitted == [0.0, 1 / 16]
    assert found.tried[2].in_float == found.tried[3].in_float != ()


def test_gates_that_nothing_can_keep_are_an_error_and_the_ladder_is_climbed_to_its_end(tmp_path: Path) -> None:
    wrong = replace(reference(), embeddings=reference().embeddings[::-1].copy())
    said: list[str] = []
    with pytest.raises(PackError, match="no form of the tower agrees"):
        climb(
            load(str(tiny_siglip.shared())), OBSERVED, wrong, judge(), Gates(), tmp_path, rungs=(SCORES, EXACT),
            told=said.append,
        )  # fmt: skip
    assert said[::2] == ["int8 with scores", "float32"]
    assert [line.split(" fails: centred cosine")[0] for line in said[1::2]] == said[::2]


def test_a_stricter_gate_refuses_int8_and_ships_the_next_form(tmp_path: Path) -> None:
    strict = replace(LOOSE, centred_cosine=0.9998)
    found = climb(
        load(str(tiny_siglip.shared())), OBSERVED, reference(), judge(), strict, tmp_path, rungs=(SCORES, HALF)
    )
    assert found.tried[0].failures and "centred cosine" in found.tried[0].failures[0]
    assert found.shipped.rung.weights == "float16"


def test_parity_is_measured_around_the_mean_and_in_malignant_mass() -> None:
    rng = np.random.default_rng(3)
    middle = rng.standard_normal(48)
    exact = (10 * middle + rng.standard_normal((50, 48))).astype(np.float32)
    other = (10 * middle + rng.standard_normal((50, 48))).astype(np.float32)
    found = compare(exact, other, judge())
    assert found.cosine > 0.97
    assert abs(found.centred_cosine) < 0.2
    assert found.centred_cosine_worst < found.centred_cosine_tail < found.centred_cosine
    same = compare(exact, exact, judge())
    assert (same.centred_cosine, same.top1, same.malignant_shift) == (1, 1, 0)
    assert same.failures(Gates()) == ()


def test_a_few_crops_that_went_wrong_fail_although_the_mean_is_good() -> None:
    exact = np.random.default_rng(3).standard_normal((100, 48)).astype(np.float32)
    other = exact.copy()
    other[:6] *= -1
    found = compare(exact, other, replace(judge(), scale=0.0))
    assert found.centred_cosine > 0.85
    assert found.failures(replace(LOOSE, centred_cosine=0.85)) == (
        f"one crop in twenty has a centred cosine below {found.centred_cosine_tail:.4f}",
    )


def test_labels_turn_lost_accuracy_into_a_failure() -> None:
    labelled = replace(judge(), labels=np.array([0, 1, 2, -1]))
    exact = judge().prompts[[0, 1, 2, 3]]
    found = compare(exact, judge().prompts[[0, 1, 3, 3]], labelled)
    assert found.balanced_accuracy_loss == pytest.approx(1 / 3, abs=1e-4)
    assert any("balanced accuracy" in why for why in found.failures(replace(LOOSE, centred_cosine=-1)))
