"""The thread behind the camera page: what the camera sees, how good it is, and the photograph when asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message
from textual.strip import Strip

from dermedge import Box, Camera, DermedgeError, Feed, Frame, Photo, Quality, assess, cameras, open_camera

from .scanning import told
from .session import Shot
from .widgets.preview import Room, drawn

if TYPE_CHECKING:
    Cancelled = Callable[[], bool]

AIMED_AT = 0.6
"""The square in the middle where the spot belongs, as a share of the shorter side."""
REMEMBERED = 5
"""Pictures; a hint stands when most of them gave it, so that it does not flicker."""
OFTEN = 0.1
"""Seconds between two pictures of the preview; a small board has other things to do."""
BURST, BURST_SECONDS = 5, 0.8
"""Of so many pictures the sharpest is taken: hands shake."""

_one_camera = threading.Lock()
"""A thread that begins waits here until the one before has let go of the camera."""


@dataclass
class Opened(Message):
    """Which camera it is, and of how many."""

    name: str
    place: int
    count: int


@dataclass
class Seen(Message):
    """The preview, and what is wrong with it, if anything."""

    lines: list[Strip]
    problem: str | None


@dataclass
class Taken(Message):
    """The photograph that was asked for."""

    shot: Shot
    photo: Photo
    problem: str | None


@dataclass
class Failed(Message):
    """No picture any more; the thread has ended."""

    error: DermedgeError


class Aiming:
    """Reads the camera all the time, also while nobody looks: what waits in it would be old."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._room: Room = (0, 0)
        self._wanted = False
        self._frozen = False
        self._unseen = False

    def shoot(self) -> None:
        """The next picture is the photograph; it stays in sight until `resume`."""
        self._wanted = True

    def resume(self) -> None:
        self._wanted = self._frozen = False

    def shown(self, room: Room) -> None:
        """The page has shown what it was sent, and has this much room; until then nothing more is drawn for it."""
        self._room, self._unseen = room, False

    def run(self, place: int, cancelled: Cancelled) -> None:
        """In the thread, until it is cancelled or the camera fails."""
        self._unseen = False
        while not _one_camera.acquire(timeout=0.1):
            if cancelled():
                return
        try:
            found = cameras()
            place %= len(found)
            with open_camera(found[place]) as feed:
                self._post(Opened(_name(found, place), place, len(found)))
                self._look(feed, cancelled)
        except Exception as error:
            if not cancelled():
                self._post(Failed(told(error)))
        finally:
            _one_camera.release()

    def _look(self, feed: Feed, cancelled: Cancelled) -> None:
        problems: deque[str | None] = deque(maxlen=REMEMBERED)
        drawn_at = 0.0
        while not cancelled():
            if self._wanted:
                self._take(feed, cancelled)
            frame = feed.read()
            now = time.monotonic()
            if frame is None or self._frozen or self._wanted or self._unseen or now - drawn_at < OFTEN:
                continue
            drawn_at = now
            problems.append(_problem(_quality(frame.photo)))
            self._unseen = True
            self._post(Seen(drawn(frame.photo, self._room, target(frame.photo)), _most(problems)))

    def _take(self, feed: Feed, cancelled: Cancelled) -> None:
        frames: list[Frame] = []
        begun = time.monotonic()
        while not cancelled() and len(frames) < BURST and not (frames and time.monotonic() - begun > BURST_SECONDS):
            if frame := feed.read():
                frames.append(frame)
        if not frames or not self._wanted:
            return
        self._wanted, self._frozen = False, True
        qualities = [_quality(frame.photo) for frame in frames]
        at = max(range(len(frames)), key=lambda i: qualities[i].sharpness)
        frame = frames[at]
        shot = Shot(f"{feed.camera.name} {frame.taken:%H:%M:%S}", frame.packed(), frame.taken)
        self._post(Taken(shot, frame.photo, _problem(qualities[at])))


def target(photo: Photo) -> Box:
    """Where the spot belongs."""
    side = AIMED_AT * min(photo.width, photo.height)
    left, top = (photo.width - side) / 2, (photo.height - side) / 2
    return Box(left, top, left + side, top + side)


def _quality(photo: Photo) -> Quality:
    return assess(photo, target(photo))


def _problem(quality: Quality) -> str | None:
    return quality.problems[0] if quality.problems else None


def _most(problems: deque[str | None]) -> str | None:
    (problem, _count), *_others = Counter(problems).most_common(1)
    return problem


def _name(found: tuple[Camera, ...], place: int) -> str:
    """Two of the same make are told apart by where they are plugged in."""
    camera = found[place]
    alike = sum(other.name == camera.name for other in found)
    return f"{camera.name} ({camera.id})" if alike > 1 else camera.name
