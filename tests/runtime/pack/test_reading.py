from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny_pack
from dermedge.errors import ManifestAltered, ManifestInvalid, PackError, SchemaUnknown
from dermedge.pack.reading import MAX_BYTES, canonical, digest_of, document_of, read_manifest

Change = Callable[[dict[str, Any]], object]


def manifest_bytes(folder: Path) -> bytes:
    return (folder / "pack.json").read_bytes()


def test_a_valid_manifest_is_read_field_by_field(pack: Path) -> None:
    manifest = read_manifest(manifest_bytes(pack))
    assert (manifest.id, manifest.version, manifest.schema) == ("tiny", "1.0.0", 1)
    assert manifest.tower.padding == tiny_pack.PADDING
    assert manifest.conditions[0].prompts == ("a spot like a melanoma",)
    assert manifest.metrics["dermoscopy"]["auc"] == 0.9
    assert document_of(manifest) == tiny_pack.read_manifest(pack)


def test_what_was_read_cannot_be_changed(pack: Path) -> None:
    manifest = read_manifest(manifest_bytes(pack))
    with pytest.raises(FrozenInstanceError):
        manifest.id = "other"  # type: ignore[misc]
    mappings: list[Any] = [manifest.files, manifest.scoring, manifest.metrics, manifest.metrics["dermoscopy"]]
    for mapping in mappings:
        with pytest.raises(TypeError):
            mapping["new"] = 1


def test_a_whole_number_serves_where_a_number_is_wanted(pack: Path) -> None:
    tiny_pack.edit_manifest(pack, lambda d: d["scoring"]["phone"].update(temperature=2))
    temperature = read_manifest(manifest_bytes(pack)).scoring["phone"].temperature
    assert (temperature, type(temperature)) == (2.0, float)


def test_canonical_form_and_digest_are_those_that_the_packs_are_written_with(pack: Path) -> None:
    document = tiny_pack.read_manifest(pack)
    assert canonical(document) == tiny_pack.canonical(document) == manifest_bytes(pack)
    assert digest_of(document) == document["digest"]


WRONG_FIELDS: dict[str, tuple[Change, str]] = {
    "unknown at the top": (lambda d: d.update(surprise=1), "surprise: this runtime knows no such field"),
    "unknown and unprintable": (lambda d: d.update({"\x1b[2J\n": 1}), "?[2J?: this runtime knows no such field"),
    "unknown inside": (lambda d: d["tower"].update(mean=0.5), "tower.mean: this runtime knows no such field"),
    "missing at the top": (lambda d: d.pop("golden"), "golden: the field is missing"),
    "missing in a list": (
        lambda d: d["conditions"][3].pop("name"),
        "conditions[3].name: the field is missing",
    ),
    "number for text": (lambda d: d.update(id=7), "id: expected text, found 7"),
    "text for number": (
        lambda d: d["tower"].update(context="1.5"),
        'tower.context: expected a number, found "1.5"',
    ),
    "true for number": (
        lambda d: d["tower"].update(size=True),
        "tower.size: expected a whole number, found true",
    ),
    "fraction for whole": (
        lambda d: d["tower"].update(size=1.5),
        "tower.size: expected a whole number, found 1.5",
    ),
    "whole for boolean": (
        lambda d: d["scoring"]["phone"].update(calibrated=1),
        "scoring.phone.calibrated: expected true or false, found 1",
    ),
    "null": (lambda d: d.update(version=None), "version: expected text, found null"),
    "object for list": (lambda d: d.update(conditions={}), "conditions: expected a list, found an object"),
    "list for object": (lambda d: d.update(detector=[]), "detector: expected an object, found a list"),
    "list for mapping": (lambda d: d.update(files=[]), "files: expected an object, found a list"),
    "not a choice": (
        lambda d: d["tower"].update(resample="nearest"),
        'tower.resample: expected one of bilinear, bicubic, lanczos, found "nearest"',
    ),
    "true for a choice": (lambda d: d["tower"].update(views=True), "tower.views: expected one of 1, 2, 4, 8"),
    "too short": (lambda d: d["tower"].update(padding=[1, 2]), "tower.padding: expected 3 values, found 2"),
    "NaN threshold": (
        lambda d: d["triage"]["phone"]["urgent"].update(value=float("nan")),
        "triage.phone.urgent.value: nan is not a finite number",
    ),
    "infinite bias": (
        lambda d: d["scoring"]["dermoscopy"]["bias"].__setitem__(2, float("inf")),
        "scoring.dermoscopy.bias[2]: inf is not a finite number",
    ),
    "minus infinity where anything goes": (
        lambda d: d["metrics"].update(auc=[float("-inf")]),
        "metrics.auc[0]: -inf is not a finite number",
    ),
    "huge whole number": (lambda d: d["metrics"].update(n=10**30), "metrics.n: the number is too large"),
    "half a character": (
        lambda d: d["metrics"].update(n="\ud800"),
        "metrics.n: the text holds half a character",
    ),
    "deep": (lambda d: d["metrics"].update(n=json.loads("[" * 40 + "]" * 40)), "nested more than 16 deep"),
}


