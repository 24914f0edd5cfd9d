"""What screens ask the application for, and what the scanning thread reports to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from textual.message import Message

from dermedge import DermedgeError

from .session import Entry, Job, Shot

if TYPE_CHECKING:
    from dermedge import Profile


@dataclass
class PhotosGiven(Message):
    """Photographs, or folders of them, to scan."""

    paths: list[str]


@dataclass
class PhotoTaken(Message):
    """A photograph that is in no file, to scan: the camera's, or the clipboard's."""

    shot: Shot


@dataclass
class TextPasted(Message):
    """Text that should hold paths: a drop on the terminal arrives like this."""

    text: str


@dataclass
class QueueCancelled(Message):
    """Nobody waits for the rest of the queue any more."""


@dataclass
class PageAsked(Message):
    """Another page, by name; about an entry where it needs one."""

    name: str
    number: int = 0
    other: int = 0


@dataclass
class RescanAsked(Message):
    """The same photograph again: with the red flags that were stated, its outline, or all of it as the lesion."""

    number: int
    flags: tuple[str, ...]
    mask: bool = False
    whole: bool = False
    trace: bool = False
    """Keeping what each step sees."""


@dataclass
class ProfileChosen(Message):
    """Judge by this from now on, and all that was judged before again; None: by the pack's own numbers."""

    profile: Profile | None


@dataclass
class DateCorrected(Message):
    number: int
    taken: date


@dataclass
class EntryForgotten(Message):
    """One photograph and its answer; 0 means all of them."""

    number: int


@dataclass
class LanguageChosen(Message):
    code: str


@dataclass
class Agreed(Message):
    """The person has read what this is, and wants to use it."""


@dataclass
class JobStarted(Message):
    job: Job


@dataclass
class JobDone(Message):
    job: Job
    entry: Entry


@dataclass
class JobFailed(Message):
    job: Job
    error: DermedgeError
    fatal: bool
    """Whether every other job would fail for the same reason."""


@dataclass
class PhotosFound(Message):
    """What the given paths turned out to hold."""

    paths: list[str]
    left_out: int
