"""A small JSON file of the kiosk's: there whole or not at all, and for its own user only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def load(file: Path) -> dict[str, Any]:
    """Empty where there is none; ValueError where it is no JSON object."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def save(document: dict[str, Any], file: Path) -> None:
    """Written beside and renamed, so that a power cut leaves the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f"{file.name}.part")
    # Afresh: a file left over from a power cut keeps its old mode, and a link would be followed.
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(document, out, indent=2)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    if os.geteuid() == 0:
        # Root sets the box up; the kiosk, which must read and write this, is another user's.
        owner = file.parent.stat()
        os.chown(part, owner.st_uid, owner.st_gid)
    part.replace(file)
