"""What the operator decided about this kiosk, and where its few files lie."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dermedge import UsageError

from ..themes import THEMES
from . import document

SYSTEM = Path("/etc/dermedge/kiosk.json")
IDLE = range(10, 3601)
"""Seconds that can be asked for."""


@dataclass(frozen=True, slots=True)
class Settings:
    pin: str | None = None
    """The operator's, hashed."""
    camera: str | None = None
    """None takes the first one found."""
    idle: int = 60
    """Seconds without a touch or a key until the countdown begins."""
    stick: str | None = None
    """The folder in which sticks appear, if photographs may come from them; None means the camera only."""
    theme: str = "dark"


@dataclass(frozen=True, slots=True)
class Files:
    """All that the kiosk reads and writes, in one folder."""

    settings: Path

    @property
    def counts(self) -> Path:
        return self.settings.with_suffix(".counts.json")

    @property
    def attempts(self) -> Path:
        return self.settings.with_suffix(".attempts.json")

    @property
    def log(self) -> Path:
        return self.settings.with_suffix(".log")


def location() -> Path:
    """The machine's where there is one, or this user's."""
    if SYSTEM.exists():
        return SYSTEM
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "dermedge" / "kiosk.json"


def load(file: Path) -> Settings:
    """The defaults where there is no file; an error where there is a bad one, for an operator meant something by it."""
    try:
        found = document.load(file)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; start the kiosk as the user that this file belongs to") from None
    except ValueError as error:
        raise UsageError(f"{file}: {error}; repair it, or take it away and set the PIN again") from None
    known = {field.name for field in fields(Settings)}
    if unknown := sorted(set(found) - known):
        raise UsageError(f"{file}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    for name, value in found.items():
        if not _fits(name, value):
            raise UsageError(f"{file}: {name} cannot be {value!r}; {_WANTED[name]}")
    return Settings(**found)


def save(settings: Settings, file: Path) -> None:
    try:
        document.save(asdict(settings), file)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; the folder must belong to the user that runs the kiosk") from None


_WANTED = {
    "pin": "set it with `dermedge kiosk --set-pin`",
    "camera": "give a camera's id, or null for the first one found",
    "idle": f"give {IDLE[0]} to {IDLE[-1]} seconds",
    "stick": "give the full path of the folder in which sticks appear, or null",
    "theme": f"choose {', '.join(THEMES)}",
}


def _fits(name: str, value: Any) -> bool:
    if name == "idle":
        return isinstance(value, int) and not isinstance(value, bool) and value in IDLE
    if name == "theme":
        return value in THEMES
    if name == "stick" and isinstance(value, str):
        return Path(value).is_absolute()
    return value is None or isinstance(value, str)
