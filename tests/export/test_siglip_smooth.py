"""Evening out the activations changes no answer, and loud channels no longer drown the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_siglip
from dermedge_export.siglip import smooth
from dermedge_export.siglip.load import load
from dermedge_export.siglip.network import ImageTower, build

CROPS = tiny_siglip.crops(6)
NO_ANSWERS = smooth.Range(torch.zeros(0), torch.zeros(0))


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few channels that ruin an int8 scale for the others."""
    return tiny_siglip.checkpoint(tmp_path_factory.mktemp("loud") / "loud", outliers=40.0)


def answers(tower: ImageTower) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with torch.inference_mode():
        return tower(torch.from_numpy(CROPS))[0].numpy()


def test_it_changes_no_answer_and_quietens_loud_channels(loud: Path) -> None:
    changed = build(load(str(loud)))
    before, seen = answers(changed), smooth.observe(changed, CROPS)
    smooth.smooth(changed, seen)
    assert np.abs(answers(changed) - before).max() < 1e-4
    after = smooth.observe(changed, CROPS)
    for name in ("blocks.0.attention.query", "blocks.1.expand"):
        assert after[name].noise < seen[name].noise / 10


def test_channels_are_moved_towards_zero_also_where_attention_mixes_them() -> None:
    changed = build(load(str(tiny_siglip.shared())))
    smooth.smooth(changed, smooth.observe(changed, CROPS))
    for name, seen in smooth.observe(changed, CROPS).items():
        if not name.endswith("reduce"):  # its input comes out of an activation function, where nothing can be moved
            assert seen.middle.abs().max() < 1e-3 * seen.reach.max(), name


def test_channels_that_are_alike_are_left_as_they_are() -> None:
    level = smooth.Activations(-torch.ones(4), torch.ones(4), torch.zeros(4), torch.ones(4) / 3, 0.0, NO_ANSWERS)
    assert torch.equal(smooth.quietest([torch.eye(4)], level), torch.ones(4))
    uneven = smooth.Activations(
        -torch.tensor([100.0, 1, 1, 1]), torch.tensor([100.0, 1, 1, 1]), torch.zeros(4), torch.ones(4), 0.0,
        NO_ANSWERS,
    )  # fmt: skip
    factor = smooth.quietest([torch.eye(4)], uneven)
    assert factor[0] > 3 * factor[1]


def test_the_noisiest_layers_are_ranked_by_what_one_scale_costs() -> None:
    channel = torch.ones(1)
    seen = {
        name: smooth.Activations(channel, channel, channel, channel, noise, NO_ANSWERS)
        for name, noise in (("a", 0.1), ("b", 0.3), ("c", 0.2))
    }
    assert smooth.noisiest(seen, 2 / 3) == ("b", "c")
    assert smooth.noisiest(seen, 0.01) == ("b",)
    assert smooth.noisiest(seen, 0) == ()


def test_between_queries_and_keys_the_louder_gives_to_the_quieter() -> None:
    level = torch.ones(4)
    assert torch.equal(smooth.fairest(level, level), level)
    loud = torch.tensor([100.0, 1, 1, 1])
    factor = smooth.fairest(level, loud)
    assert 3 * factor[1] < factor[0]
    assert smooth._score_noise(level * factor, loud / factor) < smooth._score_noise(level, loud) / 3
