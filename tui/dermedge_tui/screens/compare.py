"""Two photographs of the session side by side, the older one on the left."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from dermedge import Lesion

from .. import phrases
from ..language import N_, day, n_
from ..page import Page
from ..session import Entry, Queue, Session
from ..widgets.banner import Banner
from ..widgets.bars import Bars
from ..widgets.picture import Picture, View

TOP = 3


class ComparePage(Page):
    """Shows both answers; what has changed is for the person to see."""

    CSS_PATH = "compare.tcss"
    HELP = N_(
        "Look for what has changed: size, shape, border, colour. Zoom shows the most worrying spot of each photograph. "
        "Compare photographs of the same spot, taken from the same distance in the same light."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "zoom", N_("Zoom")),
        Binding("b", "boxes", N_("Boxes")),
        Binding("h", "heat", N_("Heat map")),
    ]

    def __init__(self, session: Session, queue: Queue, first: int, second: int) -> None:
        super().__init__(session, queue)
        found = [entry for number in (first, second) if (entry := session.get(number))]
        self.pair = sorted(found, key=lambda entry: (entry.taken, entry.number))
        self.zoomed, self.boxes, self.heat = False, True, False

    def body(self) -> ComposeResult:
        with Horizontal(id="pair"):
            for at, entry in enumerate(self.pair):
                with Vertical(classes="side"):
                    yield Static(Content(day(entry.taken)), classes="day")
                    yield Banner(id=f"banner-{at}", markup=False)
                    yield Picture(id=f"picture-{at}")
                    if (lesion := _worst(entry)) and not lesion.scores.rejected:
                        rows = [
                            (phrases.condition(id, entry.names.get(id, id)), p)
                            for id, p in lesion.scores.ranked()[:TOP]
                        ]
                        yield Bars(rows, plain=bool(getattr(self.app, "plain", False)))
        yield Static(id="between", markup=False)

    def filled(self) -> None:
        for at, entry in enumerate(self.pair):
            self.query_one(f"#banner-{at}", Banner).tell(entry.scan.verdict.level, brief=True)
        if len(self.pair) == 2:
            days = (self.pair[1].taken - self.pair[0].taken).days
            between = n_("{count} day between them", "{count} days between them", days).format(count=days)
            self.query_one("#between", Static).update(between)
        self._draw()

    def _draw(self) -> None:
        for at, entry in enumerate(self.pair):
            lesion = _worst(entry)
            part = lesion.saliency.region if self.zoomed and lesion and lesion.saliency else None
            self.query_one(f"#picture-{at}", Picture).show(View(entry.scan, part, self.boxes, self.heat))

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self._draw()

    def action_boxes(self) -> None:
        self.boxes = not self.boxes
        self._draw()

    def action_heat(self) -> None:
        self.heat = not self.heat
        self._draw()


def _worst(entry: Entry) -> Lesion | None:
    return entry.scan.lesions[entry.worst] if entry.scan.lesions else None
