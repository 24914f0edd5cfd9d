"""Puts the embedded pack into the wheel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACK = "artifacts/compact"
INSTALLED = "dermedge/packs/compact"


class EmbeddedPack(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # An editable install reads the pack where it stands in the checkout.
        if version == "editable":
            return
        pack = Path(self.root, PACK)
        if (pack / "pack.json").is_file():
            build_data["force_include"][str(pack)] = INSTALLED
        elif os.environ.get("DERMEDGE_RELEASE"):
            raise FileNotFoundError(f"{PACK}/pack.json is missing; a release carries the embedded pack")
        else:
            self.app.display_warning(f"{PACK} is missing: this wheel has no embedded pack; scans need --pack")
