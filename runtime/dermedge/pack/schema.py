"""The JSON Schema of `pack.json`, derived from the manifest's dataclasses; print it with `python -m`."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Literal

from .manifest import SCHEMA_VERSION, Manifest

_PLAIN: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def schema() -> dict[str, Any]:
    """The schema as a document. It covers names and types; `rules` covers what they mean together."""
    parts: dict[str, Any] = {}
    whole = _record(Manifest, parts)
    whole["properties"]["schema"] = {"const": SCHEMA_VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dermedge pack manifest",
        **whole,
        "$defs": dict(sorted(parts.items())),
    }


def schema_text() -> str:
    """As it is committed beside this module."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _record(kind: type, parts: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "properties": {name: _shape(hint, parts) for name, hint in hints.items()},
        "required": list(hints),
        "additionalProperties": False,
    }


def _shape(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if hint is type(None):
        return {"type": "null"}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_shape(kind, parts) for kind in inner]}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _shape(inner[0], parts)}
    if origin is tuple:
        shapes = [_shape(kind, parts) for kind in inner]
        return {"type": "array", "prefixItems": shapes, "minItems": len(inner), "items": False}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _shape(inner[1], parts)}
    if is_dataclass(hint):
        kind = typing.cast("type", hint)
        if kind.__name__ not in parts:
            parts[kind.__name__] = _record(kind, parts)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    return {"type": _PLAIN[hint]}


if __name__ == "__main__":
    print(schema_text(), end="")
