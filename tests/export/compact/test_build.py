"""The recipe says at once what it lacks, and finds the weights that its packages carry."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from dermedge import UsageError
from dermedge_export.compact import build
from dermedge_export.compact.network import VARIANTS, backbone, load_imagenet


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variants_package_carries_weights_that_fit_its_network(variant: str) -> None:
    load_imagenet(backbone(variant, 0.1)[0], build.imagenet_weights(variant))


def test_a_build_without_coco_weights_stops_before_it_begins(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    options = parser.parse_args(
        ["--data", str(tmp_path / "data"), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    )
    with pytest.raises(UsageError, match=r"no COCO weights .*--coco"):
        build.run(options)
    assert list(tmp_path.iterdir()) == []
