"""The session's photographs by the day they were taken, walked with the arrow keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from .. import phrases
from ..language import N_, _, day, n_
from ..messages import PageAsked
from ..page import Page
from ..session import Entry, Queue, Session
from ..widgets.card import WIDTH, Card
from ..widgets.profilebar import ProfileBar


class TimelinePage(Page):
    """As many cards as fit, the current one among them."""

    CSS_PATH = "timeline.tcss"
    HELP = N_(
        "Left and right walk through the photographs, from the oldest to the newest. To compare two, press C on the "
        "first and C on the second. A question mark after a date means that the photograph does not say when it was "
        "taken: correct it with D."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", N_("Open")),
        Binding("left", "move(-1)", N_("Earlier")),
        Binding("right", "move(1)", N_("Later")),
        Binding("home", "move(-1000)", show=False),
        Binding("end", "move(1000)", show=False),
        Binding("c", "compare", N_("Compare")),
        Binding("d", "date", N_("Correct the date")),
        Binding("delete", "forget", N_("Forget")),
        Binding("F", "forget_all", N_("Forget all"), key_display="F"),
    ]

    def __init__(self, session: Session, queue: Queue, number: int) -> None:
        super().__init__(session, queue)
        self.number = number
        self.first: int | None = None
        """The photograph that another one is to be compared with."""
        self._start = 0
        self._shown: tuple[Entry, ...] = ()

    @property
    def entry(self) -> Entry | None:
        entries = self.session.entries
        return self.session.get(self.number) or (entries[-1] if entries else None)

    def body(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield ProfileBar()
        yield Horizontal(id="cards")
        yield Static(id="about", markup=False)

    def filled(self) -> None:
        self._shown = ()
        self._fill()

    def on_resize(self) -> None:
        self._fill()

    def watch_session(self) -> None:
        if not self.session.entries:
            self.post_message(PageAsked("home"))
        elif self.is_mounted:
            self._fill()

    def _fill(self) -> None:
        entry = self.entry
        if entry is None or not self.query("#cards"):
            return
        self.number = entry.number
        entries = self.session.entries
        fitting = max(1, self.size.width // WIDTH)
        at = entries.index(entry)
        self._start = max(0, min(max(min(self._start, at), at - fitting + 1), len(entries) - fitting))
        shown = entries[self._start : self._start + fitting]
        if shown != self._shown:
            self._shown = shown
            self._mount(shown)
        for card in self.query(Card):
            card.set_class(card.entry.number == self.number, "-current")
        count = n_("{place} of {count} photograph", "{place} of {count} photographs", len(entries))
        self.query_one("#title", Static).update(count.format(place=at + 1, count=len(entries)))
        self.query_one(ProfileBar).tell(entry.scan.profile)
        self.query_one("#about", Static).update(self._about(entry))
        self.refresh_bindings()

    def _mount(self, shown: tuple[Entry, ...]) -> None:
        cards = self.query_one("#cards")
        plain = bool(getattr(self.app, "plain", False))
        cards.remove_children()
        cards.mount_all(Card(e, current=e.number == self.number, plain=plain) for e in shown)

    def _about(self, entry: Entry) -> Content:
        name = phrases.printable(entry.scan.photo.name.rpartition("/")[2])
        lines = [f"{name}, {_dated(entry)}", phrases.prose(entry.scan.verdict.headline)]
        if self.first is not None and (first := self.session.get(self.first)):
            told = _("To be compared with the one of {day}: choose the other and press C.")
            lines.append(told.format(day=day(first.taken)))
        return Content("\n".join(lines))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return len(self.session.entries) > 1 if action in ("compare", "move") else True

    def on_card_picked(self, message: Card.Picked) -> None:
        message.stop()
        if message.number == self.number:
            self.action_open()
        else:
            self.number = message.number
            self._fill()

    def action_open(self) -> None:
        self.post_message(PageAsked("result", self.number))

    def action_move(self, step: int) -> None:
        entries = self.session.entries
        entry = self.entry
        if entry:
            self.number = entries[min(max(entries.index(entry) + step, 0), len(entries) - 1)].number
            self._fill()

    def action_compare(self) -> None:
        first, self.first = self.first, self.number
        if first is not None and first != self.number and self.session.get(first):
            self.first = None
            self.post_message(PageAsked("compare", first, self.number))
        self._fill()

    def action_date(self) -> None:
        self.post_message(PageAsked("date", self.number))

    def action_forget(self) -> None:
        self.post_message(PageAsked("forget", self.number))

    def action_forget_all(self) -> None:
        self.post_message(PageAsked("forget", 0))


def _dated(entry: Entry) -> str:
    told = {
        "camera": _("taken {day}, says the camera"),
        "hand": _("taken {day}, corrected by hand"),
        "unknown": _("day unknown, scanned {day}"),
    }
    return told[entry.dated].format(day=day(entry.taken))
