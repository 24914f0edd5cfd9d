from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

import tiny_graphs
import tiny_pack
from dermedge.detector import Detector, contract, letterbox, non_maximum_suppression
from dermedge.errors import GraphInvalid
from dermedge.graph import Graph, GraphSettings
from dermedge.pack.manifest import DetectorSpec
from dermedge.pack.verify import verify
from dermedge.result import Box
from tiny_photo import photo_of

SPEC = DetectorSpec("detector.onnx", tiny_graphs.DETECTOR_SIZE, tiny_pack.CONFIDENCE, tiny_pack.IOU, 8)
SETTINGS = GraphSettings(provider="cpu", threads=1)


def detector(model: onnx.ModelProto, spec: DetectorSpec = SPEC) -> Detector:
    return Detector(Graph.open(model.SerializeToString(), SETTINGS, *contract(spec)), spec)


@pytest.fixture(scope="module")
def darkness() -> Detector:
    return detector(tiny_graphs.detector())


def answering(rows: list[list[float]], spec: DetectorSpec = SPEC) -> Detector:
    """A detector whose graph answers with these rows, whatever it sees."""
    boxes = numpy_helper.from_array(np.array([rows], np.float32).reshape(1, -1, 5), "fixed")
    size = spec.size
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["fixed"], ["boxes"])], "g",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, [1, size, size, 3])],
        [onnx.helper.make_tensor_value_info("boxes", onnx.TensorProto.FLOAT, [1, len(rows), 5])], [boxes],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    return detector(model, spec)


def iou(a: Box, b: Box) -> float:
    across = max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0))
    down = max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))
    return across * down / (a.width * a.height + b.width * b.height - across * down)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(
    ("size", "spots"),
    [
        ((256, 256), [(128, 128, 40)]),
        ((512, 384), [(150, 120, 60)]),
        ((384, 512), [(250, 400, 60)]),
        ((512, 300), [(120, 150, 60), (390, 150, 60)]),
        ((512, 512), [(80, 80, 60)]),
        ((512, 512), [(432, 80, 60)]),
        ((512, 512), [(80, 432, 60)]),
        ((512, 512), [(432, 432, 60)]),
    ],
)
def test_spots_are_found_where_they_are(
    darkness: Detector, size: tuple[int, int], spots: list[tuple[int, int, int]], scale: float
) -> None:
    image = tiny_pack.skin_with_spots(*(("melanoma", *spot) for spot in spots), size=size)
    found = darkness.find(photo_of(image, scale))
    assert len(found) == len(spots)
    for x, y, r in spots:
        assert max(iou(d.box, Box(x - r, y - r, x + r, y + r)) for d in found) > 0.5
    assert [d.confidence for d in found] == sorted((d.confidence for d in found), reverse=True)
    assert not any(d.by_hand for d in found)


def test_the_detector_of_a_pack_finds_what_its_golden_photograph_promises(tmp_path: Path) -> None:
    pack = verify(tiny_pack.build(tmp_path / "pack"))
    (golden,) = (photo for photo in pack.manifest.golden.photos if photo.modality == "phone")
    with Image.open(pack.folder / golden.photo) as image:
        found = Detector.open(pack, SETTINGS).find(photo_of(image))
    assert [d.box.as_xywh() for d in found] == [pytest.approx(list(box), abs=1) for box in golden.boxes]


def test_plain_skin_has_no_lesions(darkness: Detector) -> None:
    assert darkness.find(photo_of(tiny_pack.skin_with_spots(size=(300, 200)))) == ()


@pytest.mark.parametrize(
    ("size", "row", "expected"),
    [
        ((128, 128), [10, 20, 30, 60], Box(10, 20, 30, 60)),
        ((1280, 1280), [10, 20, 30, 60], Box(100, 200, 300, 600)),
        # 1280 x 640 fills the middle half of the letterbox's height.
        ((1280, 640), [10, 40, 30, 80], Box(100, 80, 300, 480)),
        ((640, 1280), [40, 10, 80, 30], Box(80, 100, 480, 300)),
        # What reaches into the grey is clipped to the photograph.
        ((1280, 640), [-10, 10, 30, 120], Box(0, 0, 300, 640)),
    ],
)
def test_boxes_come_back_in_the_photographs_pixels(
    size: tuple[int, int], row: list[float], expected: Box
) -> None:
    (found,) = answering([[*row, 0.9]]).find(photo_of(Image.new("RGB", size)))
    assert found.box == expected
    assert found.confidence == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([[0, 32, 40, 72, 0.9], [60, 60, 90, 90, 0.8]], 2),
        ([[0, 32, 40, 72, 0.9], [60, 60, 90, 90, 0.4]], 1),
        ([[0, 32, 40, 72, 0.9], [2, 34, 42, 74, 0.8]], 1),
        # Mostly inside a surer one: the same lesion, though their IoU is small.
        ([[0, 32, 64, 96, 0.9], [10, 40, 30, 60, 0.8]], 1),
        ([[10, 40, 30, 60, 0.9], [0, 32, 64, 96, 0.8]], 1),
        # No width, no height, inside out.
        ([[50, 50, 50, 90, 0.9], [50, 50, 90, 50, 0.9], [90, 90, 50, 50, 0.9]], 0),
        # Wholly in the grey above the photograph.
        ([[0, 0, 128, 30, 0.9]], 0),
    ],
)
def test_one_box_a_lesion_is_kept(rows: list[list[float]], kept: int) -> None:
    assert len(answering(rows).find(photo_of(Image.new("RGB", (1280, 640))))) == kept


