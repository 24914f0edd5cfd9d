"""The exported tower says what the transformers model says, and its patches are exact first-order shares."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from PIL import Image
from transformers import SiglipImageProcessor, SiglipVisionModel

import tiny_siglip
from dermedge_export.siglip import graph
from dermedge_export.siglip.load import CheckpointError, load
from dermedge_export.siglip.measure import files
from dermedge_export.siglip.network import ImageTower, build

CROPS = tiny_siglip.crops(3)


@cache
def tower() -> ImageTower:
    return build(load(str(tiny_siglip.shared())))


@cache
def model() -> SiglipVisionModel:
    return SiglipVisionModel.from_pretrained(tiny_siglip.shared()).eval()


def pixels() -> torch.Tensor:
    processor = SiglipImageProcessor.from_pretrained(tiny_siglip.shared())
    values: torch.Tensor = processor([Image.fromarray(c) for c in CROPS], return_tensors="pt")["pixel_values"]
    return values


def test_the_embedding_is_the_models_with_its_own_image_processor() -> None:
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model()(pixel_values=pixels()).pooler_output)
        found, patches = tower()(torch.from_numpy(CROPS))
    assert (found - expected).abs().max() < 1e-5
    assert (patches.sum(1) - found).abs().max() < 1e-5


def test_shares_are_the_gradient_of_the_answer_by_what_each_patch_brings() -> None:
    """Autograd through the transformers model's own head, each patch's attended value with a factor of its own."""
    head = model().vision_model.head
    with torch.no_grad():
        hidden = model()(pixel_values=pixels()).last_hidden_state
        probe = head.probe.repeat(len(hidden), 1, 1)
        _, weights = head.attention(probe, hidden, hidden, average_attn_weights=False)
        kernel, bias = (t.chunk(3)[2] for t in (head.attention.in_proj_weight, head.attention.in_proj_bias))
        values = (hidden @ kernel.T).unflatten(-1, (head.attention.num_heads, -1))
        attended = (values * weights.transpose(1, 3).squeeze(2)[..., None]).flatten(2)
    direction = torch.nn.functional.normalize(torch.randn(48, generator=torch.Generator().manual_seed(1)), dim=0)
    factors = torch.ones(attended.shape[:2], requires_grad=True)
    pooled = head.attention.out_proj((attended * factors[..., None]).sum(1) + bias)
    answer = pooled + head.mlp(head.layernorm(pooled))
    (answer @ direction).sum().backward()
    assert factors.grad is not None
    with torch.no_grad():
        _, patches = tower()(torch.from_numpy(CROPS))
        found = patches @ direction * answer.norm(dim=1)[:, None]
    # What linearisation leaves over is the same for every patch, so differences between patches are exact.
    centred = [x - x.mean(1, keepdim=True) for x in (found, factors.grad)]
    assert (centred[0] - centred[1]).abs().max() < 1e-4 * centred[1].abs().max()


def test_a_size_that_the_patch_does_not_divide_is_seen_as_the_model_sees_it(tmp_path: Path) -> None:
    folder = tiny_siglip.checkpoint(tmp_path / "odd", size=30, patch=8, layers=1)
    crop = tiny_siglip.crops(1, size=30)
    processor = SiglipImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        values = processor(Image.fromarray(crop[0]), return_tensors="pt")["pixel_values"]
        expected = torch.nn.functional.normalize(SiglipVisionModel.from_pretrained(folder)(values).pooler_output)
        found, patches = build(load(str(folder)))(torch.from_numpy(crop))
    assert patches.shape[1] == 9
    assert (found - expected).abs().max() < 1e-5


def test_weights_of_another_shape_than_the_configuration_says_are_named(tmp_path: Path) -> None:
    import json
    import shutil

    folder = Path(shutil.copytree(tiny_siglip.shared(), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"lack blocks\.3"):
        build(load(str(folder)))


def test_the_graph_is_the_tower_for_any_number_of_crops_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        graph.export(tower(), tmp_path / name / "raw.onnx", 64)
        graph.finish(tmp_path / name / "raw.onnx", tmp_path / name / "tower.onnx")
        made.append([file.read_bytes() for file in files(tmp_path / name / "tower.onnx")])
    assert made[0] == made[1]
    assert len(made[0]) == 2
    assert not any(b"/" in text and b"home" in text for text in made[0][0].split(b"\0") if len(text) > 20)

    session = ort.InferenceSession(str(tmp_path / "a" / "tower.onnx"), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = [t.numpy() for t in tower()(torch.from_numpy(CROPS))]
    for count in (1, 3):
        found = session.run(["embedding", "patches"], {"crop": CROPS[:count]})
        for a, b in zip(expected, found, strict=True):
            assert np.abs(a[:count] - b).max() < 1e-5


def test_without_the_fused_operator_the_graph_keeps_to_the_onnx_standard(tmp_path: Path) -> None:
    import onnx

    graph.export(tower(), tmp_path / "raw.onnx", 64, fused=False)
    graph.finish(tmp_path / "raw.onnx", tmp_path / "tower.onnx")
    document = onnx.load(str(tmp_path / "tower.onnx"))
    assert {opset.domain for opset in document.opset_import} <= {"", "ai.onnx"}
    session = ort.InferenceSession(str(tmp_path / "tower.onnx"), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = tower()(torch.from_numpy(CROPS))[0].numpy()
    assert np.abs(session.run(["embedding"], {"crop": CROPS})[0] - expected).max() < 1e-5
