"""What the runtime said about one labelled photograph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .metrics import Rectangle
from .photos import LabelledPhoto


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runtime said about one labelled photograph."""

    photo: LabelledPhoto
    level: str
    modality: str | None
    boxes: tuple[Rectangle, ...]
    """Of the lesions that were judged, the surest first."""
    refused: tuple[Rectangle, ...]
    """Boxes that the detector proposed and the tower refused."""
    probabilities: Mapping[str, float] | None
    """The surest lesion's; None where no lesion was judged."""
    malignant: float
    referral: float
    """Both 0 where no lesion was judged."""
    level_with_facts: str | None
    probabilities_with_facts: Mapping[str, float] | None
    """Asked again with age, sex and body site, if the pack has priors and the labels have facts."""
    overlap: float | None
    """Best IoU of a judged lesion's box with the mask's box; None where there is no mask."""
    proposed: float | None
    """The same, over refused boxes too."""
    dice: float | None
    """Of the surest lesion's outline; 0 where no lesion was judged, None without a mask or a segmenter."""
