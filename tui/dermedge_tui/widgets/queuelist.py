"""The queue: how far it is, what it is at, and what could not be answered."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import ProgressBar, Static

from .. import phrases
from ..language import _, n_
from ..session import Queue, QueueItem

SHOWN = 20
"""Lines; what waits behind them is counted."""
OFTEN = 0.1
"""Seconds between two looks at a queue that moves."""


class QueueList(VerticalScroll, can_focus=False):
    """Hidden while there is nothing to tell."""

    DEFAULT_CSS = """
    QueueList { height: 1fr; padding: 0 1; }
    QueueList Static { height: auto; }
    QueueList ProgressBar { width: 1fr; }
    QueueList Bar { width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._queue = Queue()
        self._waiting = False

    def compose(self) -> ComposeResult:
        yield Static(id="queue-counts", markup=False)
        yield ProgressBar(show_eta=False, id="queue-progress")
        yield Static(id="queue-items", markup=False)

    def tell(self, queue: Queue) -> None:
        """At once when all is done; else a few times a second, however fast photographs fail."""
        self._queue = queue
        if not queue.busy:
            self._show()
        elif not self._waiting:
            self._waiting = True
            self.set_timer(OFTEN, self._show)

    def _show(self) -> None:
        self._waiting = False
        if not self.children:
            return
        queue = self._queue
        ended = len(queue.items) - len(queue.having("waiting", "running"))
        total = len(queue.items)
        counts = n_("{done} of {count} photograph", "{done} of {count} photographs", total)
        self.query_one("#queue-counts", Static).update(counts.format(done=ended, count=total))
        self.query_one("#queue-progress", ProgressBar).update(total=max(total, 1), progress=ended)
        # What failed comes first: it needs the person.
        order = [*queue.having("failed"), *queue.having("running"), *queue.having("waiting")]
        lines = [_line(item) for item in order[:SHOWN]]
        if len(order) > SHOWN:
            lines.append(Content("..."))
        if cancelled := len(queue.having("cancelled")):
            lines.append(Content(_("{count} not scanned: cancelled").format(count=cancelled)))
        self.query_one("#queue-items", Static).update(Content("\n").join(lines))


def _line(item: QueueItem) -> Content:
    name = phrases.printable(item.job.name)
    if item.error is not None:
        return Content.assemble((f"✗ {name}: ", "bold $error"), phrases.error(item.error))
    if item.state == "running":
        return Content.assemble(("» ", "bold $accent"), f"{name}: {_('being judged')}")
    return Content.assemble("  ", (f"{name}: {_('waiting')}", "$secondary"))
