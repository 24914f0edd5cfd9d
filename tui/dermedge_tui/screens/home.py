"""Ways in: a folder's photographs, a typed or dropped path, and how far the queue is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Paste
from textual.message import Message
from textual.widgets import Input, Static

from dermedge import UsageError

from .. import clipboard
from ..language import N_, _, n_
from ..messages import PageAsked, PhotosGiven, PhotoTaken, QueueCancelled, TextPasted
from ..page import Page
from ..paths import photographs_below
from ..phrases import printable
from ..session import Queue, Session
from ..watching import Stick, Sticks, Watched
from ..widgets.browser import Browser
from ..widgets.queuelist import QueueList

EVERY = 1.0
"""Seconds between two looks at what has appeared by itself."""


class PathInput(Input):
    """Hands a drop on instead of putting it into its one line."""

    def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        self.post_message(TextPasted(event.text))


class HomePage(Page):
    """Enter scans the newest photograph of the folder: one key from the start to a finding."""

    CSS_PATH = "home.tcss"
    HELP = N_(
        "Choose a photograph in the list and press Enter. Mark several with Space first, or scan the whole folder. "
        "Or drop files on this window, type a path, take a photograph with a camera, or paste a picture that was "
        "copied. In a folder that is watched, new photographs are scanned by themselves."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "path", N_("Type a path"), key_display="/"),
        Binding("k", "app.page('camera')", N_("Camera")),
        Binding("v", "clipboard", N_("Clipboard")),
        Binding("u", "stick", N_("Stick")),
        Binding("w", "watch", N_("Watch this folder"), show=False),
        Binding("t", "timeline", N_("Timeline")),
        Binding("c", "cancel", N_("Cancel the queue")),
        Binding("f2", "app.page('languages')", N_("Language")),
        Binding("escape", "browse", N_("Back"), show=False),
        Binding("q", "app.quit", N_("Quit")),
    ]

    @dataclass
    class Looked(Message):
        """What has appeared since the last time, and what has gone."""

        photographs: list[str]
        lost: bool
        came: Stick | None
        went: list[str]

    def __init__(self, session: Session, queue: Queue, folder: str, watch: str = "") -> None:
        super().__init__(session, queue)
        self._start = folder
        self._folder, self._deep = folder, False
        self._watched = Watched(watch) if watch else None
        self._lost = False
        """Whether the watched folder is gone."""
        self._sticks = Sticks()
        self._stick: Stick | None = None
        self._looking = False

    def body(self) -> ComposeResult:
        yield Static(Content(_("A screening aid, not a diagnosis. It can miss things.")), id="reminder")
        yield PathInput(placeholder=_("Drop photographs here, or type a path and press Enter"), id="path")
        yield Static(id="arrivals", markup=False)
        with Horizontal(id="middle"):
            yield Browser(self._folder, deep=self._deep, id="browser")
            yield QueueList(id="queue")
        yield Static(id="summary", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(EVERY, self._look)
        self._look()

    def filled(self) -> None:
        if self.focused is None:
            self.query_one(Browser).focus()
        self._tell_arrivals()
        self.watch_queue()
        self.watch_session()

    def watch_queue(self) -> None:
        if not self.query("#queue"):
            return
        queue = self.query_one(QueueList)
        queue.display = bool(self.queue.items)
        queue.tell(self.queue)
        self.refresh_bindings()

    def watch_session(self) -> None:
        count = len(self.session.entries)
        text = n_(
            "{count} photograph in this session; it is forgotten when you leave.",
            "{count} photographs in this session; they are forgotten when you leave.",
            count,
        )
        for summary in self.query("#summary").results(Static):
            summary.update(text.format(count=count) if count else "")
            summary.display = bool(count)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "timeline":
            return bool(self.session.entries)
        if action == "cancel":
            return bool(self.queue.having("waiting"))
        if action == "stick":
            return self._stick is not None
        return True

    async def recompose(self) -> None:
        browser = self.query_one(Browser)
        self._folder, self._deep = browser.folder, browser.deep
        await super().recompose()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        self.post_message(TextPasted(message.value))
        message.input.clear()
        self.query_one(Browser).focus()

    # What appears by itself.

    def _look(self) -> None:
        """In a thread: a stick or a network folder may take its time."""
        if not self._looking:
            self._looking = True
            self.run_worker(partial(self._look_around, self._watched), thread=True, group="watch")

    def _look_around(self, watched: Watched | None) -> None:
        """In the thread."""
        photographs, lost = [], False
        try:
            photographs = watched.look() if watched else []
        except OSError:
            lost = True
        came, went = self._sticks.look()
        sticks = [Stick(path, len(photographs_below(path))) for path in came]
        self.post_message(self.Looked(photographs, lost, next((s for s in sticks if s.count), None), went))

    def on_home_page_looked(self, message: Looked) -> None:
        self._looking = False
        if message.photographs:
            self.post_message(PhotosGiven(message.photographs))
            self.query_one(Browser).read_again()
        if message.came:
            self._stick = message.came
        for path in message.went:
            self._taken_out(path)
        self._lost = message.lost
        self._tell_arrivals()

    def _taken_out(self, path: str) -> None:
        if self._stick and self._stick.path == path:
            self._stick = None
        browser = self.query_one(Browser)
        if f"{browser.folder}/".startswith(f"{path}/"):
            self.notify(_("The stick was taken out."), severity="warning", markup=False)
            browser.open(self._start)

    def _tell_arrivals(self) -> None:
        lines = []
        if stick := self._stick:
            told = n_(
                "The stick {name} with {count} photograph is there: press u.",
                "The stick {name} with {count} photographs is there: press u.",
                stick.count,
            )
            lines.append(told.format(name=printable(stick.name), count=stick.count))
        if self._watched:
            told = _("Not there any more: {folder}") if self._lost else _("New photographs are scanned: {folder}")
            lines.append(told.format(folder=printable(self._watched.path)))
        for arrivals in self.query("#arrivals").results(Static):
            arrivals.update(Content("\n".join(lines)))
            arrivals.display = bool(lines)
        self.refresh_bindings()

    def action_stick(self) -> None:
        """Its photographs in the list, from all its folders: the person chooses."""
        if self._stick:
            browser = self.query_one(Browser)
            browser.open(self._stick.path, deep=True)
            browser.focus()
            self._stick = None
            self._tell_arrivals()

    def action_watch(self) -> None:
        folder = self.query_one(Browser).folder
        stop = self._watched is not None and self._watched.path == folder
        self._watched, self._lost = (None if stop else Watched(folder)), False
        self._tell_arrivals()

    # The clipboard.

    def action_clipboard(self) -> None:
        self.run_worker(self._paste, thread=True, exclusive=True, group="clipboard")

    def _paste(self) -> None:
        """In a thread: the program that holds the picture may take its time."""
        try:
            self.post_message(PhotoTaken(clipboard.picture()))
        except UsageError as error:
            self.notify(str(error), severity="error", markup=False, timeout=10)

    def action_path(self) -> None:
        self.query_one("#path").focus()

    def action_browse(self) -> None:
        self.query_one(Browser).focus()

    def action_timeline(self) -> None:
        self.post_message(PageAsked("timeline"))

    def action_cancel(self) -> None:
        self.post_message(QueueCancelled())
