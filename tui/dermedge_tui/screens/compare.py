"""Two photographs of the session side by side, the older one on the left."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from dermedge import Lesion

from .. import phrases
from ..drawn import DrawnPage
from ..language import N_, day, n_
from ..session import Entry, Queue, Session
from ..widgets.banner import Banner
from ..widgets.bars import Bars
from ..widgets.picture import Picture, View
from ..widgets.profilebar import ProfileBar

TOP = 3


class ComparePage(DrawnPage):
    """Shows both answers; what has changed is for the person to see."""

    CSS_PATH = "compare.tcss"
    HELP = N_(
        "Look for what has changed: size, shape, border, colour. Zoom shows the most worrying spot of each photograph. "
        "Compare photographs of the same spot, taken from the same distance in the same light."
    )

    def __init__(self, session: Session, queue: Queue, first: int, second: int) -> None:
        super().__init__(session, queue)
        found = [entry for number in (first, second) if (entry := session.get(number))]
        self.pair = sorted(found, key=lambda entry: (entry.taken, entry.number))

    def body(self) -> ComposeResult:
        with Horizontal(id="pair"):
            for at, entry in enumerate(self.pair):
                with Vertical(classes="side"):
                    yield Static(Content(day(entry.taken)), classes="day")
                    yield Banner(id=f"banner-{at}", markup=False)
                    yield ProfileBar(id=f"profile-{at}")
                    yield Picture(id=f"picture-{at}")
                    if (lesion := _worst(entry)) and not lesion.scores.nothing:
                        rows = [
                            (phrases.condition(id, entry.names.get(id, id)), p)
                            for id, p in lesion.scores.ranked()[:TOP]
                        ]
                        yield Bars(rows, plain=bool(getattr(self.app, "plain", False)))
        yield Static(id="between", markup=False)

    def filled(self) -> None:
        for at, entry in enumerate(self.pair):
            self.query_one(f"#banner-{at}", Banner).tell(entry.scan.verdict.level, brief=True)
            self.query_one(f"#profile-{at}", ProfileBar).tell(entry.scan.profile)
        if len(self.pair) == 2:
            days = (self.pair[1].taken - self.pair[0].taken).days
            between = n_("{count} day between them", "{count} days between them", days).format(count=days)
            self.query_one("#between", Static).update(between)
        self.draw()

    def draw(self) -> None:
        for at, entry in enumerate(self.pair):
            lesion = _worst(entry)
            part = lesion.saliency.region if self.zoomed and lesion and lesion.saliency else None
            self.query_one(f"#picture-{at}", Picture).show(View(entry.scan, part, self.boxes, self.heat))


def _worst(entry: Entry) -> Lesion | None:
    return entry.scan.lesions[entry.worst] if entry.scan.lesions else None
