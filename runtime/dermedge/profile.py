"""Other numbers than the pack's, kept under a name: for who calibrates a pack, never for who is screened.

A profile holds for one pack, by its digest. It never changes the pack: it gives a manifest of its own to judge by. The
fixed ceilings of triage hold whatever it says, and every result under it carries its name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ProfileError
from .result import MODALITIES, Modality, PackRef
from .triage import ALWAYS_URGENT, NEVER_REASSURING, NEVER_REASSURING_PREMALIGNANT, PROFILE

if TYPE_CHECKING:
    from .pack.manifest import Manifest, Threshold, Triage

SCHEMA = 1
MAX_BYTES = 16_384
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
UNSAVED = "unsaved"
"""What a calibration is called while it is tried out; no file has this name."""


@dataclass(frozen=True, slots=True)
class Limit:
    """From where to where a number can be set, and how finely."""

    low: float
    high: float
    step: float


CUT_LIMITS: dict[str, Limit] = {
    "temperature": Limit(0.2, 4.0, 0.02),
    # Beyond the fixed ceilings a threshold would do nothing, and seem to do something.
    "urgent": Limit(0.01, ALWAYS_URGENT, 0.01),
    "refer": Limit(0.01, NEVER_REASSURING, 0.01),
    "refer_premalignant": Limit(0.01, NEVER_REASSURING_PREMALIGNANT, 0.01),
    "unclear": Limit(0.01, NEVER_REASSURING_PREMALIGNANT, 0.01),
    "reassure": Limit(0.0, 1.0, 0.01),
}
"""What is set for each modality apart."""
LIMITS: dict[str, Limit] = {
    "margin": Limit(0.0, 1.0, 0.01),
    "confidence": Limit(0.02, 0.95, 0.01),
    "context": Limit(1.0, 4.0, 0.05),
}
"""What is set for both."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """One modality's numbers; None is the pack's own."""

    temperature: float | None = None
    urgent: float | None = None
    refer: float | None = None
    refer_premalignant: float | None = None
    unclear: float | None = None
    reassure: float | None = None

    def __post_init__(self) -> None:
        _check(self, CUT_LIMITS)


@dataclass(frozen=True, slots=True)
class Calibration:
    """All numbers that can be set; None is the pack's own."""

    dermoscopy: Cuts = field(default_factory=Cuts)
    phone: Cuts = field(default_factory=Cuts)
    margin: float | None = None
    """How far a harmless condition must be ahead of the malignant and premalignant mass to reassure."""
    confidence: float | None = None
    """Of the detector."""
    context: float | None = None
    """Side of the tower's crop, in longer sides of the lesion's box."""
    modality: Modality | None = None
    """What photographs are taken for where nobody says it."""

    def __post_init__(self) -> None:
        _check(self, LIMITS)
        if self.modality is not None and self.modality not in MODALITIES:
            raise ProfileError(f"modality must be {' or '.join(MODALITIES)}, not {self.modality!r}")

    def applied(self, manifest: Manifest) -> Manifest:
        """The manifest to judge by; the pack's own stays as it is."""
        scoring, triage = dict(manifest.scoring), dict(manifest.triage)
        for modality in MODALITIES:
            cuts: Cuts = getattr(self, modality)
            if cuts.temperature is not None:
                scoring[modality] = replace(scoring[modality], temperature=cuts.temperature)
            triage[modality] = _triage(triage[modality], cuts)
        return replace(
            manifest, scoring=scoring, triage=triage,
            tower=replace(manifest.tower, context=_or(self.context, manifest.tower.context)),
            detector=replace(manifest.detector, confidence=_or(self.confidence, manifest.detector.confidence)),
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """A calibration with a name, for one pack."""

    name: str
    pack: str
    digest: str
    calibration: Calibration

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ProfileError(
                f"{self.name[:60]!a} is no name for a profile; take up to 32 letters, digits, _ and -, "
                "a letter or digit first"
            )

    @classmethod
    def of(cls, pack: PackRef, calibration: Calibration, name: str = UNSAVED) -> Profile:
        return cls(name, pack.id, pack.digest, calibration)

    def check(self, pack: PackRef) -> None:
        """Numbers set for one pack mean nothing for another."""
        if (self.pack, self.digest) != (pack.id, pack.digest):
            raise ProfileError(
                f"the profile {self.name} was made for the pack {self.pack} ({self.digest[:8]}), not for {pack.id} "
                f"{pack.version} ({pack.digest[:8]}); calibrate again, or leave the profile out"
            )

    @classmethod
    def kept(cls, place: Path | None = None) -> list[str]:
        """The names of those on this machine, sound or not."""
        return sorted(file.stem for file in (place or folder()).glob("*.json") if NAME.fullmatch(file.stem))

    def save(self, place: Path | None = None) -> Path:
        """Written beside and renamed: it is there whole or not at all."""
        if self.name == UNSAVED:
            raise ProfileError(f"a profile cannot be called {UNSAVED}; choose another name")
        file = (place or folder()) / f"{self.name}.json"
        part = file.with_suffix(".part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part.write_text(json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n", encoding="utf-8")
            part.replace(file)
        except OSError as error:
            raise ProfileError(f"{file}: the profile cannot be kept ({error.strerror}); make room or choose another "
                               "settings folder") from error
        return file

    @classmethod
    def load(cls, name: str, place: Path | None = None) -> Profile:
        """A kept profile, every value of it checked."""
        where = place or folder()
        if name not in cls.kept(where):
            kept = ", ".join(cls.kept(where)) or "none"
            raise ProfileError(f"there is no profile {name[:60]!a} in {where}; there are: {kept}")
        file = where / f"{name}.json"
        try:
            with file.open("rb") as opened:
                data = opened.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ValueError(f"it has more than {MAX_BYTES} bytes")
            return _read(name, json.loads(data.decode("utf-8")))
        except OSError as error:
            raise ProfileError(f"{file}: the profile cannot be read ({error.strerror}); set it anew") from error
        except (ValueError, RecursionError, ProfileError) as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise ProfileError(f"{file}: no sound profile ({what}); set it anew, or delete the file") from error


def folder() -> Path:
    """Where profiles lie."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "dermedge" / "profiles"


def _read(name: str, found: object) -> Profile:
    profile = _exactly(found, {"schema", "name", "pack", "digest", "calibration"}, "the profile")
    if profile["schema"] != SCHEMA or profile["schema"] is True:
        raise ProfileError(f"schema {profile['schema']!r} is not {SCHEMA}")
    for key in ("name", "pack", "digest"):
        if not isinstance(profile[key], str):
            raise ProfileError(f"{key} is no text")
    if profile["name"] != name:
        raise ProfileError("its name is not the file's")
    told = dict(_exactly(profile["calibration"], {each.name for each in fields(Calibration)}, "calibration"))
    for modality in MODALITIES:
        told[modality] = Cuts(**_exactly(told[modality], set(CUT_LIMITS), modality))
    return Profile(name, profile["pack"], profile["digest"], Calibration(**told))


def _exactly(found: object, keys: set[str], where: str) -> Mapping[str, Any]:
    if not isinstance(found, dict) or set(found) != keys:
        raise ProfileError(f"{where} needs exactly {', '.join(sorted(keys))}")
    return found


def _check(values: Cuts | Calibration, limits: Mapping[str, Limit]) -> None:
    for name, limit in limits.items():
        value = getattr(values, name)
        if value is None:
            continue
        # True is an int to Python, and was not meant as one; NaN lies between no limits.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not limit.low <= value <= limit.high:
            raise ProfileError(f"{name} must be a number from {limit.low:g} to {limit.high:g}, not {value!r:.40}")


def _triage(triage: Triage, cuts: Cuts) -> Triage:
    return replace(
        triage,
        urgent=_threshold(triage.urgent, cuts.urgent),
        refer=_threshold(triage.refer, cuts.refer),
        refer_premalignant=_threshold(triage.refer_premalignant, cuts.refer_premalignant),
        unclear=_threshold(triage.unclear, cuts.unclear),
        reassure=_or(cuts.reassure, triage.reassure),
    )


def _threshold(threshold: Threshold, value: float | None) -> Threshold:
    # What was measured at the pack's value says nothing about another one.
    return threshold if value is None else replace(
        threshold, value=value, sensitivity=None, specificity=None, positives=0, negatives=0, data=PROFILE
    )


def _or(value: float | None, own: float) -> float:
    return own if value is None else value
