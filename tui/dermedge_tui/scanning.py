"""The thread that scans: takes jobs one after the other and reports each by a message."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from textual.message import Message

from dermedge import DermedgeError, capture_date, shrunk

from .messages import JobDone, JobFailed, JobStarted
from .session import KEPT_SIDE, Dated, Entry, Job, Shot, Source

if TYPE_CHECKING:
    from dermedge import Profile, Scanner


class OutOfMemory(DermedgeError):
    """The machine has too little for this photograph or this pack."""


class Bug(DermedgeError):
    """What nobody foresaw; its message is the exception's, for a report."""


class Scanning:
    """Opens the scanner at the first job, so that the first page does not wait for it."""

    def __init__(self, open_scanner: Callable[[], Scanner], post: Callable[[Message], object]) -> None:
        self._open = open_scanner
        self._post = post
        self._jobs: deque[Job] = deque()
        self._lock = threading.Lock()
        self._running = False
        self.scanner: Scanner | None = None
        self.profile: Profile | None = None
        """In force from the next photograph on."""

    def add(self, jobs: list[Job]) -> bool:
        """Whether `run` has to be started in a thread: one works at a time."""
        with self._lock:
            self._jobs.extend(jobs)
            idle, self._running = not self._running, True
            return idle

    def cancel(self) -> None:
        with self._lock:
            self._jobs.clear()

    def run(self) -> None:
        """Until no job is left."""
        while (job := self._take()) is not None:
            self._post(JobStarted(job))
            try:
                if self.scanner is None:
                    self.scanner = self._open()
                    self.scanner.manifest(self.profile)  # made for this pack?
            except Exception as error:
                self.cancel()
                self._post(JobFailed(job, told(error), fatal=True))
                continue
            try:
                self._post(JobDone(job, self._answered(self.scanner, job)))
            except Exception as error:
                self._post(JobFailed(job, told(error), fatal=False))

    def _take(self) -> Job | None:
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._running = False
            return None

    def _answered(self, scanner: Scanner, job: Job) -> Entry:
        picture, name = (job.source.data, job.name) if isinstance(job.source, Shot) else (job.source, None)
        profile = self.profile
        trace = scanner.look(picture, name=name, whole=job.whole, profile=profile)
        scan = shrunk(scanner.judge(trace, flags=job.flags, mask=job.mask, profile=profile), KEPT_SIDE)
        kept = trace if job.trace else None
        names = {condition.id: condition.name for condition in scanner.pack.manifest.conditions}
        if job.before is not None:
            return replace(job.before, scan=scan, names=names, flags=job.flags, profile=profile, trace=kept)
        taken = _taken(job.source)
        dated: Dated = "camera" if taken else "unknown"
        return Entry(job.number, job.source, scan, taken or date.today(), dated, names, job.flags, profile, kept)


def _taken(source: Source) -> date | None:
    if not isinstance(source, Shot):
        return capture_date(source)
    return source.taken.date() if source.taken is not None else capture_date(source.data)


def told(error: Exception) -> DermedgeError:
    """What a thread failed of, as something to tell a person."""
    if isinstance(error, DermedgeError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory("out of memory; close other programs, or start with --low-memory")
    return Bug(f"{type(error).__name__}: {' '.join(str(error).split())}")
