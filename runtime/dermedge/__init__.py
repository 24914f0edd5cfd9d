"""Offline screening of skin lesions in photographs: a hint whom to see how soon, never a diagnosis.

    from dermedge import Scanner

    with Scanner.open() as scanner:
        scan = scanner.scan("photo.jpg")
        for lesion in scan.lesions:
            print(lesion.verdict.level, lesion.verdict.headline)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .batch import SUFFIXES
from .errors import DermedgeError, PackError, PhotoError, ProviderError, UsageError
from .result import (
    LEVELS,
    MODALITIES,
    Box,
    Detection,
    Lesion,
    Level,
    Mask,
    Modality,
    PackRef,
    Photo,
    Quality,
    Saliency,
    Scan,
    Scores,
    Verdict,
)
from .triage import RED_FLAGS

if TYPE_CHECKING:
    from .photo_date import capture_date
    from .picture import place, shrunk, view
    from .scanner import Scanner
    from .scorer import Facts

__version__ = "0.1.0"

__all__ = [
    "LEVELS",
    "MODALITIES",
    "RED_FLAGS",
    "SUFFIXES",
    "Box",
    "DermedgeError",
    "Detection",
    "Facts",
    "Lesion",
    "Level",
    "Mask",
    "Modality",
    "PackError",
    "PackRef",
    "Photo",
    "PhotoError",
    "ProviderError",
    "Quality",
    "Saliency",
    "Scan",
    "Scanner",
    "Scores",
    "UsageError",
    "Verdict",
    "__version__",
    "capture_date",
    "place",
    "shrunk",
    "view",
]


def __getattr__(name: str) -> Any:
    # On first use only: whoever wants a version, an error or a result does not wait for ONNX Runtime or Pillow.
    if name == "Scanner":
        from .scanner import Scanner

        return Scanner
    if name == "Facts":
        from .scorer import Facts

        return Facts
    if name == "capture_date":
        from .photo_date import capture_date

        return capture_date
    if name in ("place", "shrunk", "view"):
        from . import picture

        return getattr(picture, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
