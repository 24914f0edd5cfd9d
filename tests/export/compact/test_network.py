"""The network is the published one, and its head keeps its promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dermedge_export.compact.network import VARIANTS, NetworkSettings, Tower, backbone, imagenet_weights, load_imagenet


@pytest.fixture(scope="module")
def weights() -> Path:
    return imagenet_weights("lite0")


def test_the_backbone_with_imagenet_weights_computes_what_the_published_network_computes(weights: Path) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    published = EfficientNet.from_name("efficientnet-lite0")
    published.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    ours, features = backbone("lite0", 0.1)
    load_imagenet(ours, weights)
    crop = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    with torch.no_grad():
        wanted, found = published.eval().extract_features(crop), ours.eval()(crop)
    assert found.shape == (2, features, 2, 2)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_weights_of_another_size_are_refused(weights: Path) -> None:
    network, _ = backbone("lite1", 0.1)
    with pytest.raises(ValueError, match="tensors, the network"):
        load_imagenet(network, weights)


def test_weights_in_another_order_are_refused(weights: Path, tmp_path: Path) -> None:
    published = torch.load(weights, map_location="cpu", weights_only=True)
    names = list(published)
    turned = {name: published[name] for name in [*names[1:], names[0]]}
    torch.save(turned, tmp_path / "turned.pth")
    with pytest.raises(ValueError, match="does not fit"):
        load_imagenet(backbone("lite0", 0.1)[0], tmp_path / "turned.pth")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_crop_becomes_a_vector_of_length_one(variant: str) -> None:
    torch.manual_seed(0)
    tower = Tower(NetworkSettings(variant=variant, dimension=48)).eval()
    with torch.no_grad():
        embedding = tower.embed(torch.rand(2, 3, 64, 64) * 255)
    assert embedding.shape == (2, 48)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))


def test_conditions_are_judged_under_each_crops_own_modality() -> None:
    torch.manual_seed(1)
    tower = Tower(NetworkSettings("lite0", dimension=16))
    with torch.no_grad():
        tower.deltas.normal_()
        embedding = torch.nn.functional.normalize(torch.randn(3, 16), dim=1)
        conditions, rejects, modality = tower.logits(embedding, torch.tensor([0, 1, 1]))
        for row, world in enumerate((0, 1, 1)):
            torch.testing.assert_close(conditions[row], tower.scale() * tower.prompts()[world] @ embedding[row])
    assert rejects.shape == (3, 4)
    assert modality.shape == (3, 2)
    for vectors in (tower.prompts(), tower.rejects(), tower.modality_axes()):
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(vectors.shape[:-1]))


def test_no_scale_grows_beyond_what_stays_calibrated() -> None:
    tower = Tower(NetworkSettings("lite0", dimension=8))
    with torch.no_grad():
        tower.log_scale.fill_(9.0)
        tower.log_modality_scale.fill_(9.0)
    assert tower.scale() == tower.modality_scale() == 48


def test_frozen_layers_neither_learn_nor_move_their_statistics() -> None:
    torch.manual_seed(2)
    tower = Tower(NetworkSettings("lite0", dimension=8))
    tower.frozen = 8
    tower.train()
    before = {k: v.clone() for k, v in tower.backbone[:8].state_dict().items()}
    tower.embed(torch.rand(2, 3, 64, 64) * 255).sum().backward()
    assert all(p.grad is None for p in tower.backbone[:8].parameters())
    assert any(p.grad is not None for p in tower.backbone[8:].parameters())
    assert all(torch.equal(before[k], v) for k, v in tower.backbone[:8].state_dict().items())
