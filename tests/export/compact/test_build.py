"""The command says at once what it lacks, and how long it will take."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from dermedge import UsageError
from dermedge_export.compact import build
from dermedge_export.compact.network import VARIANTS, NetworkSettings, backbone, imagenet_weights, load_imagenet
from dermedge_export.compact.recipe import Places, Recipe, Stage, stages


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variants_package_carries_weights_that_fit_its_network(variant: str) -> None:
    load_imagenet(backbone(variant, 0.1)[0], imagenet_weights(variant))


def test_a_build_without_coco_weights_stops_before_it_begins(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    options = parser.parse_args(
        ["--data", str(tmp_path / "data"), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    )
    with pytest.raises(UsageError, match=r"no COCO weights .*--coco"):
        build.run(options)
    assert list(tmp_path.iterdir()) == []


def plan(folder: Path, recipe: Recipe) -> dict[str, Stage]:
    places = Places(folder, folder / "work", folder / "coco", folder / "samples", folder / "out")
    return {stage.name: stage for stage in stages(places, recipe, release="1", workers=1)}


def test_the_recipe_trains_what_the_network_is_by_default(tmp_path: Path) -> None:
    assert Recipe().network == NetworkSettings()
    assert len(plan(tmp_path, Recipe())) == len(plan(tmp_path, replace(Recipe(), left_out=None))) + 2
    two = list(plan(tmp_path, replace(Recipe(), branches=Recipe().branches[:2])))
    assert two[:4] == ["trunk: train", "branch-1: train", "branch-2: train", "tower: average the branches"]


def test_a_stage_is_done_while_its_result_is_younger_than_what_it_was_made_from(tmp_path: Path) -> None:
    stage = plan(tmp_path, Recipe())["tower: quantize and calibrate"]
    checkpoint, result = tmp_path / "work" / "tower.pt", tmp_path / "work" / "tower-pack" / "scoring.json"
    assert not stage.done()
    for path in (checkpoint, result):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert stage.done()
    checkpoint.write_text("trained on")
    assert not stage.done()
