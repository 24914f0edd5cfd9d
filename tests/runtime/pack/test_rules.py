from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny_pack
from dermedge.errors import ManifestInvalid, PackError, PackFileUnlisted, PackPathUnsafe
from dermedge.pack.reading import read_manifest

Change = Callable[[dict[str, Any]], object]


def cut(document: dict[str, Any], name: str, **values: object) -> object:
    return document["triage"]["phone"][name].update(values)


BROKEN: dict[str, tuple[Change, str]] = {
    "id with a slash": (lambda d: d.update(id="a/b"), "id: expected 1 to 64 letters"),
    "id with a dot in front": (lambda d: d.update(id=".."), "id: expected 1 to 64 letters"),
    "empty version": (lambda d: d.update(version=""), "version: expected 1 to 64 letters"),
    "version with a line break": (lambda d: d.update(version="1\n"), "version: expected 1 to 64 letters"),
    "no licence": (lambda d: d.update(licences=[]), "licences: a pack must say"),
    "sha256 in capitals": (
        lambda d: d["files"]["card.md"].update(sha256="A" * 64),
        "files.card.md.sha256: expected 64",
    ),
    "negative size": (
        lambda d: d["files"]["card.md"].update(bytes=-1),
        "files.card.md.bytes: expected 0 or more",
    ),
    "lists itself": (lambda d: d["files"].update({"pack.json": d["files"]["card.md"]}), "the name is taken"),
    "same name twice to some file systems": (
        lambda d: d["files"].update({"CARD.md": d["files"]["card.md"]}),
        "files.card.md: the name is taken",
    ),
    "condition twice": (
        lambda d: d["conditions"][1].update(id="melanoma"),
        "conditions[1].id: melanoma is there twice",
    ),
    "condition id with spaces": (
        lambda d: d["conditions"][1].update(id="a b"),
        "conditions[1].id: expected lower-case",
    ),
    "severity 11": (
        lambda d: d["conditions"][0].update(severity=11),
        "conditions[0].severity: 11 is not between",
    ),
    "nothing malignant": (
        lambda d: [c.update(group="benign") for c in d["conditions"]],
        "conditions: none is malignant",
    ),
    "one modality": (lambda d: d["scoring"].pop("phone"), "scoring: expected exactly dermoscopy and phone"),
    "three modalities": (
        lambda d: d["triage"].update(microscope=d["triage"]["phone"]),
        "triage: expected exactly dermoscopy and phone",
    ),
    "short bias": (lambda d: d["scoring"]["phone"]["bias"].pop(), "scoring.phone.bias: expected 8 values"),
    "no rejects": (
        lambda d: d["scoring"]["phone"].update(reject_bias=[]),
        "scoring.phone.reject_bias: expected at",
    ),
    "unequal rejects": (
        lambda d: d["scoring"]["phone"].update(reject_bias=[0.0]),
        "scoring: both modalities",
    ),
    "temperature 0": (
        lambda d: d["scoring"]["phone"].update(temperature=0.0),
        "phone.temperature: 0.0 is not above 0",
    ),
    "scale -1": (
        lambda d: d["scoring"]["phone"].update(scale=-1.0),
        "scoring.phone.scale: -1.0 is not above 0",
    ),
    "rejection 1.2": (
        lambda d: d["scoring"]["phone"].update(rejection=1.2),
        "scoring.phone.rejection: 1.2 is not",
    ),
    "threshold 1.5": (
        lambda d: cut(d, "urgent", value=1.5),
        "triage.phone.urgent.value: 1.5 is not between 0 and 1",
    ),
    "threshold -0.1": (
        lambda d: cut(d, "unclear", value=-0.1),
        "triage.phone.unclear.value: -0.1 is not between",
    ),
    "refer above urgent": (
        lambda d: cut(d, "refer", value=0.7),
        "triage.phone.refer.value: it is above urgent",
    ),
    "unclear above refer": (
        lambda d: cut(d, "unclear", value=0.3),
        "triage.phone.unclear.value: it is above refer",
    ),
    "unclear above refer_premalignant": (
        lambda d: cut(d, "refer_premalignant", value=0.1),
        "triage.phone.unclear.value: it is above refer_premalignant",
    ),
    "reassure 2": (
        lambda d: d["triage"]["phone"].update(reassure=2.0),
        "triage.phone.reassure: 2.0 is not between",
    ),
    "sensitivity 95": (
        lambda d: cut(d, "refer", sensitivity=95.0, positives=100),
        "triage.phone.refer.sensitivity: 95.0 is not between",
    ),
    "sensitivity of nothing": (
        lambda d: cut(d, "refer", sensitivity=0.95),
        "triage.phone.refer.sensitivity: a figure without positives was not measured",
    ),
    "specificity of nothing": (
        lambda d: cut(d, "refer", specificity=0.9),
        "triage.phone.refer.specificity: a figure without negatives was not measured",
    ),
    "fewer than no lesions": (
        lambda d: cut(d, "refer", positives=-1),
        "triage.phone.refer.positives: -1 is below 0",
    ),
    "tower of size 0": (lambda d: d["tower"].update(size=0), "tower.size: 0 is not between 1"),
    "tower of a huge size": (
        lambda d: d["tower"].update(size=100_000),
        "tower.size: 100000 is not between 1",
    ),
    "context 0.5": (lambda d: d["tower"].update(context=0.5), "tower.context: 0.5 is not between 1"),
    "padding 256": (
        lambda d: d["tower"].update(padding=[0, 256, 0]),
        "tower.padding[1]: 256 is not between 0 and 255",
    ),
    "modality_scale 0": (
        lambda d: d["vectors"].update(modality_scale=0),
        "vectors.modality_scale: 0.0 is not above 0",
    ),
    "detector of size 0": (lambda d: d["detector"].update(size=0), "detector.size: 0 is not between"),
    "detector confidence 2": (
        lambda d: d["detector"].update(confidence=2.0),
        "detector.confidence: 2.0 is not",
    ),
    "detector iou -1": (lambda d: d["detector"].update(iou=-1.0), "detector.iou: -1.0 is not between"),
    "no lesions": (lambda d: d["detector"].update(max_lesions=0), "detector.max_lesions: 0 is not between"),
    "segmenter of size 0": (lambda d: d["segmenter"].update(size=0), "segmenter.size: 0 is not between"),
    "segmenter context 0": (
        lambda d: d["segmenter"].update(context=0.0),
        "segmenter.context: 0.0 is not between",
    ),
    "short prior": (lambda d: d["priors"][0]["shift"].pop(), "priors[0].shift: expected 8 values, found 7"),
    "prior of -1 lesions": (lambda d: d["priors"][0].update(lesions=-1), "priors[0].lesions: -1 is below 0"),
    "prior twice": (
        lambda d: d["priors"].append(d["priors"][0]),
        "priors[4]: dermoscopy age 70-79 is there twice",
    ),
    "no golden photograph": (
        lambda d: d["golden"].update(photos=[]),
        "golden.photos: a pack without a self-test",
    ),
    "golden box without answers": (
        lambda d: d["golden"]["photos"][0].update(probabilities=[]),
        "golden.photos[0].probabilities: expected one mapping a box",
    ),
    "golden box of no width": (
        lambda d: d["golden"]["photos"][0]["boxes"][0].__setitem__(2, 0.0),
        "golden.photos[0].boxes[0] width: 0.0 is not above 0",
    ),
    "golden condition missing": (
        lambda d: d["golden"]["photos"][0]["probabilities"][0].pop("melanoma"),
        "golden.photos[0].probabilities[0]: expected one value for each condition",
    ),
    "golden probability above 1": (
        lambda d: d["golden"]["photos"][0]["probabilities"][0].update(melanoma=1.5),
        "golden.photos[0].probabilities[0].melanoma: 1.5 is not between",
    ),
    "golden sum": (
        lambda d: d["golden"]["photos"][0]["probabilities"][0].update(melanoma=0.5),
        "golden.photos[0].probabilities[0]: the values do not sum to 1",
    ),
    "golden box tolerance": (
        lambda d: d["golden"].update(box_pixels=-1.0),
        "golden.box_pixels: -1.0 is below 0",
    ),
    "golden cosine 2": (lambda d: d["golden"].update(cosine=2.0), "golden.cosine: 2.0 is not between"),
    "golden tolerance 2": (
        lambda d: d["golden"].update(probability=2.0),
        "golden.probability: 2.0 is not between",
    ),
}


