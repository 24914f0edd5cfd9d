"""`dermedge scan`: photographs in, one printed answer or one error line each, overlays on request."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import batch
from .errors import PhotoError, UsageError
from .profile import Profile
from .report import DISCLAIMER, Style, complain, finding, print_json, printable
from .result import Scan
from .triage import stated_flags

if TYPE_CHECKING:
    from PIL import Image

    from .scanner import Scanner
    from .scorer import Facts


LONGEST_STEM = 200
"""In bytes: a file's name may have 255, and ours is longer than the photograph's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A scan and what was asked for beyond it."""

    scan: Scan
    agreements: dict[int, float]
    """Lesion number -> how far the heat map and the occlusion agree."""
    overlay: Path | None


@dataclass(slots=True)
class OverlayFolder:
    """Where overlays go; no two share a name, and none takes the place of a photograph."""

    folder: Path
    taken: set[str] = field(default_factory=set)
    """Casefolded: on some file systems `A` and `a` are one file."""

    @classmethod
    def open(cls, folder: Path, photographs: Iterable[str]) -> OverlayFolder:
        """Make sure that pictures can be written, before the first scan is paid for."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(
                f"{folder}: overlays cannot be written here ({error.strerror}); choose another folder"
            ) from error
        return cls(folder, {_key(Path(photograph)) for photograph in photographs if photograph != batch.STDIN})

    def write(self, name: str, picture: Image.Image) -> Path:
        """Save beside and rename: a picture is there whole or not at all."""
        path = self._free(Path(name).stem if name != batch.STDIN else "stdin")
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", suffix=".part", delete=False) as part:
                try:
                    picture.save(part, "PNG", compress_level=3)  # a third of the time, 4 % more bytes
                    part.close()
                    os.replace(part.name, path)  # noqa: PTH105
                except BaseException:
                    with suppress(OSError):
                        os.unlink(part.name)  # noqa: PTH108
                    raise
        except OSError as error:
            raise UsageError(
                f"{path}: the overlay cannot be written ({error.strerror}); make room or choose another folder"
            ) from error
        return path

    def _free(self, stem: str) -> Path:
        stem = os.fsdecode(os.fsencode(stem)[:LONGEST_STEM])
        for number in itertools.count(1):
            path = self.folder / f"{stem}{f'-{number}' if number > 1 else ''}{batch.OVERLAY}"
            if _key(path) not in self.taken:
                break
        self.taken.add(_key(path))
        return path


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()


def scan(arguments: argparse.Namespace) -> int:
    """Answer every photograph; 3 when one could not be."""
    stated_flags(arguments.flags)
    if arguments.box is not None and arguments.whole:
        raise UsageError("give either --box or --whole, not both")
    photographs = list(batch.walk(arguments.paths))
    named = [photograph for photograph in photographs if isinstance(photograph, str)]
    if named.count(batch.STDIN) > 1:
        raise UsageError("stdin can be read once only; give - once")
    overlays = OverlayFolder.open(arguments.overlay, named) if arguments.overlay else None

    # From here on the heavy part: numpy, Pillow and ONNX Runtime are loaded, the graphs are opened.
    from .scanner import Scanner
    from .scorer import Facts

    facts = Facts(arguments.age, arguments.sex, arguments.site)
    profile = Profile.load(arguments.profile) if arguments.profile is not None else None
    style = Style.of(sys.stdout)
    progress = batch.Progress(sys.stderr, len(photographs), Style.of(sys.stderr).width)
    status = answered = 0
    with Scanner.open(
        arguments.pack,
        provider=arguments.provider,
        threads=arguments.threads,
        low_memory=arguments.low_memory,
    ) as scanner:
        scanner.manifest(profile)  # made for this pack, or refused before the first scan is paid for
        for outcome in batch.run(
            photographs, lambda photograph: _answer(scanner, photograph, arguments, facts, overlays, profile), progress
        ):
            if outcome.answer is None:
                complain(str(outcome.error))
                status = PhotoError.exit_status
                continue
            if arguments.json:
                print_json(as_json(outcome.answer, arguments.top))
            else:
                if answered:
                    print()
                print(_text(outcome.answer, scanner, style, arguments.top), flush=True)
            answered += 1
    if answered and not arguments.json:
        print(f"\n{DISCLAIMER}")
    return status


def _answer(
    scanner: Scanner,
    photograph: str,
    arguments: argparse.Namespace,
    facts: Facts,
    overlays: OverlayFolder | None,
    profile: Profile | None,
) -> Answer:
    from .photo import LIMITS

    found = scanner.scan(
        batch.source(photograph, sys.stdin.buffer, LIMITS.file_bytes),
        name="stdin" if photograph == batch.STDIN else photograph,
        modality=arguments.modality,
        box=arguments.box,
        whole=arguments.whole,
        facts=facts,
        flags=arguments.flags,
        mask=arguments.mask,
        profile=profile,
    )
    agreements: dict[int, float] = {}
    if arguments.explain:
        from .saliency import agreement

        agreements = {
            lesion.number: agreement(lesion.saliency, scanner.occlusion(found, lesion))
            for lesion in found.lesions
            if lesion.saliency is not None
        }
    path = None
    if overlays is not None:
        from .overlay import draw

        path = overlays.write(photograph, draw(found))
    return Answer(found, agreements, path)


def as_json(answer: Answer, top: int | None) -> dict[str, Any]:
    """The scan's own object, with `explain`, `mask` and `overlay` where they were asked for."""
    found = answer.scan.as_json(top)
    for lesion, row in zip(answer.scan.lesions, found["lesions"], strict=True):
        if lesion.number in answer.agreements:
            assert lesion.saliency is not None
            row["explain"] = {
                "method": "occlusion",
                "condition": lesion.saliency.condition,
                "agreement": round(answer.agreements[lesion.number], 4),
            }
        if lesion.mask is not None:
            region = lesion.mask.region
            row["mask"] = {
                "region": region.as_xywh(),
                "area": round(float(lesion.mask.pixels.mean()) * region.width * region.height, 1),
            }
    if answer.overlay is not None:
        found["overlay"] = str(answer.overlay)
    return found


def _text(answer: Answer, scanner: Scanner, style: Style, top: int | None) -> str:
    text = finding(answer.scan, scanner.pack.manifest.conditions, style, top, answer.agreements)
    if answer.overlay is not None:
        text += f"\n  overlay {printable(str(answer.overlay))}"
    return text