def test_no_more_lesions_than_the_pack_allows_the_surest_first() -> None:
    rows = [[20 * i, 0, 20 * i + 10, 10, 0.5 + 0.05 * i] for i in range(6)]
    found = answering(rows, replace(SPEC, max_lesions=2)).find(photo_of(Image.new("RGB", (128, 128))))
    assert [round(d.box.x0) for d in found] == [100, 80]


@pytest.mark.parametrize(("row", "message"), [([0, 0, 9, 9, float("nan")], "NaN"),
                                              ([0, float("inf"), 9, 9, 0.9], "NaN or infinity"),
                                              ([0, 0, 9, 9, 1.5], "outside 0 to 1"),
                                              ([0, 0, 9, 9, -0.5], "outside 0 to 1")])
def test_a_broken_answer_is_an_error_and_no_lesion(row: list[float], message: str) -> None:
    with pytest.raises(GraphInvalid, match=message):
        answering([row]).find(photo_of(Image.new("RGB", (128, 128))))


def test_letterbox_is_the_square_around_the_whole_photograph() -> None:
    assert letterbox(photo_of(Image.new("RGB", (400, 300)))) == Box(0, -50, 400, 350)
    assert letterbox(photo_of(Image.new("RGB", (301, 400)), 0.5)) == Box(-49.5, 0, 350.5, 400)


Rows = NDArray[np.float64]


@st.composite
def scored_boxes(draw: st.DrawFn) -> tuple[Rows, Rows]:
    corner = st.floats(0, 100, width=32)
    side = st.floats(1, 60, width=32)
    score = st.sampled_from([0.3, 0.5, 0.5, 0.7, 0.9]) | st.floats(0, 1, width=32)
    rows = draw(st.lists(st.tuples(corner, corner, side, side, score), max_size=14))
    table = np.array(rows, np.float64).reshape(-1, 5)
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1), table[:, 4]


limits = st.floats(0, 0.95)


@given(scored_boxes(), limits)
def test_no_two_kept_boxes_overlap_more_than_allowed_and_the_surest_is_kept(
    case: tuple[Rows, Rows], limit: float
) -> None:
    boxes, scores = case
    kept = non_maximum_suppression(boxes, scores, limit)
    as_boxes = [Box(*boxes[i].tolist()) for i in kept]
    assert all(iou(a, b) <= limit + 1e-9 for i, a in enumerate(as_boxes) for b in as_boxes[:i])
    assert [scores[i] for i in kept] == sorted((scores[i] for i in kept), reverse=True)
    assert not len(boxes) or scores[kept[0]] == scores.max()
    for i in set(range(len(boxes))) - set(kept):
        better = [j for j in kept if scores[j] >= scores[i]]
        mine = Box(*boxes[i].tolist())
        assert any(iou(mine, Box(*boxes[j].tolist())) > limit - 1e-9 for j in better)


@given(scored_boxes(), limits, st.none() | st.floats(0.5, 1), st.randoms(use_true_random=False))
def test_suppression_does_not_depend_on_the_order_and_is_final(
    case: tuple[Rows, Rows], limit: float, containment: float | None, random: object
) -> None:
    boxes, scores = case
    kept = non_maximum_suppression(boxes, scores, limit, containment)
    order = list(range(len(boxes)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = non_maximum_suppression(boxes[order], scores[order], limit, containment)
    assert boxes[order][shuffled].tolist() == boxes[kept].tolist()
    again = non_maximum_suppression(boxes[kept], scores[kept], limit, containment)
    assert again == list(range(len(kept)))