def refusal(pack: Path, change: Change) -> PackError:
    tiny_pack.edit_manifest(pack, change)
    with pytest.raises(PackError) as caught:
        read_manifest((pack / "pack.json").read_bytes())
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", BROKEN)
def test_what_makes_no_sense_is_refused_by_its_name(pack: Path, name: str) -> None:
    change, message = BROKEN[name]
    error = refusal(pack, change)
    assert type(error) is ManifestInvalid
    assert message in str(error)
    assert str(error).endswith("Reinstall the pack.")


def test_figures_that_were_measured_are_taken(pack: Path) -> None:
    figures = {"sensitivity": 0.95, "positives": 200, "specificity": 0.6, "negatives": 900}
    tiny_pack.edit_manifest(pack, lambda d: cut(d, "refer", **figures))
    refer = read_manifest((pack / "pack.json").read_bytes()).triage["phone"].refer
    assert {name: getattr(refer, name) for name in figures} == figures


def test_the_digest_must_look_like_one(pack: Path) -> None:
    tiny_pack.edit_manifest(pack, lambda d: d.update(digest="0" * 63), reseal=False)
    with pytest.raises(ManifestInvalid, match="digest: expected 64"):
        read_manifest((pack / "pack.json").read_bytes())


UNSAFE = [
    "/etc/passwd", "../tower.onnx", "graphs/../../tower.onnx", "graphs/..", "./card.md", "graphs//tower.onnx",
    "graphs/", "", ".hidden", "C:/tower.onnx", "C:tower.onnx", "graphs\\tower.onnx", "\\\\host\\share", "~/card.md",
    "card.md\n", "card\x00.md", "ca rd.md", "cärd.md", "a" * 129, "/".join(["abc"] * 60), "file:card.md", "*",
]  # fmt: skip


