"""A tower is measured on what it never saw, and only on that."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import tiny_collections
import tiny_tower
from dermedge import UsageError
from dermedge_export.compact import left_out
from dermedge_export.compact.data import read_photos


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=2, train=3)


def checkpoint(data: Path, path: Path, *sources: str) -> Path:
    tower = tiny_tower.taught(read_photos(data, sources, ("train",)))
    torch.save({"average": tower.state_dict(), "network": asdict(tower.settings), "sources": list(sources)}, path)
    return path


def test_the_sources_that_were_left_out_are_measured_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_out, "SIZE", tiny_tower.SIZE)
    path = checkpoint(data, tmp_path / "last.pt", "ham", "negative")
    parser = argparse.ArgumentParser()
    left_out.add_arguments(parser)
    out = tmp_path / "left_out.json"
    assert left_out.run(parser.parse_args([f"--checkpoint={path}", f"--data={data}", f"--out={out}"])) == 0
    found = json.loads(out.read_text())
    assert found["trained_on"] == ["ham10000", "negatives"]
    camera, phone = found["sections"]
    assert camera["collection"] == "isic2017"
    assert camera["figures"]["melanoma_auc"]["photographs"] == 2 * 2 + 3 * 3
    assert camera["figures"]["melanoma_auc"]["value"] > 0.9
    assert "5 melanomas" in camera["how"]
    assert phone["figures"]["balanced_accuracy"]["photographs"] == 6 * (2 + 3)
    assert phone["figures"]["malignant_auc"]["value"] > 0.5


def test_what_was_trained_on_is_not_measured(data: Path, tmp_path: Path) -> None:
    path = checkpoint(data, tmp_path / "last.pt", "ham", "isic", "pad")
    with pytest.raises(UsageError, match="nothing that is measured was left out"):
        left_out.measure(path, data)
    state = torch.load(path, weights_only=True)
    del state["sources"]
    torch.save(state, path)
    with pytest.raises(UsageError, match="--trained-on"):
        left_out.measure(path, data)
