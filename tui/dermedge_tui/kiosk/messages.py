"""What the kiosk's pages ask it for, beside what every page can ask for."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass
class Begun(Message):
    """Somebody touched the invitation."""


@dataclass
class Finished(Message):
    """The person is done: everything of theirs goes at once."""


@dataclass
class AnotherPhoto(Message):
    """Back to the camera, within the same session."""


@dataclass
class PinEntered(Message):
    pin: str


@dataclass
class PinChanged(Message):
    """Entered twice alike."""

    pin: str


@dataclass
class ExaminationAsked(Message):
    """The doctor shall look at this machine."""


@dataclass
class LeaveAsked(Message):
    """The operator ends the kiosk."""
