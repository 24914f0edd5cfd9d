"""JPEGs out of a stream of bytes, told apart by their own structure."""

from __future__ import annotations

import re

MOST_BYTES = 32_000_000
"""Of one picture; what is longer is no picture of a camera."""

_START = b"\xff\xd8\xff"
_END = 0xD9
_SCAN = 0xDA
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In the compressed data 0xFF stands before a zero, a restart marker or another 0xFF; anything else ends it."""


class Splitter:
    """Takes bytes as they arrive; an embedded thumbnail is part of its picture."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        """Up to here the picture at the beginning has been walked."""
        self._compressed = False

    def feed(self, data: bytes) -> list[bytes]:
        """The pictures that are complete now."""
        self._data += data
        found = []
        while self._begin():
            end = self._walk()
            if end is None:
                if len(self._data) > MOST_BYTES:
                    self._drop(len(_START))
                    continue
                break
            found.append(bytes(self._data[:end]))
            self._drop(end)
        return found

    def _begin(self) -> bool:
        """Whether a picture stands at the beginning; what stands before it is rubbish."""
        if not self._at:
            start = self._data.find(_START)
            if start < 0:
                del self._data[: max(0, len(self._data) - len(_START) + 1)]
                return False
            del self._data[:start]
            self._at, self._compressed = 2, False
        return True

    def _walk(self) -> int | None:
        """Where the picture ends; None until the rest has come."""
        data = self._data
        while True:
            if self._compressed:
                marker = _MARKER.search(data, self._at)
                if marker is None:
                    # The last byte may be the first of a marker.
                    self._at = max(self._at, len(data) - 1)
                    return None
                self._at, self._compressed = marker.start(), False
            if self._at + 4 > len(data) and data[self._at : self._at + 2] != bytes((0xFF, _END)):
                return None
            if data[self._at] != 0xFF:
                return self._give_up()
            kind = data[self._at + 1]
            if kind == _END:
                return self._at + 2
            if kind == 0xFF:  # fill byte
                self._at += 1
                continue
            length = int.from_bytes(data[self._at + 2 : self._at + 4], "big")
            if kind == 0xD8 or length < 2:
                return self._give_up()
            self._at += 2 + length
            self._compressed = kind == _SCAN

    def _give_up(self) -> int | None:
        """Cut off, or no JPEG after all; what was walked is left out, for a thumbnail in it is no picture."""
        self._drop(max(len(_START), self._at))
        return self._walk() if self._begin() else None

    def _drop(self, count: int) -> None:
        del self._data[:count]
        self._at = 0


def first(data: bytes) -> bytes | None:
    """The picture in a buffer that holds one, without the padding that drivers leave behind it."""
    return next(iter(Splitter().feed(data)), None)
