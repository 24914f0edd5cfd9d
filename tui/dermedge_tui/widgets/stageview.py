"""One step of a scan as it ran, to be shown by a `Picture`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dermedge import Stage

from .picture import Label


@dataclass(frozen=True, slots=True, eq=False)
class StageView:
    """The proposals of the detector are numbered as in the list beside it; the sure ones stand out."""

    stage: Stage

    def same(self, other: object) -> bool:
        return isinstance(other, StageView) and other.stage is self.stage

    def picture(self, size: tuple[int, int]) -> Any:
        return self.stage.picture(size)

    def labels(self) -> list[Label]:
        places = [*enumerate(self.stage.places(), 1)]
        # The sure ones last: they lie on top.
        return [Label(x, y, str(number), number <= self.stage.above) for number, (x, y) in reversed(places)]
