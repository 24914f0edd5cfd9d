"""Checkpoints become detectors that the runtime opens; what does not detect lesions is refused."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

import tiny_pack
from dermedge.detector import Detector, contract
from dermedge.graph import Graph, GraphSettings
from dermedge.pack.manifest import DetectorSpec
from dermedge.photo import read_photo
from dermedge_export import yolo
from dermedge_export.onnx_file import save
from dermedge_export.torchvision_absent import prepare_ultralytics
from dermedge_export.yolo import NotALesionDetectorError, export_detector, load_checkpoint, load_folded, new_model

SIDE = 96
ANCHORS = sum((SIDE // stride) ** 2 for stride in (8, 16, 32))
SPEC = DetectorSpec("detector.onnx", SIDE, 0.0, 0.5, 8)


def pictures(count: int = 4) -> torch.Tensor:
    """Soft blobs of colour, as float batches are given to the network."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)


def awake(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights whose batch norms know the pictures: otherwise the answer hardly depends on what is seen."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(pictures(8))
        for branches in (model.model[-1].cv2, model.model[-1].cv3):
            for branch in branches:
                branch[-1].bias.normal_(0, 1)
                branch[-1].weight.normal_(0, 0.05)
    return model.eval()


def untrained(seed: int = 1) -> torch.nn.Module:
    torch.manual_seed(seed)
    return awake(new_model())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    torch.save({"model": untrained()}, path)
    return path


@pytest.fixture(scope="module")
def exact(checkpoint: Path) -> tuple[onnx.ModelProto, list[str]]:
    """The float graph, and the names of its head's nodes."""
    return yolo.detector_graph(load_checkpoint(checkpoint), SIDE)


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    path = checkpoint.with_name("detector.onnx")
    export_detector(checkpoint, path, SIDE)
    return path


def opened(path: Path) -> Graph:
    return Graph.open(path, GraphSettings("cpu", 1), *contract(SPEC), name=SPEC.graph)


def of_many_classes(folder: Path) -> Path:
    prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    path = folder / "yolov8n.pt"
    torch.save({"model": DetectionModel("yolov8n.yaml", ch=3, nc=80, verbose=False)}, path)
    return path


def test_a_stock_network_of_eighty_classes_is_refused_as_a_lesion_detector(tmp_path: Path) -> None:
    stock = of_many_classes(tmp_path)
    with pytest.raises(NotALesionDetectorError, match="80 classes"):
        export_detector(stock, tmp_path / "detector.onnx", SIDE)
    assert not (tmp_path / "detector.onnx").exists()


def test_a_file_without_a_model_is_refused(tmp_path: Path) -> None:
    torch.save({"state": {}}, tmp_path / "odd.pt")
    with pytest.raises(NotALesionDetectorError, match="no Ultralytics checkpoint"):
        load_checkpoint(tmp_path / "odd.pt")


def test_the_averaged_weights_are_taken_where_a_checkpoint_has_both(tmp_path: Path) -> None:
    plain, averaged = untrained(1), untrained(2)
    torch.save({"model": plain, "ema": averaged}, tmp_path / "last.pt")
    found = load_checkpoint(tmp_path / "last.pt").state_dict()
    assert all(torch.equal(found[name], value) for name, value in averaged.state_dict().items())


def test_the_graph_gives_corners_and_a_confidence_for_every_place(
    exact: tuple[onnx.ModelProto, list[str]], exported: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pixels = (pictures() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    save(exact[0], tmp_path / "float.onnx")
    run, halved = opened(tmp_path / "float.onnx"), opened(exported)
    with torch.no_grad():
        model = load_checkpoint(checkpoint)
        wanted = model(pixels.permute(0, 3, 1, 2).float() / 255)[0].transpose(1, 2).numpy()
    centre, size = wanted[..., :2], wanted[..., 2:4]
    wanted = np.concatenate([centre - size / 2, centre + size / 2, wanted[..., 4:]], -1)
    for i in range(len(pixels)):
        boxes = run.run({"images": pixels[i : i + 1].numpy()})["boxes"]
        assert boxes.shape == (1, ANCHORS, 5)
        assert ((boxes[..., 4] >= 0) & (boxes[..., 4] <= 1)).all()
        np.testing.assert_allclose(boxes[0, :, :4], wanted[i, :, :4], atol=0.05)
        np.testing.assert_allclose(boxes[0, :, 4], wanted[i, :, 4], atol=1e-3)
        stored = halved.run({"images": pixels[i : i + 1].numpy()})["boxes"]
        assert np.abs(stored - boxes)[..., :4].mean() < 0.25
        assert np.abs(stored - boxes)[..., 4].mean() < 5e-3
    assert np.ptp(wanted, axis=0)[..., :4].max() > 5, "the pictures look the same to this network"
    assert np.ptp(wanted, axis=0)[..., 4].max() > 0.2


def test_the_runtimes_detector_opens_the_graph_and_gives_boxes_on_the_photograph(exported: Path) -> None:
    photo = read_photo(tiny_pack.skin_with_spots(("melanoma", 150, 80, 40), size=(300, 200)), name="spot")
    found = Detector(opened(exported), SPEC).find(photo)
    assert 1 <= len(found) <= SPEC.max_lesions
    assert [d.confidence for d in found] == sorted((d.confidence for d in found), reverse=True)
    for detection in found:
        box = detection.box
        assert 0 <= box.x0 < box.x1 <= photo.width
        assert 0 <= box.y0 < box.y1 <= photo.height


def test_the_same_checkpoint_gives_the_same_bytes_without_metadata(exported: Path, checkpoint: Path) -> None:
    again = exported.with_name("again.onnx")
    export_detector(checkpoint, again, SIDE)
    assert again.read_bytes() == exported.read_bytes()
    graph = onnx.load(exported)
    assert not graph.metadata_props
    assert not graph.producer_name
    assert not any(node.metadata_props for node in graph.graph.node)


def test_int8_keeps_the_contract_and_leaves_the_head_in_float(
    exact: tuple[onnx.ModelProto, list[str]], tmp_path: Path
) -> None:
    graph, head = exact
    frames = (pictures() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    save(graph, tmp_path / "float.onnx")
    rounded = yolo.quantized(graph, head, list(frames))
    save(rounded, tmp_path / "int8.onnx")
    convolutions = {n.name: n.input[1] for n in rounded.graph.node if n.op_type == "Conv"}
    kept = {n: w for n, w in convolutions.items() if n in head}
    assert kept
    assert not any("Dequantize" in weight for weight in kept.values())
    assert all("Dequantize" in weight for name, weight in convolutions.items() if name not in head)
    wanted, found = (opened(tmp_path / f"{n}.onnx").run({"images": frames[:1]})["boxes"] for n in ("float", "int8"))
    assert found.shape == wanted.shape
    assert np.corrcoef(found[..., :4].ravel(), wanted[..., :4].ravel())[0, 1] > 0.9


def test_folded_weights_come_back_as_the_same_function_with_batch_norms_that_can_be_trained(tmp_path: Path) -> None:
    prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(2)
    stock = awake(DetectionModel("yolov8n.yaml", ch=3, nc=80, verbose=False))
    stock.fuse(verbose=False)
    save_file({k: v.contiguous().clone() for k, v in stock.state_dict().items()}, tmp_path / "folded.safetensors")
    images = pictures(8)
    model = load_folded(tmp_path / "folded.safetensors", [images])
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert any(abs(float(norm.running_mean.mean())) > 1e-3 for norm in norms)
    with torch.no_grad():
        now, before = model.eval()(images)[0], stock(images)[0]
    assert now.shape[1] == 5
    assert (before[1:, :4] - before[:1, :4]).abs().max() > 5, "the pictures look the same to this network"
    torch.testing.assert_close(now[:, :4], before[:, :4], atol=0.1, rtol=1e-3)


def test_the_stand_in_for_torchvision_suppresses_overlaps_and_leaves_version_lookups_alone() -> None:
    look_up = importlib.metadata.version
    prepare_ultralytics()
    assert importlib.metadata.version is look_up
    import torchvision

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    assert torchvision.ops.nms(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.5).tolist() == [1, 2]
