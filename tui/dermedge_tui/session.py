"""The photographs of one sitting, in memory only: what was scanned, when it was taken, what was said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dermedge import DermedgeError, Scan

if TYPE_CHECKING:
    from dermedge import Profile, Trace

Dated = Literal["camera", "hand", "unknown"]
"""Who says when it was taken; `unknown` stands under the day it was scanned."""

MOST_PHOTOS = 200
"""Of one sitting: together some 500 MB at the size that is kept."""
KEPT_SIDE = 1024
"""Pixels of the longer side that are kept of each photograph."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A photograph that is in no file, from the camera or the clipboard: it lives as long as the session."""

    name: str
    data: bytes = field(repr=False)
    taken: datetime | None = None
    """By this machine's clock; None where the picture itself has to say."""


Source = str | Shot
"""A path, or the photograph itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One photograph and its answer; the same only as itself, for pixels cannot be compared by a plain ==."""

    number: int
    source: Source
    scan: Scan
    taken: date
    dated: Dated
    names: Mapping[str, str]
    """Condition id -> what the pack calls it."""
    flags: tuple[str, ...] = ()
    profile: Profile | None = None
    """That it was judged by."""
    trace: Trace | None = None
    """What each step saw, where somebody wants to look into it; large, so one entry of a session has one at most."""

    @property
    def worst(self) -> int:
        """The place of the lesion that the photograph's answer is about; 0 where there is none."""
        level = self.scan.verdict.level
        shares = [lesion.scores.malignant if lesion.verdict.level == level else -1.0 for lesion in self.scan.lesions]
        return shares.index(max(shares)) if shares else 0


@dataclass(frozen=True, slots=True)
class Session:
    """All entries, by date; every change is a new value."""

    entries: tuple[Entry, ...] = ()

    def get(self, number: int) -> Entry | None:
        return next((entry for entry in self.entries if entry.number == number), None)

    def with_entry(self, entry: Entry) -> Session:
        others = [other for other in self.entries if other.number != entry.number]
        if entry.trace is not None:
            others = [replace(other, trace=None) if other.trace is not None else other for other in others]
        return Session(tuple(sorted([*others, entry], key=lambda e: (e.taken, e.number))))

    def without(self, number: int) -> Session:
        return Session(tuple(entry for entry in self.entries if entry.number != number))

    def beside(self, number: int, step: int) -> Entry | None:
        """The entry `step` places later (or earlier) than `number`'s; None beyond the ends."""
        numbers = [entry.number for entry in self.entries]
        if number not in numbers:
            return None
        place = numbers.index(number) + step
        return self.entries[place] if 0 <= place < len(numbers) else None


State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One photograph to be scanned, or scanned again with more known about it."""

    number: int
    source: Source
    flags: tuple[str, ...] = ()
    mask: bool = False
    whole: bool = False
    """The whole photograph is the lesion, says the person."""
    before: Entry | None = None
    """The entry that a repeated scan replaces; its date stays."""
    trace: bool = False
    """Keep what each step saw."""

    @property
    def name(self) -> str:
        """Without the folder."""
        return self.source.name if isinstance(self.source, Shot) else Path(self.source).name


def again(entry: Entry, flags: tuple[str, ...], mask: bool = False, whole: bool = False, trace: bool = False) -> Job:
    """The same photograph once more, with all that was asked for before."""
    lesions = entry.scan.lesions
    mask = mask or any(lesion.mask is not None for lesion in lesions)
    whole = whole or any(lesion.by_hand for lesion in lesions)
    return Job(entry.number, entry.source, flags, mask, whole, entry, trace or entry.trace is not None)


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A job and what became of it."""

    job: Job
    state: State = "waiting"
    error: DermedgeError | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """The jobs of the current batch, in order."""

    items: tuple[QueueItem, ...] = ()

    def having(self, *states: State) -> tuple[QueueItem, ...]:
        return tuple(item for item in self.items if item.state in states)

    @property
    def busy(self) -> bool:
        return bool(self.having("waiting", "running"))

    def holds(self, job: Job) -> bool:
        """Whether somebody still waits for it: neither answered nor forgotten."""
        return any(item.job is job for item in self.having("waiting", "running"))

    def without(self, number: int) -> Queue:
        """A photograph that is forgotten is in no list of finished ones either."""
        return Queue(tuple(item for item in self.items if item.job.number != number))

    def added(self, jobs: list[Job]) -> Queue:
        """A finished batch makes room for the next one."""
        return Queue((self.items if self.busy else ()) + tuple(map(QueueItem, jobs)))

    def marked(self, job: Job, state: State, error: DermedgeError | None = None) -> Queue:
        return Queue(
            tuple(
                replace(item, state=state, error=error)
                if item.job is job and item.state in ("waiting", "running")
                else item
                for item in self.items
            )
        )

    def cancelled(self) -> Queue:
        """What has begun ends by itself; what waits does not begin."""
        return Queue(tuple(replace(i, state="cancelled") if i.state == "waiting" else i for i in self.items))
