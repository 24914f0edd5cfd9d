"""The operator's PIN: kept as a scrypt hash only, and each wrong one makes the next try wait longer."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dermedge import UsageError

from . import document

SHORTEST, LONGEST = 6, 12
"""Digits."""

COST, BLOCK, LANES = 2**14, 8, 1
"""scrypt: 16 MB and some 50 ms here, so that a stolen file is slow to search."""

FREE = 2
"""Wrong ones in a row that cost nothing: fingers slip."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds. At the longest, trying all PINs of six digits takes nine years, and an operator locked out has a coffee."""


def acceptable(pin: str) -> bool:
    """Whether it can be a PIN at all."""
    return SHORTEST <= len(pin) <= LONGEST and pin.isascii() and pin.isdigit()


def hashed(pin: str) -> str:
    """What is kept of it, with everything that checking needs."""
    salt = secrets.token_bytes(16)
    return f"scrypt${COST}${BLOCK}${LANES}${salt.hex()}${_key(pin, salt, COST, BLOCK, LANES).hex()}"


def matches(pin: str, kept: str) -> bool:
    try:
        scheme, cost, block, lanes, salt, key = kept.split("$")
        if scheme != "scrypt":
            raise ValueError(scheme)
        found = _key(pin, bytes.fromhex(salt), int(cost), int(block), int(lanes))
        return hmac.compare_digest(found, bytes.fromhex(key))
    except ValueError:
        raise UsageError("the kept PIN is damaged; set another one with `dermedge kiosk --set-pin`") from None


def wait_after(wrong: int) -> float:
    """Seconds until the next try, after so many wrong ones in a row."""
    return 0.0 if wrong <= FREE else min(FIRST_WAIT * 2.0 ** min(wrong - FREE - 1, 30), LONGEST_WAIT)


class Lock:
    """Counts wrong PINs in a file, so that neither another page nor a restart forgets them.

    The count is kept, not the time: a box without a battery does not know what time it is after a power cut. After a
    start the wait begins anew.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._wrong = _count(file)
        self._until = clock() + wait_after(self._wrong)

    @property
    def wait(self) -> float:
        """Seconds until a PIN is looked at again."""
        return max(0.0, self._until - self._clock())

    def opens(self, pin: str, kept: str) -> bool:
        """Takes a moment, by intention: to be called in a thread."""
        if self.wait:
            return False
        # Counted before it is checked: pulling the plug in between gains nothing.
        self._counted(self._wrong + 1)
        self._until = self._clock() + wait_after(self._wrong)
        if not matches(pin, kept):
            return False
        self._counted(0)
        self._until = self._clock()
        return True

    def _counted(self, wrong: int) -> None:
        self._wrong = wrong
        # Where nothing can be written, the count lives as long as this process.
        with suppress(OSError):
            document.save({"wrong": wrong}, self._file)


def _count(file: Path) -> int:
    """A file that cannot be read stands for the longest wait, or damaging it would be a way around."""
    try:
        wrong = document.load(file).get("wrong", 0)
    except (OSError, ValueError):
        wrong = None
    return wrong if isinstance(wrong, int) and wrong >= 0 else 99


def _key(pin: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=2**26, dklen=32)
