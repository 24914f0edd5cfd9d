"""What is remembered between sittings: language, theme, and that the first page was agreed to. Nothing else."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NOTICE = 1
"""Rises when the first page says something new that must be agreed to again."""


@dataclass(frozen=True, slots=True)
class Preferences:
    language: str | None = None
    theme: str | None = None
    agreed: int = 0


def location() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "dermedge" / "tui.json"


def load(file: Path) -> Preferences:
    """A damaged file is as good as none: the first page comes again."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Preferences(
            found["language"] if isinstance(found.get("language"), str) else None,
            found["theme"] if isinstance(found.get("theme"), str) else None,
            found["agreed"] if isinstance(found.get("agreed"), int) else 0,
        )
    except (OSError, ValueError, AttributeError):
        return Preferences()


def save(preferences: Preferences, file: Path) -> None:
    """Written beside and renamed: it is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(preferences)) + "\n", encoding="utf-8")
    part.replace(file)
