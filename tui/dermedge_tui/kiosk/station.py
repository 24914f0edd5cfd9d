"""What outlives a person's session: the model, the counts, the operator's lock. Nothing here knows a photograph."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from dermedge import DermedgeError

from . import settings as kept
from .counts import Counts, Fault
from .heartbeat import Heartbeat
from .journal import Journal, place
from .pin import Lock, hashed
from .settings import Files, Settings

if TYPE_CHECKING:
    from dermedge import Scanner


class Model:
    """Opened once, by whoever needs it first."""

    def __init__(self, open_scanner: Callable[[], Scanner]) -> None:
        self._open = open_scanner
        self._lock = threading.Lock()
        self.scanner: Scanner | None = None

    def __call__(self) -> Scanner:
        with self._lock:
            if self.scanner is None:
                self.scanner = self._open()
            return self.scanner


@dataclass
class Station:
    """The box, for as long as its process lives."""

    settings: Settings
    files: Files
    model: Model
    pack: str | None = None
    """As it was asked for on the command line."""
    counts: Counts = field(init=False)
    journal: Journal = field(init=False)
    lock: Lock = field(init=False)
    heartbeat: Heartbeat = field(init=False)
    began: float = field(default_factory=time.monotonic)
    troubles: dict[Fault, str] = field(default_factory=dict)
    """What does not work at the moment, and since when: for the operator's page."""

    def __post_init__(self) -> None:
        self.counts = Counts(self.files.counts)
        self.journal = Journal(self.files.log)
        self.lock = Lock(self.files.attempts)
        self.heartbeat = Heartbeat()

    def failed(self, fault: Fault, error: BaseException) -> None:
        """Counted and noted by its class: its words may quote a file's name."""
        self.counts.failed(fault)
        self.journal.note(f"{fault}: {place(error)}")

    def lost(self, fault: Fault, error: BaseException) -> None:
        """Something is gone until further notice; said once, however often it is tried again."""
        if fault not in self.troubles:
            self.failed(fault, error)
        said = str(error) if isinstance(error, DermedgeError) else type(error).__name__
        since = self.troubles.get(fault, "").partition(" ")[0] or f"{datetime.now():%H:%M}"
        self.troubles[fault] = f"{since} {said}"

    def back(self, fault: Fault) -> None:
        if self.troubles.pop(fault, None):
            self.journal.note(f"{fault}: works again")

    def beat(self) -> None:
        """From the interface's own loop: where that hangs, nothing beats."""
        trouble = self.troubles.get("pack")
        self.heartbeat.beat(f"out of order: {' '.join(trouble.split())}" if trouble else "in service")

    def opens(self, pin: str) -> bool:
        """In a thread: checking takes a moment, by intention."""
        right = self.lock.opens(pin, self.settings.pin or "")
        if not right:
            self.counts.happened("wrong PINs")
        return right

    def change_pin(self, pin: str) -> None:
        """In a thread. Only the PIN: what was asked for on the command line is not written into the file."""
        new = hashed(pin)
        kept.save(replace(kept.load(self.files.settings), pin=new), self.files.settings)
        self.settings = replace(self.settings, pin=new)
        self.journal.note("the PIN was changed")