@pytest.mark.parametrize("path", UNSAFE)
def test_a_path_that_could_lead_outside_is_refused_where_files_are_listed(pack: Path, path: str) -> None:
    error = refusal(pack, lambda d: d["files"].update({path: d["files"]["card.md"]}))
    assert type(error) is PackPathUnsafe


@pytest.mark.parametrize("path", UNSAFE)
def test_a_path_that_could_lead_outside_is_refused_where_a_file_is_named(pack: Path, path: str) -> None:
    error = refusal(pack, lambda d: d["tower"].update(graph=path))
    assert type(error) is PackPathUnsafe
    assert "tower.graph" in str(error)


NAMING: dict[str, Change] = {
    "tower.graph": lambda d: d["tower"].update(graph="none.bin"),
    "detector.graph": lambda d: d["detector"].update(graph="none.bin"),
    "segmenter.encoder": lambda d: d["segmenter"].update(encoder="none.bin"),
    "segmenter.decoder": lambda d: d["segmenter"].update(decoder="none.bin"),
    "vectors.prompts": lambda d: d["vectors"].update(prompts="none.bin"),
    "vectors.rejects": lambda d: d["vectors"].update(rejects="none.bin"),
    "vectors.modalities": lambda d: d["vectors"].update(modalities="none.bin"),
    "golden.photos[1].photo": lambda d: d["golden"]["photos"][1].update(photo="none.bin"),
    "golden.photos[1].embeddings": lambda d: d["golden"]["photos"][1].update(embeddings="none.bin"),
    "card": lambda d: d.update(card="none.bin"),
}


@pytest.mark.parametrize("field", NAMING)
def test_a_named_file_must_be_listed(pack: Path, field: str) -> None:
    error = refusal(pack, NAMING[field])
    assert type(error) is PackFileUnlisted
    assert f"{field}: none.bin is not listed" in str(error)
