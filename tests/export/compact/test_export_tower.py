"""From a checkpoint to a calibrated tower, and no further where int8 costs too much."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import tiny_collections
import tiny_tower
from dermedge import UsageError
from dermedge_export.compact import export_tower
from dermedge_export.compact.data import CONDITIONS, Photo, read_photos
from dermedge_export.compact.export_tower import ExportSettings, gate
from dermedge_export.compact.quantize_tower import quantize
from dermedge_export.compact.validate import figures
from dermedge_export.compact.views import Vectors, averaged, embed_views, session
from dermedge_export.compact.vocabulary import Vocabulary

SOURCES = ("ham", "pad", "isic", "negative")
SETTINGS = ExportSettings(
    size=tiny_tower.SIZE, views=2, compared_views=(1, 2), calibration_crops=64, float_layers=(8, 11)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_collections.build(tmp_path_factory.mktemp("data"), a_class=3, train=3)


@pytest.fixture(scope="module")
def checkpoint(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Taught on what it is measured on too: a single photograph in doubt is more than the gate allows.
    tower = tiny_tower.taught(read_photos(data, SOURCES, ("train", "val")))
    path = tmp_path_factory.mktemp("checkpoint") / "last.pt"
    torch.save({"average": tower.state_dict(), "network": asdict(tower.settings)}, path)
    return path


@pytest.fixture(scope="module")
def exported(data: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "tower"
    export_tower.export(data, checkpoint, out, SETTINGS)
    return out


@pytest.fixture(scope="module")
def vocabulary(checkpoint: Path) -> Vocabulary:
    return Vocabulary.of(export_tower.load_tower(checkpoint))


@pytest.fixture(scope="module")
def validation(data: Path) -> list[Photo]:
    return export_tower.validation_photos(data)[0]


def embedded(graph: Path, photos: list[Photo]) -> Vectors:
    crops = export_tower.crops_of(photos, SETTINGS.size)
    return averaged(embed_views(session(graph), crops, SETTINGS.views), SETTINGS.views)


def test_the_export_passes_its_gate_and_says_what_the_runtime_needs(exported: Path) -> None:
    assert {p.name for p in exported.iterdir()} == {
        "tower.onnx", "tower_fp32.onnx", "prompts.npy", "rejects.npy", "modalities.npy", "scoring.json",
    }  # fmt: skip
    scores = json.loads((exported / "scoring.json").read_text())
    assert scores["quantization"]["passed"] is True
    assert scores["quantization"]["float_layers"] in SETTINGS.float_layers
    assert scores["validation_by_views"]["2"]["ham_balanced"] > 0.9
    assert [s["modality"] for s in scores["scoring"]] == scores["modalities"]
    for entry in scores["scoring"]:
        assert len(entry["bias"]) == len(CONDITIONS)
        assert entry["temperature"] > 0
        assert 0 < entry["rejection_threshold"] <= 1
        assert entry["rejection"]["lesions_lost"] <= 0.005
    assert np.load(exported / "prompts.npy").shape == (2, len(CONDITIONS), tiny_tower.DIMENSION)
    assert not exported.with_name("tower.new").exists()


def test_the_same_checkpoint_gives_the_same_graphs(
    exported: Path, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    export_tower.export(data, checkpoint, tmp_path / "tower", SETTINGS)
    for name in ("tower.onnx", "tower_fp32.onnx", "prompts.npy", "rejects.npy", "modalities.npy"):
        assert (tmp_path / "tower" / name).read_bytes() == (exported / name).read_bytes(), name
    one, two = (json.loads((p / "scoring.json").read_text()) for p in (exported, tmp_path / "tower"))
    assert one["scoring"] == two["scoring"]


def shuffled(graph: onnx.ModelProto, layer: str) -> onnx.ModelProto:
    """The weights of one int8 convolution in another order."""
    for tensor in graph.graph.initializer:
        if tensor.name == f"{layer}.weight_quantized":
            values = onnx.numpy_helper.to_array(tensor)
            mixed = np.random.default_rng(0).permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array(mixed, tensor.name))
            return graph
    raise AssertionError(f"no int8 weights of {layer}")


def test_a_wrecked_int8_graph_does_not_pass_the_gate(
    exported: Path, vocabulary: Vocabulary, validation: list[Photo], tmp_path: Path
) -> None:
    exact = figures(validation, vocabulary.outputs(embedded(exported / "tower_fp32.onnx", validation)))
    sound = figures(validation, vocabulary.outputs(embedded(exported / "tower.onnx", validation)))
    assert gate(exact, sound, SETTINGS)["passed"] is True
    graph = onnx.load(exported / "tower.onnx")
    last = max((n.name for n in graph.graph.node if n.op_type == "Conv"), key=lambda n: int(n.split(".")[1]))
    onnx.save(shuffled(graph, last), tmp_path / "wrecked.onnx")
    spoiled = figures(validation, vocabulary.outputs(embedded(tmp_path / "wrecked.onnx", validation)))
    checked = gate(exact, spoiled, SETTINGS)
    assert checked["passed"] is False
    assert checked["costs"]["ham_balanced"] > SETTINGS.balanced_accuracy_cost  # type: ignore[index]


@pytest.mark.parametrize(
    ("changed", "passed"),
    [
        ({}, True),
        ({"ham_balanced": 0.796}, True),
        ({"ham_balanced": 0.79}, False),
        ({"ham_melanoma_auc": 0.898}, True),
        ({"ham_melanoma_auc": 0.896}, False),
        ({"ham_malignant_auc": 0.9}, False),
        ({"ham_malignant_auc": float("nan")}, False),
        ({"ham_balanced": 0.95, "ham_malignant_auc": 0.99}, True),
        ({"pad_balanced": 0.1}, True),
    ],
)
def test_the_gate_allows_what_its_settings_say(changed: dict[str, float], passed: bool) -> None:
    exact = {"ham_balanced": 0.8, "ham_melanoma_auc": 0.9, "ham_malignant_auc": 0.95, "pad_balanced": 0.6}
    assert gate(exact, exact | changed, ExportSettings())["passed"] is passed


def blackened(folder: Path, out: Path) -> Path:
    """The same collections, with training photographs that show nothing: what int8 is calibrated on is worthless."""
    out.mkdir()
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out / path.name, "w") as spoiled:
            for member in archive.namelist():
                content = archive.read(member)
                number = Path(member).stem.split("_")
                if member.endswith(".jpg") and any(part.isdigit() and int(part) >= 100 for part in number):
                    buffer = io.BytesIO()
                    Image.new("RGB", Image.open(io.BytesIO(content)).size).save(buffer, "JPEG")
                    content = buffer.getvalue()
                spoiled.writestr(member, content)
    return out


def test_an_export_whose_int8_fails_the_gate_is_refused_and_leaves_the_last_one(
    data: Path, checkpoint: Path, exported: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tower"
    out.mkdir()
    (out / "scoring.json").write_text("the last one")
    with pytest.raises(UsageError, match="int8"):
        export_tower.export(blackened(data, tmp_path / "black"), checkpoint, out, SETTINGS)
    assert [p.name for p in out.iterdir()] == ["scoring.json"]
    assert (out / "scoring.json").read_text() == "the last one"


def test_the_logits_are_those_of_the_network_under_the_modality_that_is_seen(
    checkpoint: Path, vocabulary: Vocabulary
) -> None:
    tower = export_tower.load_tower(checkpoint)
    embedding = torch.nn.functional.normalize(torch.randn(6, tiny_tower.DIMENSION), dim=1)
    outputs = vocabulary.outputs(embedding.numpy())
    seen = torch.from_numpy(outputs.modalities.argmax(1))
    with torch.no_grad():
        wanted = tower.logits(embedding, seen)
    for found, expected in zip((outputs.conditions, outputs.rejects, outputs.modalities), wanted, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_bare_skin_for_validation_shows_no_lesion_and_is_cut_without_context(data: Path) -> None:
    _, skin = export_tower.validation_photos(data)
    assert len(skin) > 3
    crops = export_tower.crops_of(skin, 32)
    assert crops.reshape(len(skin), -1, 3).min((1, 2)).min() > 100, "a spot's colour is in the crop"


def test_quantizing_with_more_layers_in_float_comes_closer(
    exported: Path, data: Path, validation: list[Photo], tmp_path: Path
) -> None:
    training = read_photos(data, ("ham", "pad"), ("train",))
    samples = export_tower.calibration_crops(training, SETTINGS.size, 32)
    exact = embedded(exported / "tower_fp32.onnx", validation)
    near = []
    for layers in (0, 14):
        quantize(exported / "tower_fp32.onnx", tmp_path / f"{layers}.onnx", samples, layers)
        near.append(export_tower.centred_cosine(exact, embedded(tmp_path / f"{layers}.onnx", validation)))
    assert near[0] < near[1]
