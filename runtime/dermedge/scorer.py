"""From an embedding to calibrated probabilities: cosines with the pack's vectors, shifted by facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import ManifestInvalid, UsageError, VectorsInvalid
from .pack.manifest import Manifest, Prior, Scoring
from .result import MODALITIES, Modality, Scores

if TYPE_CHECKING:
    from .pack.verify import VerifiedPack

OLDEST = 120
SEXES = ("female", "male")
BAND = re.compile(r"(\d+)(?:-(\d+)|\+)")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the person said about themselves; nothing of it is needed."""

    age: int | None = None
    sex: str | None = None
    site: str | None = None
    """Where on the body, as the pack names it: `face`, `back`, ..."""

    def __post_init__(self) -> None:
        if self.age is not None and not 0 <= self.age <= OLDEST:
            raise UsageError(f"age must be from 0 to {OLDEST} years, not {self.age}")
        if self.sex is not None and self.sex not in SEXES:
            raise UsageError(f"sex must be {' or '.join(SEXES)} (or left out), not {self.sex!r}")
        if self.site is not None and not re.fullmatch(r"[a-z][a-z -]{0,39}", self.site):
            raise UsageError(f"body site must be a plain word such as face or back, not {self.site!r}")

    def stated(self) -> list[tuple[str, str]]:
        """Kind and value of each known fact, in a fixed order."""
        facts = (("age", self.age), ("sex", self.sex), ("site", self.site))
        return [(kind, str(value)) for kind, value in facts if value is not None]


@dataclass(frozen=True, slots=True)
class Terms:
    """What goes into one condition's probability: softmax((logit + shift) / temperature)."""

    cosine: float
    bias: float
    logit: float
    """scale * cosine + bias."""
    shift: float
    """What the facts about the person add."""


@dataclass(frozen=True, slots=True)
class Working:
    """The sum behind one lesion's `Scores`."""

    modalities: Mapping[str, float]
    """How likely each kind of photograph is."""
    conditions: Mapping[str, Terms]
    rejects: tuple[Terms, ...]
    """The same for what is no lesion; facts and temperature do not touch it."""
    scale: float
    temperature: float


