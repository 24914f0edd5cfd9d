"""The facade: `Scanner.open(pack).scan(photograph)` is the whole system in one function."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from . import saliency as heat
from .clock import Clock
from .crop import cut, square_around
from .detector import Detector, by_hand, chosen
from .errors import PackError, UsageError
from .graph import GraphSettings, usable_cores
from .pack import VerifiedPack, find, verify
from .pack.manifest import Manifest
from .photo import read_photo
from .profile import Profile
from .quality import assess
from .result import MODALITIES, Box, Crop, Detection, Lesion, Modality, Photo, Saliency, Scan, Scores
from .scorer import Facts, Scorer
from .segmenter import Segmenter
from .tower import Tower
from .trace import Look, Trace, fitting, known, left_out, places
from .triage import judge, looked_away, overall, signed, stated_flags

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Source = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]

NOBODY = Facts()


class Scanner:
    """A pack, opened and ready; safe to use from several threads at once, and a context manager."""

    def __init__(self, pack: VerifiedPack, settings: GraphSettings) -> None:
        manifest = pack.manifest
        self.pack = pack
        self.settings = settings
        self.detector = Detector.open(pack, settings)
        self.tower = Tower.open(pack, settings)
        self.scorer = Scorer.open(pack)
        self._conditions = manifest.conditions
        self._segmenter: Segmenter | None = None
        self._segmenter_lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        pack: str | Path | None = None,
        *,
        provider: str = "auto",
        threads: int | None = None,
        low_memory: bool = False,
    ) -> Scanner:
        """Verify and open a pack: a folder, the id of an installed pack, or None for the default one."""
        return cls(verify(find(pack)), GraphSettings(provider=provider, threads=threads, low_memory=low_memory))

    @property
    def provider(self) -> str:
        """The execution provider that is really active, by ONNX Runtime's name."""
        return self.tower.provider

    @property
    def threads(self) -> int:
        """How many each graph runs on."""
        return self.settings.threads or usable_cores()

    def scan(
        self,
        source: Source,
        *,
        name: str | None = None,
        modality: Modality | str = "auto",
        box: tuple[float, float, float, float] | None = None,
        whole: bool = False,
        facts: Facts = NOBODY,
        flags: Iterable[str] = (),
        saliency: bool = True,
        mask: bool = False,
        profile: Profile | None = None,
    ) -> Scan:
        """One photograph in, one finding per lesion out: `look` runs the graphs, `judge` reckons with their answers.

        `box` (x, y, width, height in the upright photograph's pixels) or `whole` say where the lesion is, by hand.
        `facts` are what is known of the person, `flags` the red flags they state (see `triage.RED_FLAGS`). A `profile`
        sets other numbers than the pack's, and the scan says so.
        """
        stated = stated_flags(flags)
        self._check(modality)
        trace = self.look(source, name=name, box=box, whole=whole, profile=profile)
        return self.judge(trace, modality=modality, facts=facts, flags=stated, saliency=saliency, mask=mask,
                          profile=profile)

    def look(
        self,
        source: Source,
        *,
        name: str | None = None,
        box: tuple[float, float, float, float] | None = None,
        whole: bool = False,
        profile: Profile | None = None,
    ) -> Trace:
        """The first half of a scan, which costs: what each step up to the tower saw."""
        if self._closed:
            raise UsageError("this scanner is closed; open another one")
        if box is not None and whole:
            raise UsageError("give either a box or the whole frame, not both")
        manifest = self.manifest(profile)
        # Held for the length of the look: another thread may close the scanner meanwhile.
        detector, tower = self.detector, self.tower
        clock = Clock()

        with clock.step("decode"):
            photo = read_photo(source, name=name)
        with clock.step("quality"):
            quality = assess(photo)
        with clock.step("detector"):
            sight = detector.look(photo) if box is None and not whole else None
            detections = chosen(sight, photo, manifest.detector) if sight else (by_hand(photo, box),)
        with clock.step("crop"):
            crops = [self.crop(photo, detection.box, manifest.tower.context) for detection in detections]
        with clock.step("quality"):
            qualities = [assess(photo, crop.region) for crop in crops]
        with clock.step("tower"):
            embeddings = [tower.embed(crop) for crop in crops]
        looks = tuple(map(Look, detections, crops, qualities, embeddings))
        return Trace(photo, quality, sight, looks, (), manifest.detector.confidence, manifest.tower.context,
                     tower.provider, clock.read())

    def judge(
        self,
        trace: Trace,
        *,
        modality: Modality | str = "auto",
        facts: Facts = NOBODY,
        flags: Iterable[str] = (),
        saliency: bool = True,
        mask: bool = False,
        profile: Profile | None = None,
    ) -> Scan:
        """The second half, arithmetic only (but for a mask): what the graphs answered, judged by these numbers."""
        manifest, stated, name = self.manifest(profile), stated_flags(flags), profile.name if profile else None
        wanted = self._check(modality) or (profile.calibration.modality if profile else None)
        looks = fitting(trace, manifest)
        scorer = self.scorer.under(manifest) if profile else self.scorer
        clock = Clock(trace.seconds)

        with clock.step("scorer"):
            # Detections come by falling confidence: the surest lesion tells what kind of photograph this is.
            seen_as = wanted or (scorer.modality(looks[0].embedding.vector)[0] if looks else None)
            scores = [scorer.score(look.embedding.vector, seen_as, facts) for look in looks if seen_as]

        lesions: list[Lesion] = []
        rejected: list[Detection] = []
        for look, score in zip(looks, scores, strict=True):
            detection = look.detection
            if score.nothing and not detection.by_hand:
                rejected.append(detection)
                continue
            with clock.step("triage"):
                own = self.scorer.score(look.embedding.vector, score.modality, facts) if profile else None
                verdict = signed(judge(
                    score, look.quality, manifest.triage[score.modality], self._conditions, by_hand=detection.by_hand,
                    flags=stated, margin=(profile and profile.calibration.margin) or 0.0, own=own), name)
            with clock.step("saliency"):
                looked = self._explain(look, score, verdict.level) if saliency else None
            with clock.step("mask"):
                outline = self.segmenter.outline(trace.photo, detection.box) if mask else None
            lesions.append(Lesion(len(lesions) + 1, detection.box, detection.confidence, detection.by_hand,
                                  look.quality, score, verdict, looked, outline))

        answer = overall(lesions, trace.quality, len(rejected), stated)
        if unseen := left_out(trace, looks, manifest, self.pack.manifest):
            answer = looked_away(answer, unseen)
        return Scan(
            photo=trace.photo, pack=self.pack.ref, modality=seen_as if lesions else None, quality=trace.quality,
            provider=trace.provider, seconds=clock.read(), lesions=tuple(lesions), rejected=tuple(rejected),
            verdict=answer if lesions else signed(answer, name), profile=name,
        )

    def lacking(self, trace: Trace, profile: Profile | None) -> int:
        """How many places the tower has yet to look at before `judge` can judge by a profile."""
        return sum(place not in known(trace) for _, place in places(trace, self.manifest(profile)))

    def look_again(self, trace: Trace, profile: Profile | None) -> Trace:
        """The trace with all that a profile asks for: the tower runs for new crops only, the detector not at all."""
        if self._closed:
            raise UsageError("this scanner is closed; open another one")
        manifest, tower, clock = self.manifest(profile), self.tower, Clock(trace.seconds)
        there = known(trace)
        looks = []
        for detection, place in places(trace, manifest):
            if place not in there:
                with clock.step("crop"):
                    crop = self.crop(trace.photo, detection.box, manifest.tower.context)
                with clock.step("quality"):
                    quality = assess(trace.photo, crop.region)
                with clock.step("tower"):
                    there[place] = Look(detection, crop, quality, tower.embed(crop))
            looks.append(there.pop(place))
        return replace(trace, looks=tuple(looks), others=tuple(there.values()), seconds=clock.read(),
                       confidence=manifest.detector.confidence, context=manifest.tower.context)

    def manifest(self, profile: Profile | None) -> Manifest:
        """The numbers to judge by: the pack's own, or with a profile's in their places."""
        if profile is None:
            return self.pack.manifest
        profile.check(self.pack.ref)
        return profile.calibration.applied(self.pack.manifest)

    def crop(self, photo: Photo, box: Box, context: float | None = None) -> Crop:
        """The square that the tower sees for a lesion at `box`."""
        spec = self.pack.manifest.tower
        region = square_around(box, photo.width, photo.height, context or spec.context)
        return cut(photo, region, spec.size, spec.resample, spec.padding)

    def occlusion(self, scan: Scan, lesion: Lesion) -> Saliency:
        """The slow, model-agnostic heat map for the condition that `lesion.saliency` explains."""
        if lesion.saliency is None:
            raise UsageError("this scan was made without saliency; there is no heat map to check")
        spec = self.pack.manifest.tower
        crop = cut(scan.photo, lesion.saliency.region, spec.size, spec.resample, spec.padding)
        vector = self.scorer.vector(lesion.scores.modality, lesion.saliency.condition)
        return heat.occlusion(self.tower, crop, vector, lesion.saliency.condition)

    @property
    def segmenter(self) -> Segmenter:
        """Opened on first use: most scans never ask for a mask, and its graphs are the pack's largest."""
        with self._segmenter_lock:
            if self._segmenter is None:
                if self.pack.manifest.segmenter is None:
                    raise PackError(f"the pack {self.pack.ref.id} has no segmenter; scan without a mask")
                self._segmenter = Segmenter.open(self.pack, self.settings)
            return self._segmenter

    def close(self) -> None:
        """Let go of the graphs; the memory is free once no scan is under way."""
        if not self._closed:
            self._closed = True
            self._segmenter = None
            del self.detector, self.tower

    def __enter__(self) -> Scanner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, asked: Modality | str) -> Modality | None:
        """The modality that was asked for; None where the photograph is to tell."""
        for modality in MODALITIES:
            if asked == modality:
                return modality
        if asked != "auto":
            raise UsageError(f"unknown modality {asked!r}; choose auto, {' or '.join(MODALITIES)}")
        return None

    def _explain(self, look: Look, scores: Scores, level: str) -> Saliency:
        worrying = level in ("refer", "urgent")
        groups = ("malignant", "premalignant")
        candidates = {c.id for c in self._conditions if not worrying or c.group in groups}
        condition = next(c for c, _ in scores.ranked() if c in candidates)
        return heat.explain(look.embedding, look.crop, self.scorer.vector(scores.modality, condition), condition)
