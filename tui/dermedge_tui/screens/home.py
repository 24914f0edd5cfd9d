"""Ways in: a folder's photographs, a typed or dropped path, and how far the queue is."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Paste
from textual.widgets import Input, Static

from ..language import N_, _, n_
from ..messages import PageAsked, QueueCancelled, TextPasted
from ..page import Page
from ..session import Queue, Session
from ..widgets.browser import Browser
from ..widgets.queuelist import QueueList


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
        "Or drop files on this window, or type a path."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "path", N_("Type a path"), key_display="/"),
        Binding("t", "timeline", N_("Timeline")),
        Binding("c", "cancel", N_("Cancel the queue")),
        Binding("f2", "app.page('languages')", N_("Language")),
        Binding("escape", "browse", N_("Back"), show=False),
        Binding("q", "app.quit", N_("Quit")),
    ]

    def __init__(self, session: Session, queue: Queue, folder: str) -> None:
        super().__init__(session, queue)
        self._folder = folder

    def body(self) -> ComposeResult:
        yield Static(Content(_("A screening aid, not a diagnosis. It can miss things.")), id="reminder")
        yield PathInput(placeholder=_("Drop photographs here, or type a path and press Enter"), id="path")
        with Horizontal(id="middle"):
            yield Browser(self._folder, id="browser")
            yield QueueList(id="queue")
        yield Static(id="summary", markup=False)

    def filled(self) -> None:
        if self.focused is None:
            self.query_one(Browser).focus()
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
        return True

    async def recompose(self) -> None:
        self._folder = self.query_one(Browser).folder
        await super().recompose()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        self.post_message(TextPasted(message.value))
        message.input.clear()
        self.query_one(Browser).focus()

    def action_path(self) -> None:
        self.query_one("#path").focus()

    def action_browse(self) -> None:
        self.query_one(Browser).focus()

    def action_timeline(self) -> None:
        self.post_message(PageAsked("timeline"))

    def action_cancel(self) -> None:
        self.post_message(QueueCancelled())
