"""The numbers of a calibration, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message

from dermedge import CUT_LIMITS, LIMITS, MODALITIES, Calibration, Limit, Modality

from ..language import N_, _
from .slider import Slider

if TYPE_CHECKING:
    from dermedge import Scanner

NAMES = {
    "temperature": N_("Temperature"),
    "urgent": N_("Urgent from"),
    "refer": N_("Refer from"),
    "refer_premalignant": N_("Early forms from"),
    "unclear": N_("Unclear from"),
    "reassure": N_("Reassure from"),
    "margin": N_("Lead to reassure"),
    "confidence": N_("Detector from"),
    "context": N_("Crop width"),
    "modality": N_("Photograph"),
}
WORDS = (N_("auto"), N_("contact"), N_("phone"))
"""What says it itself, then as in `MODALITIES`."""
FIGURE = 5
"""Columns of a number."""


class Sliders(VerticalScroll, can_focus=False):
    """Those of the cuts are one modality's: that of the photograph on the screen."""

    @dataclass
    class Changed(Message):
        calibration: Calibration

    def __init__(self, scanner: Scanner | None, *, plain: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scanner = scanner
        self._plain = plain
        self._calibration = Calibration()
        self._modality: Modality = MODALITIES[0]

    def compose(self) -> ComposeResult:
        words = tuple(_(word) for word in WORDS)
        columns = (max(len(_(name)) for name in NAMES.values()), max(FIGURE, *map(len, words)))
        for id, limit in {**CUT_LIMITS, **LIMITS}.items():
            yield Slider(_(NAMES[id]), limit, columns=columns, plain=self._plain, id=id)
        choices = Limit(0, len(MODALITIES), 1)
        yield Slider(_(NAMES["modality"]), choices, columns=columns, words=words, plain=self._plain, id="modality")

    def tell(self, calibration: Calibration, modality: Modality) -> None:
        self._calibration, self._modality = calibration, modality
        for name, own, value in self._numbers():
            self.query_one(f"#{name}", Slider).tell(own, value)

    def _numbers(self) -> Iterator[tuple[str, float, float | None]]:
        """Name, the pack's own number, and the one that was set."""
        if self._scanner is None:
            return
        manifest, calibration = self._scanner.pack.manifest, self._calibration
        triage, cuts = manifest.triage[self._modality], getattr(calibration, self._modality)
        yield "temperature", manifest.scoring[self._modality].temperature, cuts.temperature
        for name in ("urgent", "refer", "refer_premalignant", "unclear"):
            # A pack's threshold beyond the fixed ceiling acts as the ceiling does.
            yield name, min(getattr(triage, name).value, CUT_LIMITS[name].high), getattr(cuts, name)
        yield "reassure", triage.reassure, cuts.reassure
        yield "margin", 0.0, calibration.margin
        yield "confidence", manifest.detector.confidence, calibration.confidence
        yield "context", manifest.tower.context, calibration.context
        chosen = calibration.modality
        yield "modality", 0, MODALITIES.index(chosen) + 1 if chosen else None

    def on_slider_moved(self, message: Slider.Moved) -> None:
        message.stop()
        name, value = message.slider.id or "", message.value
        if name == "modality":
            change: dict[str, object] = {name: MODALITIES[round(value) - 1] if value else None}
        elif name in CUT_LIMITS:
            change = {self._modality: replace(getattr(self._calibration, self._modality), **{name: value})}
        else:
            change = {name: value}
        self.post_message(self.Changed(replace(self._calibration, **change)))  # type: ignore[arg-type]
