"""The graph is the network: same embedding, patches that add up to it, the same bytes every time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dermedge_export.compact.network import NetworkSettings, Tower, imagenet_weights, load_imagenet
from dermedge_export.compact.tower_graph import build, load_tower

SIZE = 64
CROPS = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)


def tower(variant: str = "lite0") -> Tower:
    """ImageNet's weights with a drawn head: an untrained network hardly depends on what it sees."""
    torch.manual_seed(4)
    made = Tower(NetworkSettings(variant=variant, dimension=32))
    load_imagenet(made.backbone, imagenet_weights(variant))
    with torch.no_grad():
        made.projection.bias.normal_(0, 0.1)
    return made.eval()


def run(graph: onnx.ModelProto, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    embedding, patches = session.run(["embedding", "patches"], {"crop": crops})
    return embedding, patches


@pytest.mark.parametrize("variant", ["lite0", "lite2"])
def test_the_graph_computes_the_networks_embedding(variant: str) -> None:
    network = tower(variant)
    with torch.no_grad():
        wanted = network.embed(torch.from_numpy(CROPS).permute(0, 3, 1, 2).float()).numpy()
    assert np.linalg.norm(wanted - wanted.mean(0), axis=1).min() > 0.05, "every crop looks the same to this network"
    embedding, patches = run(build(network, SIZE), CROPS)
    np.testing.assert_allclose(embedding, wanted, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
    assert patches.shape == (3, (SIZE // 32) ** 2, 32)
    np.testing.assert_allclose(patches.sum(1), embedding, atol=1e-5)


def test_a_patch_is_the_share_of_its_own_place() -> None:
    """Row by row: what changes in the lower left corner changes the patch there most."""
    changed = CROPS[:1].copy()
    changed[:, SIZE // 2 :, : SIZE // 2] = 255 - changed[:, SIZE // 2 :, : SIZE // 2]
    graph = build(tower(), SIZE)
    before, after = (run(graph, crops)[1][0] for crops in (CROPS[:1], changed))
    assert np.linalg.norm(after - before, axis=1).argmax() == 2


def test_one_crop_and_many_give_the_same() -> None:
    graph = build(tower(), SIZE)
    together = run(graph, CROPS)[0]
    for i in range(len(CROPS)):
        np.testing.assert_allclose(run(graph, CROPS[i : i + 1])[0][0], together[i], atol=1e-5)


def test_a_checkpoint_gives_the_same_bytes_every_time_from_its_averaged_weights(tmp_path: Path) -> None:
    average = tower()
    other = Tower(NetworkSettings("lite0", dimension=32))
    state = {"tower": other.state_dict(), "average": average.state_dict(), "network": asdict(average.settings)}
    torch.save(state, tmp_path / "last.pt")
    wanted = build(average, SIZE).SerializeToString(deterministic=True)
    for _ in range(2):
        found = load_tower(tmp_path / "last.pt")
        assert not found.training
        assert build(found, SIZE).SerializeToString(deterministic=True) == wanted


@pytest.mark.parametrize("size", [63, 100])
def test_a_size_that_leaves_half_a_patch_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="no multiple of 32"):
        build(tower(), size)
