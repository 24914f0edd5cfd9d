"""The views of the export are the runtime's, so that what is calibrated is what runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import tiny_graphs
import tiny_pack
from dermedge.crop import square_around
from dermedge.photo import read_photo
from dermedge.result import Box
from dermedge.scanner import Scanner
from dermedge_export.compact import data
from dermedge_export.compact.views import averaged, embed_once, embed_views, session, unit


@pytest.mark.parametrize("views", [1, 2, 4, 8])
def test_a_photograph_gets_the_vector_that_the_runtime_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int
) -> None:
    folder = tiny_pack.build(tmp_path, views=views)
    spec = {"context": 2.0, "closer": 1.25 if views > 1 else None, "resample": data.RESAMPLE}
    tiny_pack.edit_manifest(folder, lambda d: d["tower"].update(spec, padding=list(data.PADDING)))
    monkeypatch.setattr(data, "CLOSER", 1.25)
    pixels = np.asarray(tiny_pack.skin_with_spots(("melanoma", 90, 110, 30), size=(200, 160)))
    box = (55.0, 80.0, 125.0, 142.0)
    photo = data.Photo("ham", "x", "train", "mel", pixels, box, (data.MEL,), 0, "x")
    ours = embed_views(
        session(folder / "graphs" / "tower.onnx"), [data.looked_at(photo, tiny_graphs.TOWER_SIZE, 2.0)], views
    )
    with Scanner.open(folder, provider="cpu", threads=1) as scanner:
        seen = read_photo(pixels, name="spot")
        theirs = scanner.tower.embed(scanner.crop(seen, Box(*box))).vector
    assert square_around(Box(*box), 200, 160, 2.0).width == 140
    np.testing.assert_allclose(averaged(ours, views)[0], theirs, atol=1e-5)


def test_one_view_is_the_crop_itself(tmp_path: Path) -> None:
    graph = tiny_pack.build(tmp_path) / "graphs" / "tower.onnx"
    size = tiny_graphs.TOWER_SIZE
    pixels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (19, size, size, 3)).astype(np.uint8)
    crops = [data.Crop(one, Box(0, 0, size, size), Box(0, 0, 9, 9)) for one in pixels]
    np.testing.assert_allclose(embed_once(session(graph), pixels), embed_views(session(graph), crops, 1)[0], atol=1e-6)


def test_averages_have_length_one_and_use_the_first_views_alone() -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(4, 3, 5)).astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(averaged(vectors, 3), axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(averaged(vectors, 1), vectors[0], rtol=1e-5)


def test_a_vector_of_nothing_stays_finite() -> None:
    assert np.isfinite(unit(np.zeros((1, 4), np.float32))).all()
