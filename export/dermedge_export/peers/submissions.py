"""What people measured on boards of their own: `dermedge bench --submit-file`, handed back into docs/submissions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermedge import UsageError
from dermedge.bench import GENERATED, SUBMISSION_SCHEMA


@dataclass(frozen=True, slots=True)
class Submission:
    """One file; times in milliseconds."""

    machine: str
    pack: str
    provider: str
    low_memory: bool
    photo: str
    lesions: int
    scan_p50: float
    scan_p95: float
    cold_start: float
    peak_mb: float

    @property
    def comparable(self) -> bool:
        """Of the photograph that every machine can make: only those stand beside computed times."""
        return self.photo == GENERATED


def read_all(folder: Path) -> list[Submission]:
    return [read(path) for path in sorted(folder.glob("*.json"))]


def read(path: Path) -> Submission:
    try:
        document = json.loads(path.read_text())
        if document["schema"] != SUBMISSION_SCHEMA:
            raise ValueError(f"its schema is {document['schema']!r} instead of {SUBMISSION_SCHEMA}")
        measured, machine = document["measured"], document["machine"]
        return Submission(
            machine=_machine(machine),
            pack=_text(measured["pack"]),
            provider=_text(measured["provider"]),
            low_memory=measured["low_memory"] is True,
            photo=_text(measured["photo"]),
            lesions=int(measured["lesions"]),
            scan_p50=_figure(measured["steps"]["total"]["p50"]),
            scan_p95=_figure(measured["steps"]["total"]["p95"]),
            cold_start=_figure(measured["cold_start"]["p50"]),
            peak_mb=_figure(measured["peak_mb"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise UsageError(f"{path} is no file of `dermedge bench --submit-file` ({what}); take it out") from error


def _machine(facts: Mapping[str, Any]) -> str:
    what = facts["board"] or facts["processor"] or facts["architecture"]
    clock = f", up to {facts['megahertz'] / 1000:.1f} GHz" if facts["megahertz"] else ""
    return f"{_text(what)}, {int(facts['cores_used'])} cores{clock}, {_text(facts['system'])}"


def _text(value: Any) -> str:
    """One cell of a Markdown table, whatever a stranger's file holds."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return " ".join(value.replace("|", "/").replace("<", "(").replace("[", "(").split())[:120]


def _figure(value: Any) -> float:
    number = float(value)
    if not 0 < number < 1e7:
        raise ValueError(f"{value!r} is no measured figure")
    return number