@pytest.mark.parametrize("name", WRONG_FIELDS)
def test_a_wrong_field_is_refused_by_its_name(pack: Path, name: str) -> None:
    change, message = WRONG_FIELDS[name]
    document = tiny_pack.read_manifest(pack)
    change(document)
    with pytest.raises(ManifestInvalid) as caught:
        read_manifest(json.dumps(document).encode())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG_BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not JSON"),
    "not JSON": (b"{schema: 1}", "not JSON"),
    "not UTF-8": (b'{"schema": "\xff"}', "not JSON"),
    "cut off": (b'{"schema": 1', "not JSON"),
    "a list": (b"[1]", "expected an object"),
    "nothing of ours": (b"{}", "schema: the field is missing"),
    "endless nesting": (b"[" * 500_000, "nested too deeply"),
    "a number of 10,000 digits": (b'{"schema": ' + b"1" * 10_000 + b"}", "not JSON"),
    "too long": (b'{"schema": 1}' + b" " * MAX_BYTES, "more than"),
}


@pytest.mark.parametrize("name", WRONG_BYTES)
def test_bytes_that_are_no_manifest_are_refused(name: str) -> None:
    data, message = WRONG_BYTES[name]
    with pytest.raises(ManifestInvalid, match=message):
        read_manifest(data)


@pytest.mark.parametrize("schema", ["0", "2", "99", '"1"', "null", "true", "NaN", "1.5", "[]"])
def test_an_unknown_schema_is_reported_before_anything_else(schema: str) -> None:
    text = f'{{"schema": {schema}, "id": 5, "id": 5, "surprise": NaN}}'
    with pytest.raises(SchemaUnknown, match="Update dermedge"):
        read_manifest(text.encode())


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [('"id": "tiny"', '"id": "tiny", "id": "tiny"', "id"), ('"auc": 0.9', '"auc": 0.9, "auc": 0.1', "auc")],
)
def test_a_field_that_is_there_twice_is_refused(pack: Path, old: str, new: str, field: str) -> None:
    text = manifest_bytes(pack).decode()
    assert old in text
    with pytest.raises(ManifestInvalid, match=f'"{field}": the field is there twice'):
        read_manifest(text.replace(old, new).encode())


def test_a_changed_value_is_found_by_the_digest(pack: Path) -> None:
    tiny_pack.edit_manifest(pack, lambda d: d["scoring"]["phone"].update(temperature=1.25), reseal=False)
    with pytest.raises(ManifestAltered, match="digest"):
        read_manifest(manifest_bytes(pack))


@pytest.mark.parametrize("change", [(b"\n", b""), (b"  ", b"\t"), (b"1.5", b"1.50"), (b"tiny", b"t\\u0069ny")])
def test_another_spelling_of_the_same_manifest_is_refused(pack: Path, change: tuple[bytes, bytes]) -> None:
    data = manifest_bytes(pack)
    respelled = data.replace(*change)
    assert respelled != data
    assert json.loads(respelled) == json.loads(data)
    with pytest.raises(ManifestAltered, match="canonical"):
        read_manifest(respelled)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_no_byte_of_the_manifest_can_change_unnoticed(untouched_pack: Path, place: float, mask: int) -> None:
    data = bytearray(manifest_bytes(untouched_pack))
    data[int(place * len(data))] ^= mask
    with pytest.raises(PackError):
        read_manifest(bytes(data))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """New values for fields that may hold anything of their kind."""
    return {
        "metrics": draw(st.dictionaries(st.text(max_size=8), json_values, max_size=4)),
        "intended_use": draw(st.text(max_size=40)),
        "created_with": draw(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)),
        "bias": draw(st.lists(numbers, min_size=8, max_size=8)),
        "cuts": sorted(draw(st.lists(shares, min_size=3, max_size=3))),
        "temperature": draw(st.floats(0.001, 1000)),
        "segmenter": draw(st.booleans()),
    }


@settings(max_examples=60, deadline=None)
@given(change=changes())
def test_reading_and_writing_are_opposites(untouched_pack: Path, change: Mapping[str, Any]) -> None:
    document = copy.deepcopy(tiny_pack.read_manifest(untouched_pack))
    document |= {name: change[name] for name in ("metrics", "intended_use", "created_with")}
    document["scoring"]["phone"] |= {"bias": change["bias"], "temperature": change["temperature"]}
    for name, value in zip(("unclear", "refer", "urgent"), change["cuts"], strict=True):
        document["triage"]["phone"][name]["value"] = value
    document["triage"]["phone"]["refer_premalignant"]["value"] = change["cuts"][2]
    if not change["segmenter"]:
        document["segmenter"] = None
    document["digest"] = digest_of(document)
    manifest = read_manifest(canonical(document))
    assert document_of(manifest) == document
    assert read_manifest(canonical(document_of(manifest))) == manifest


@settings(max_examples=100, deadline=None)
@given(value=json_values, field=st.sampled_from(["tower", "files", "conditions", "scoring", "golden", "priors"]))
def test_whatever_stands_in_a_field_only_pack_errors_come_out(untouched_pack: Path, value: object, field: str) -> None:
    document = copy.deepcopy(tiny_pack.read_manifest(untouched_pack))
    document[field] = value
    document["digest"] = digest_of(document)
    if field == "priors" and value == []:
        assert read_manifest(canonical(document)).priors == ()
    else:
        with pytest.raises(PackError):
            read_manifest(canonical(document))
