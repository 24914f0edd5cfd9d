"""LiteMedSAM as two graphs: what the runtime opens draws the outline that the published network draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image, ImageFilter

from dermedge.graph import Graph, GraphSettings
from dermedge.pack.manifest import SegmenterSpec
from dermedge.photo import read_photo
from dermedge.result import Box
from dermedge.segmenter import Segmenter, contract
from dermedge_export.medsam import SIZE, SegmenterSettings, _area_resize, export_segmenter
from dermedge_export.metrics import dice

SPEC = SegmenterSpec("encoder.onnx", "decoder.onnx", SIZE, 1.4, 0.0)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segmenter")
    export_segmenter(folder, SegmenterSettings())
    return folder


@pytest.fixture(scope="module")
def segmenter(exported: Path) -> Segmenter:
    encoder, decoder = contract(SPEC)
    settings = GraphSettings("cpu", 1)
    return Segmenter(
        Graph.open(exported / SPEC.encoder, settings, *encoder, name=SPEC.encoder),
        Graph.open(exported / SPEC.decoder, settings, *decoder, name=SPEC.decoder),
        SPEC,
    )


def disc(width: int, height: int, x: float, y: float, radius: float) -> Image.Image:
    """A dark, slightly blurred disc on grainy skin."""
    down, across = np.mgrid[0:height, 0:width] + 0.5
    inside = (np.hypot(across - x, down - y) <= radius)[..., None]
    noise = np.random.default_rng(4).normal(0, 4, (height, width, 1))
    picture = np.where(inside, (95, 60, 45), (225, 180, 155)) + noise
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.5))


@pytest.mark.parametrize(
    ("width", "height", "x", "y", "radius"),
    [(400, 300, 180, 140, 60), (640, 480, 100, 380, 45), (200, 150, 100, 75, 60), (900, 1200, 640, 300, 150)],
    ids=["centre", "near a corner", "filling the frame", "large photograph"],
)
def test_the_quantized_graphs_outline_a_dark_disc_in_its_box(
    segmenter: Segmenter, width: int, height: int, x: float, y: float, radius: float
) -> None:
    photo = read_photo(disc(width, height, x, y, radius), name="disc")
    mask = segmenter.outline(photo, Box(x - radius, y - radius, x + radius, y + radius))
    cell = mask.region.width / SIZE
    down, across = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) * cell
    truth = np.hypot(across + mask.region.x0 - x, down + mask.region.y0 - y) <= radius
    assert dice(mask.pixels, truth) >= 0.8


def test_the_box_decides_which_of_two_discs_is_outlined(segmenter: Segmenter) -> None:
    left, right = np.asarray(disc(400, 300, 110, 150, 50)), np.asarray(disc(400, 300, 290, 150, 50))
    photo = read_photo(Image.fromarray(np.minimum(left, right)), name="two discs")
    for x in (110, 290):
        mask = segmenter.outline(photo, Box(x - 50, 100, x + 50, 200))
        columns = np.nonzero(mask.pixels.any(0))[0]
        middle = mask.region.x0 + (columns.mean() + 0.5) * mask.region.width / SIZE
        assert middle == pytest.approx(x, abs=15)


def test_the_graphs_hold_no_paths_or_dates_and_are_the_same_bytes_each_time(exported: Path, tmp_path: Path) -> None:
    export_segmenter(tmp_path)
    for name in (SPEC.encoder, SPEC.decoder):
        graph = onnx.load(exported / name)
        assert not graph.metadata_props
        assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)
        assert (tmp_path / name).read_bytes() == (exported / name).read_bytes()


def test_the_graphs_are_small_because_their_weights_are_quantized(exported: Path) -> None:
    kinds = {
        name: {t.data_type for t in onnx.load(exported / name).graph.initializer if np.prod(t.dims) > 4096}
        for name in (SPEC.encoder, SPEC.decoder)
    }
    for name, found in kinds.items():
        assert onnx.TensorProto.INT8 in found, name
        assert onnx.TensorProto.FLOAT not in found, name
    assert sum((exported / name).stat().st_size for name in kinds) < 16e6


@pytest.mark.parametrize("target", [1, 112, 200, 256])
def test_reducing_averages_every_source_pixel_equally(target: int) -> None:
    matrix = _area_resize(256, target).double().numpy()
    assert matrix.shape == (target, 256)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(matrix.sum(0), target / 256, atol=1e-6)
