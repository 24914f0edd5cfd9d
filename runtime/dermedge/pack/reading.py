"""From the bytes of `pack.json` to a `Manifest`, refusing everything that is not exactly the format.

Order of the checks: size and JSON, schema version, every field's type, what the fields mean together
(`rules`), and last the canonical form and the digest, so that a damaged field is named and not only noticed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, NoReturn, TypeVar

from ..errors import ManifestAltered, ManifestInvalid, SchemaUnknown
from .manifest import SCHEMA_VERSION, Manifest
from .rules import check, invalid

MAX_BYTES = 1_000_000
MAX_DEPTH = 16
_EXACT_INTEGER = 2**53
"""Beyond this JSON readers disagree about a whole number."""

Record = TypeVar("Record")


def read_manifest(data: bytes) -> Manifest:
    """Read and check `pack.json`; raises a `PackError` that names the field."""
    document = _parse(data)
    manifest = read_record(Manifest, document, "")
    check(manifest)
    if data != canonical(document):
        raise ManifestAltered("pack.json is not in its canonical form: it was edited. Reinstall the pack.")
    if manifest.digest != digest_of(document):
        raise ManifestAltered("pack.json does not match its own digest: it was edited. Reinstall the pack.")
    return manifest


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one way to write a manifest: sorted keys, two spaces, UTF-8, a newline at the end."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=2)
    return (text + "\n").encode()


def digest_of(document: Mapping[str, Any]) -> str:
    """sha256 over the canonical form without `digest`."""
    unsigned = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(canonical(unsigned)).hexdigest()


def document_of(value: Any) -> Any:
    """A manifest (or a part of it) as plain JSON values; the opposite of `read_record`."""
    if is_dataclass(value):
        return {field.name: document_of(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: document_of(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [document_of(item) for item in value]
    return value


def read_record(kind: type[Record], value: object, where: str) -> Record:
    """Build one dataclass from a JSON object with exactly its fields."""
    if not isinstance(value, dict):
        _mismatch(where or "pack.json", "an object", value)
    hints = _hints(typing.cast("Hashable", kind))
    for key in value:
        if key not in hints:
            invalid(_below(where, key), "this runtime knows no such field")
    for key in hints:
        if key not in value:
            invalid(_below(where, key), "the field is missing")
    return kind(**{key: _read(hint, value[key], _below(where, key)) for key, hint in hints.items()})


@functools.cache
def _hints(kind: Hashable) -> Mapping[str, Any]:
    return types.MappingProxyType(typing.get_type_hints(kind))


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise ManifestInvalid(f"pack.json has more than {MAX_BYTES} bytes; no pack needs that. Reinstall the pack.")
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.append(next(key for key in keys if keys.count(key) > 1))
        return found

    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except RecursionError:
        raise ManifestInvalid("pack.json is nested too deeply. Reinstall the pack.") from None
    except ValueError as error:
        raise ManifestInvalid(f"pack.json is not JSON ({error}). Reinstall the pack.") from None
    if not isinstance(document, dict):
        _mismatch("pack.json", "an object", document)
    if "schema" not in document:
        invalid("schema", "the field is missing")
    if document["schema"] is True or document["schema"] != SCHEMA_VERSION:
        raise SchemaUnknown(
            f"pack.json is of schema {_short(document['schema'])}, this dermedge reads {SCHEMA_VERSION}. "
            "Update dermedge, or install a pack made for it."
        )
    if repeated:
        invalid(_short(repeated[0]), "the field is there twice")
    _check_values(document)
    return document


def _check_values(document: dict[str, Any]) -> None:
    """No number that JSON does not have, no text that cannot be written, nothing nested without end."""
    waiting: list[tuple[str, object, int]] = [("", document, 0)]
    while waiting:
        where, value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            invalid(where, f"nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            for key, item in value.items():
                _check_text(_below(where, key), key)
                waiting.append((_below(where, key), item, depth + 1))
        elif isinstance(value, list):
            waiting.extend((f"{where}[{i}]", item, depth + 1) for i, item in enumerate(value))
        elif isinstance(value, str):
            _check_text(where, value)
        elif isinstance(value, float) and not math.isfinite(value):
            invalid(where, f"{value} is not a finite number")
        elif isinstance(value, int) and abs(value) > _EXACT_INTEGER:
            invalid(where, "the number is too large")


def _check_text(where: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        invalid(where.encode(errors="replace").decode(), "the text holds half a character")


def _read(hint: Any, value: object, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return _freeze(value)
    if origin in (typing.Union, types.UnionType):
        (present,) = (kind for kind in inner if kind is not type(None))
        return None if value is None else _read(present, value, where)
    if origin is Literal:
        # 1 == True and 1 == 1.0, but only the very value was meant.
        if not any(type(value) is type(choice) and value == choice for choice in inner):
            choices = ", ".join(str(choice) for choice in inner)
            invalid(where, f"expected one of {choices}, found {_short(value)}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            _mismatch(where, "a list", value)
        if inner[-1] is not Ellipsis and len(value) != len(inner):
            invalid(where, f"expected {len(inner)} values, found {len(value)}")
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        pairs = enumerate(zip(kinds, value, strict=True))
        return tuple(_read(kind, item, f"{where}[{i}]") for i, (kind, item) in pairs)
    if origin is Mapping:
        if not isinstance(value, dict):
            _mismatch(where, "an object", value)
        return types.MappingProxyType({k: _read(inner[1], v, _below(where, k)) for k, v in value.items()})
    if is_dataclass(hint):
        return read_record(typing.cast("type[Any]", hint), value, where)
    return _read_plain(hint, value, where)


def _read_plain(hint: type, value: object, where: str) -> object:
    # True is an int to Python, and was not meant as one.
    if hint in (int, float) and isinstance(value, int) and not isinstance(value, bool):
        return hint(value)
    if type(value) is not hint:
        _mismatch(where, {str: "text", bool: "true or false", int: "a whole number", float: "a number"}[hint], value)
    return value


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return types.MappingProxyType({key: _freeze(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple(_freeze(item) for item in value)
    return value


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _mismatch(where: str, expected: str, value: object) -> NoReturn:
    invalid(where, f"expected {expected}, found {_short(value)}")