class Scorer:
    """Scores vectors against a verified pack's conditions, in double precision."""

    def __init__(
        self, manifest: Manifest, prompts: NDArray[np.floating[Any]], rejects: NDArray[np.floating[Any]],
        modalities: NDArray[np.floating[Any]],
    ) -> None:
        self._manifest = manifest
        self._ids = tuple(condition.id for condition in manifest.conditions)
        self._prompts: NDArray[np.float64] = prompts.astype(np.float64, copy=False)
        self._rejects: NDArray[np.float64] = rejects.astype(np.float64, copy=False)
        self._modalities: NDArray[np.float64] = modalities.astype(np.float64, copy=False)
        for prior in manifest.priors:
            if prior.fact == "age" and BAND.fullmatch(prior.value) is None:
                raise ManifestInvalid(f"the age band {prior.value!r} is neither like 60-69 nor like 80+. "
                                      "Reinstall the pack.")

    @classmethod
    def open(cls, pack: VerifiedPack) -> Scorer:
        names = pack.manifest.vectors
        return cls(pack.manifest, pack.array(names.prompts), pack.array(names.rejects),
                   pack.array(names.modalities))

    def under(self, manifest: Manifest) -> Scorer:
        """The same vectors, scored by other numbers."""
        return Scorer(manifest, self._prompts, self._rejects, self._modalities)

    def vector(self, modality: Modality, condition: str) -> NDArray[np.float64]:
        """What an embedding is compared with for a condition."""
        if condition not in self._ids:
            raise UsageError(f"unknown condition {condition!r}; this pack has {', '.join(self._ids)}")
        vector: NDArray[np.float64] = self._prompts[MODALITIES.index(modality), self._ids.index(condition)]
        return vector

    def modality(self, vector: NDArray[np.float32]) -> tuple[Modality, float]:
        """Which kind of photograph this is, and with what probability."""
        shares = self._modality_shares(vector)
        best = int(shares.argmax())
        return MODALITIES[best], float(shares[best])

    def score(self, vector: NDArray[np.float32], modality: Modality, facts: Facts) -> Scores:
        """Probabilities of one lesion, and how much it looks like none."""
        scoring = self._manifest.scoring[modality]
        wide = self._wide(vector)
        logits = scoring.scale * (self._prompts[MODALITIES.index(modality)] @ wide) + np.array(scoring.bias)
        rejection = self._rejection(logits, wide, scoring)
        probabilities, shifts = self._with_facts(logits, modality, scoring.temperature, facts)
        by_id = dict(zip(self._ids, probabilities.tolist(), strict=True))
        malignant = self._mass(by_id, ("malignant",))
        return Scores(
            modality=modality, probabilities=MappingProxyType(by_id), malignant=malignant,
            referral=min(1.0, malignant + self._mass(by_id, ("premalignant",))), rejection=rejection,
            rejected=rejection >= scoring.rejection, calibrated=scoring.calibrated, shifts=shifts,
        )

    def working(self, vector: NDArray[np.float32], modality: Modality, facts: Facts) -> Working:
        """Every number between the vector and `score`'s answer, for who wants to follow the sum."""
        scoring = self._manifest.scoring[modality]
        wide = self._wide(vector)
        cosines = self._prompts[MODALITIES.index(modality)] @ wide
        priors = [self._prior(modality, kind, value) for kind, value in facts.stated()]
        shifts = sum((np.array(prior.shift) for prior in priors if prior), np.zeros(len(self._ids)))
        refusals = self._rejects @ wide
        columns = zip(cosines, scoring.bias, scoring.scale * cosines + np.array(scoring.bias), shifts, strict=True)
        return Working(
            modalities=MappingProxyType(dict(zip(MODALITIES, self._modality_shares(vector).tolist(), strict=True))),
            conditions=MappingProxyType(
                {id: Terms(*map(float, column)) for id, column in zip(self._ids, columns, strict=True)}
            ),
            rejects=tuple(Terms(float(c), b, scoring.scale * float(c) + b, 0.0)
                          for c, b in zip(refusals, scoring.reject_bias, strict=True)),
            scale=scoring.scale, temperature=scoring.temperature,
        )

    def _modality_shares(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        return softmax(self._manifest.vectors.modality_scale * (self._modalities @ self._wide(vector)))

    def _wide(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        if vector.shape != self._modalities.shape[1:]:
            raise VectorsInvalid(f"the tower's vector is {list(vector.shape)}, the pack's vectors are "
                                  f"{list(self._modalities.shape[1:])}. Do not use this pack.")
        return vector.astype(np.float64)

    def _rejection(self, logits: NDArray[np.float64], vector: NDArray[np.float64], scoring: Scoring) -> float:
        refusals = scoring.scale * (self._rejects @ vector) + np.array(scoring.reject_bias)
        return float(softmax(np.concatenate([logits, refusals]))[len(logits):].sum())

    def _with_facts(
        self, logits: NDArray[np.float64], modality: Modality, temperature: float, facts: Facts
    ) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        probabilities = softmax(logits / temperature)
        said: list[str] = []
        for kind, value in facts.stated():
            prior = self._prior(modality, kind, value)
            if prior is None:
                said.append(f"{kind} {value}: not used, the pack learned nothing about it")
                continue
            logits = logits + np.array(prior.shift)
            before, probabilities = probabilities, softmax(logits / temperature)
            said.append(f"{kind} {value}: {self._change(before, probabilities)}")
        return probabilities, tuple(said)

    def _prior(self, modality: Modality, kind: str, value: str) -> Prior | None:
        for prior in self._manifest.priors:
            if (prior.modality, prior.fact) == (modality, kind) and (
                in_band(int(value), prior.value) if kind == "age" else prior.value == value
            ):
                return prior
        return None

    def _change(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> str:
        most = int(np.abs(after - before).argmax())
        old, new = percent(before[most]), percent(after[most])
        return f"{self._ids[most]} {old} -> {new}" if old != new else "changes next to nothing"

    def _mass(self, probabilities: Mapping[str, float], groups: Iterable[str]) -> float:
        # Sorted, so that rounding is the same whatever order the pack lists its conditions in.
        shares = [probabilities[c.id] for c in self._manifest.conditions if c.group in groups]
        return min(1.0, sum(sorted(shares)))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(logits - logits.max())
    shares: NDArray[np.float64] = odds / odds.sum()
    return shares


def in_band(age: int, band: str) -> bool:
    """Whether an age lies in a band like `60-69` or `80+`."""
    match = BAND.fullmatch(band)
    if match is None:
        return False
    first, last = int(match[1]), int(match[2] or OLDEST)
    return first <= age <= last


def percent(probability: float) -> str:
    return "under 1 %" if 0 < probability < 0.005 else f"{100 * probability:.0f} %"
