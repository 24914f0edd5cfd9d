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
from .errors import CameraError, DermedgeError, PackError, PhotoError, ProfileError, ProviderError, UsageError
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
    from .camera import Camera, Feed, Frame, cameras, open_camera, preview
    from .doctor import examine
    from .photo_date import capture_date
    from .picture import place, shrunk, view
    from .profile import CUT_LIMITS, LIMITS, Calibration, Cuts, Limit, Profile
    from .quality import LIMITS as QUALITY_LIMITS
    from .quality import assess
    from .scanner import Scanner
    from .scorer import Facts, Terms, Working
    from .stage import Stage, stages
    from .trace import Trace, proposals

__version__ = "0.1.0"

__all__ = [
    "CUT_LIMITS",
    "LEVELS",
    "LIMITS",
    "MODALITIES",
    "QUALITY_LIMITS",
    "RED_FLAGS",
    "SUFFIXES",
    "Box",
    "Calibration",
    "Camera",
    "CameraError",
    "Cuts",
    "DermedgeError",
    "Detection",
    "Facts",
    "Feed",
    "Frame",
    "Lesion",
    "Level",
    "Limit",
    "Mask",
    "Modality",
    "PackError",
    "PackRef",
    "Photo",
    "PhotoError",
    "Profile",
    "ProfileError",
    "ProviderError",
    "Quality",
    "Saliency",
    "Scan",
    "Scanner",
    "Scores",
    "Stage",
    "Terms",
    "Trace",
    "UsageError",
    "Verdict",
    "Working",
    "__version__",
    "assess",
    "cameras",
    "capture_date",
    "examine",
    "open_camera",
    "place",
    "preview",
    "proposals",
    "shrunk",
    "stages",
    "view",
]


def __getattr__(name: str) -> Any:
    # On first use only: whoever wants a version, an error or a result does not wait for ONNX Runtime or Pillow.
    if name == "Scanner":
        from .scanner import Scanner

        return Scanner
    if name in ("Facts", "Terms", "Working"):
        from . import scorer

        return getattr(scorer, name)
    if name in ("CUT_LIMITS", "LIMITS", "Calibration", "Cuts", "Limit", "Profile"):
        from . import profile

        return getattr(profile, name)
    if name == "QUALITY_LIMITS":
        from .quality import LIMITS

        return LIMITS
    if name in ("Stage", "stages"):
        from . import stage

        return getattr(stage, name)
    if name in ("Trace", "proposals"):
        from . import trace

        return getattr(trace, name)
    if name in ("Camera", "Feed", "Frame", "cameras", "open_camera", "preview"):
        from . import camera

        return getattr(camera, name)
    if name == "assess":
        from .quality import assess

        return assess
    if name == "examine":
        from .doctor import examine

        return examine
    if name == "capture_date":
        from .photo_date import capture_date

        return capture_date
    if name in ("place", "shrunk", "view"):
        from . import picture

        return getattr(picture, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
