"""How much the kiosk is used: totals per day, and nothing about anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from dermedge import Level

from . import document

Event = Literal["sessions", "photographs", "wrong PINs"]
Fault = Literal["camera", "photograph", "page", "pack"]
Wipe = Literal["done", "idle", "fault"]

KEPT = 400
"""Days."""


class Counts:
    """Written at every change: a kiosk is switched off by its plug."""

    def __init__(self, file: Path, today: Callable[[], date] = date.today) -> None:
        self._file = file
        self._today = today
        self.problem = ""
        """Why they are not kept, or begin anew."""
        try:
            self._days = {day: Counter(_numbers(totals)) for day, totals in document.load(file).items()}
        except (OSError, ValueError) as error:
            self._days = {}
            self.problem = f"{file.name} could not be read ({type(error).__name__}); counting begins anew"

    def happened(self, event: Event) -> None:
        self._add(event)

    def answered(self, level: Level) -> None:
        self._add("photographs", f"level {level}")

    def failed(self, fault: Fault) -> None:
        self._add(f"error {fault}")

    def wiped(self, wipe: Wipe) -> None:
        self._add(f"wipe {wipe}")

    def of(self, days: int) -> Counter[str]:
        """The totals of so many days up to today."""
        since = (self._today() - timedelta(days=days - 1)).isoformat()
        return sum((totals for day, totals in self._days.items() if day >= since), Counter())

    def _add(self, *names: str) -> None:
        today = self._today().isoformat()
        self._days.setdefault(today, Counter()).update(names)
        for day in sorted(self._days)[:-KEPT]:
            del self._days[day]
        try:
            document.save({day: dict(totals) for day, totals in self._days.items()}, self._file)
            self.problem = ""
        except OSError as error:
            self.problem = f"{self._file.name} cannot be written ({error.strerror})"


def _numbers(totals: object) -> dict[str, int]:
    if not isinstance(totals, dict) or not all(isinstance(number, int) for number in totals.values()):
        raise ValueError("not totals")
    return totals
