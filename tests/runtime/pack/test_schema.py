from __future__ import annotations

import json
import runpy
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import tiny_pack
from dermedge.pack.schema import schema, schema_text


def committed() -> dict[str, Any]:
    text = resources.files("dermedge.pack").joinpath("pack.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def test_the_committed_schema_is_the_one_that_the_dataclasses_give() -> None:
    text = resources.files("dermedge.pack").joinpath("pack.schema.json").read_text(encoding="utf-8")
    assert text == schema_text(), "run: python -m dermedge.pack.schema > runtime/dermedge/pack/pack.schema.json"


def test_the_module_prints_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dermedge.pack.schema")
    runpy.run_module("dermedge.pack.schema", run_name="__main__")
    assert capsys.readouterr().out == schema_text()


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("segmenter", [True, False])
def test_real_manifests_are_valid(tmp_path: Path, segmenter: bool) -> None:
    document = tiny_pack.read_manifest(tiny_pack.build(tmp_path, segmenter=segmenter))
    jsonschema.validate(document, committed(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("surprise", 1),
        ("id", None),
        ("tower", {}),
        ("conditions", [{"id": "melanoma"}]),
        ("files", {"card.md": {"sha256": "", "bytes": 1.5}}),
        ("segmenter", []),
    ],
)
def test_what_the_reader_refuses_by_type_the_schema_refuses(pack: Path, field: str, value: object) -> None:
    document = tiny_pack.read_manifest(pack)
    document[field] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, committed(), jsonschema.Draft202012Validator)
