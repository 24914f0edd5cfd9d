"""The facade: `Scanner.open(pack).scan(photograph)` is the whole system in one function."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

from . import saliency as heat
from .crop import cut, square_around
from .detector import Detector
from .errors import BoxOutside, PackError, UsageError
from .graph import GraphSettings
from .pack import VerifiedPack, find, verify
from .photo import read_photo
from .quality import assess
from .result import MODALITIES, Box, Crop, Detection, Embedding, Lesion, Modality, Photo, Saliency, Scan, Scores
from .scorer import Facts, Scorer
from .segmenter import Segmenter
from .tower import Tower
from .triage import judge, overall, stated_flags

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
        self._triage = manifest.triage
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
    ) -> Scan:
        """One photograph in, one finding per lesion out.

        `box` (x, y, width, height in the upright photograph's pixels) or `whole` say where the lesion is, by hand.
        `facts` are what is known of the person, `flags` the red flags they state (see `triage.RED_FLAGS`).
        """
        if self._closed:
            raise UsageError("this scanner is closed; open another one")
        if modality not in ("auto", *MODALITIES):
            raise UsageError(f"unknown modality {modality!r}; choose auto, {' or '.join(MODALITIES)}")
        if box is not None and whole:
            raise UsageError("give either a box or the whole frame, not both")
        stated = stated_flags(flags)
        # Held for the length of the scan: another thread may close the scanner meanwhile.
        detector, tower = self.detector, self.tower
        clock = Clock()

        with clock.step("decode"):
            photo = read_photo(source, name=name)
        with clock.step("quality"):
            frame = assess(photo)
        with clock.step("detector"):
            detections = (by_hand(photo, box),) if box is not None or whole else detector.find(photo)
        with clock.step("crop"):
            crops = [self.crop(photo, detection.box) for detection in detections]
        with clock.step("tower"):
            embeddings = [tower.embed(crop) for crop in crops]
        with clock.step("scorer"):
            seen_as = self._modality(modality, embeddings)
            scores = [self.scorer.score(embedding.vector, seen_as, facts) for embedding in embeddings if seen_as]

        lesions: list[Lesion] = []
        rejected: list[Detection] = []
        for detection, crop, embedding, score in zip(detections, crops, embeddings, scores, strict=True):
            if score.rejected and not detection.by_hand:
                rejected.append(detection)
                continue
            with clock.step("quality"):
                quality = assess(photo, crop.region)
            with clock.step("triage"):
                verdict = judge(score, quality, self._triage[score.modality], self._conditions,
                                by_hand=detection.by_hand, flags=stated)
            with clock.step("saliency"):
                looked = self._explain(embedding, crop, score, verdict.level) if saliency else None
            with clock.step("mask"):
                outline = self.segmenter.outline(photo, detection.box) if mask else None
            lesions.append(Lesion(len(lesions) + 1, detection.box, detection.confidence, detection.by_hand, quality,
                                  score, verdict, looked, outline))

        return Scan(
            photo=photo, pack=self.pack.ref, modality=seen_as if lesions else None, quality=frame,
            provider=tower.provider, seconds=clock.read(), lesions=tuple(lesions), rejected=tuple(rejected),
            verdict=overall(lesions, frame, len(rejected), stated),
        )

    def crop(self, photo: Photo, box: Box) -> Crop:
        """The square that the tower sees for a lesion at `box`."""
        spec = self.pack.manifest.tower
        region = square_around(box, photo.width, photo.height, spec.context)
        return cut(photo, region, spec.size, spec.resample, spec.padding)

    def occlusion(self, scan: Scan, lesion: Lesion) -> Saliency:
        """The slow, model-agnostic heat map for the condition that `lesion.saliency` explains."""
        if lesion.saliency is None:
            raise UsageError("this scan was made without saliency; there is no heat map to check")
        crop = self.crop(scan.photo, lesion.box)
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

    def _modality(self, asked: Modality | str, embeddings: list[Embedding]) -> Modality | None:
        if not embeddings:
            return None
        for modality in MODALITIES:
            if asked == modality:
                return modality
        # Detections come by falling confidence: the surest lesion tells what kind of photograph this is.
        return self.scorer.modality(embeddings[0].vector)[0]

    def _explain(self, embedding: Embedding, crop: Crop, scores: Scores, level: str) -> Saliency:
        worrying = level in ("refer", "urgent")
        groups = ("malignant", "premalignant")
        candidates = {c.id for c in self._conditions if not worrying or c.group in groups}
        condition = next(c for c, _ in scores.ranked() if c in candidates)
        return heat.explain(embedding, crop, self.scorer.vector(scores.modality, condition), condition)


class Clock:
    """Wall-clock seconds by step."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - begun

    def read(self) -> MappingProxyType[str, float]:
        return MappingProxyType({**self._seconds, "total": time.perf_counter() - self._begun})


def by_hand(photo: Photo, box: tuple[float, float, float, float] | None) -> Detection:
    """The lesion as a person marks it: `box` is x, y, width, height; None is the whole frame."""
    if box is None:
        return Detection(photo.frame, 1.0, by_hand=True)
    x, y, width, height = box
    inside = Box(max(x, 0.0), max(y, 0.0), min(x + width, photo.width), min(y + height, photo.height))
    if not (width > 0 and height > 0 and inside.width >= 8 and inside.height >= 8):
        raise BoxOutside(
            f"{photo.name}: the box {x:g},{y:g},{width:g},{height:g} does not cover 8 pixels or more of the photograph "
            f"({photo.width} x {photo.height}); give x,y,width,height in its pixels"
        )
    return Detection(inside, 1.0, by_hand=True)
