"""The kiosk: one person after the other, from the invitation to the take-away, and no way out without the PIN."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.reactive import reactive
from textual.screen import Screen

from .. import charset, language, phrases
from .. import messages as shared
from ..aiming import Failed
from ..scanning import Scanning
from ..session import Job, Queue, Session, Shot
from ..themes import THEMES
from ..threads import forgetting
from . import messages
from .corner import Corner
from .counts import Wipe
from .heartbeat import EVERY
from .idle import Idle
from .opening import AGAIN_AFTER, Opening
from .operating import Operating
from .page import KioskPage
from .pages import Pages
from .screens.again import AgainPage
from .screens.attract import AttractPage
from .screens.countdown import CountdownPage
from .screens.waiting import WaitingPage
from .station import Station

TICK = 0.25
"""Seconds between two looks at the clock."""
DONE_BY_A_PERSON = (events.Key, events.MouseDown, events.MouseScrollDown, events.MouseScrollUp)
"""A pointer that drifts on a shaking table is nobody."""


class KioskApp(App[int], inherit_bindings=False):
    """What is not bound here does nothing: the toolkit's own keys for quitting and copying are not inherited."""

    CSS_PATH = "app.tcss"
    TITLE = "dermedge"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+o", "call_operator", show=False, priority=True)]

    session: reactive[Session] = reactive(Session(), init=False)

    def __init__(self, station: Station, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.station = station
        self.queue = Queue()
        self.fault: Exception | None = None
        """What ended this application, if it was not the operator."""
        self._idle = Idle(station.settings.idle, clock)
        self._corner = Corner()
        self._scanning = Scanning(station.model, self.post_message)
        self._pages = Pages(station)
        self._opening = Opening(self)
        self._operating = Operating(self)
        self._next = 1
        self._begun = False
        for each in THEMES.values():
            self.register_theme(each)
        self.theme = station.settings.theme

    @property
    def plain(self) -> bool:
        """Whether the terminal has letters only, as consoles do."""
        return self.theme == "console"

    def get_line_filters(self) -> Sequence[LineFilter]:
        return charset.filters(super().get_line_filters(), self.plain)

    def on_mount(self) -> None:
        forgetting(self)
        if not self.is_headless:
            # Here, for the terminal's driver has set handlers of its own by now.
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, lambda *_: self.exit())
        self.push_screen(AttractPage())
        self.set_interval(TICK, self._tick)
        self.set_interval(EVERY, self.station.beat)
        self.station.beat()
        self.set_interval(AGAIN_AFTER, self._opening.again)
        self._opening.begin()

    # Whoever is there.

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Paste):
            return
        if isinstance(event, DONE_BY_A_PERSON):
            self._idle.touched()
        if isinstance(event, events.MouseDown) and self._corner.knocked(event.screen_x, event.screen_y):
            self._operating.call()
        await super().on_event(event)

    async def _tick(self) -> None:
        left = self._idle.left
        if isinstance(self.screen, AttractPage):
            return
        if left is None:
            if isinstance(self.screen, CountdownPage):
                self.pop_screen()
        elif left == 0:
            await self._wipe("idle")
        elif isinstance(self.screen, CountdownPage):
            self.screen.tell(left)
        else:
            self.push_screen(CountdownPage(left))

    async def _wipe(self, why: Wipe) -> None:
        """Nothing of the person's is left: not in the session, not on a page, not in a job under way."""
        self._scanning.cancel()
        self.session, self.queue = Session(), Queue()
        if self._begun:
            self._begun = False
            self.station.counts.wiped(why)
        while len(self.screen_stack) > 2:
            await self.pop_screen()
        language.choose(language.of_environment())
        self._mouse_down_widget = None  # the button that was touched last, and with it its page
        gc.collect()

    async def _go(self, page: Screen[None]) -> None:
        """To a page from which no way leads back; the invitation below it stays out of sight."""
        if self._operating.inside:
            return  # whoever leaves that page begins anew
        while len(self.screen_stack) > 3:
            await self.pop_screen()
        await (self.switch_screen(page) if len(self.screen_stack) == 3 else self.push_screen(page))

    def watch_session(self, session: Session) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, KioskPage):
                screen.session = session

    # The way of a person through the pages.

    def on_begun(self) -> None:
        if not self._begun:
            self._begun = True
            self.station.counts.happened("sessions")
            self._push("languages")

    def on_language_chosen(self, message: shared.LanguageChosen) -> None:
        language.choose(message.code)

    def on_agreed(self) -> None:
        self._push(self._way_in)

    @property
    def _way_in(self) -> str:
        return "ways" if self.station.settings.stick else "camera"

    async def on_page_asked(self, message: shared.PageAsked) -> None:
        if message.name == "back":
            if len(self.screen_stack) > 2:
                await self.pop_screen()
        elif message.name in ("health", "newpin"):
            self._operating.show(message.name)
        else:
            self._push(message.name, message.number, message.other)

    def _push(self, name: str, number: int = 0, at: int = 0) -> None:
        """Not for a touch that arrives late: after the session has ended, or twice."""
        page = self._pages.make(name, self.session, number, at)
        if self._begun and type(page) is not type(self.screen):
            self.push_screen(page)

    def on_another_photo(self) -> None:
        self._push(self._way_in)

    async def on_finished(self) -> None:
        await self._wipe("done")

    # Photographs and their answers.

    async def on_photo_taken(self, message: shared.PhotoTaken) -> None:
        await self._judge(message.shot)

    async def on_photos_given(self, message: shared.PhotosGiven) -> None:
        await self._judge(message.paths[0])

    async def _judge(self, source: Shot | str) -> None:
        if self._begun:
            self._submit(Job(self._next, source))
            self._next += 1
            await self._go(WaitingPage())

    def on_rescan_asked(self, message: shared.RescanAsked) -> None:
        if entry := self.session.get(message.number):
            self._submit(Job(entry.number, entry.source, message.flags, before=entry))

    def _submit(self, job: Job) -> None:
        self.queue = self.queue.added([job])
        if self._scanning.add([job]):
            self.run_worker(self._scanning.run, thread=True, group="scan")

    async def on_job_done(self, message: shared.JobDone) -> None:
        job = message.job
        if not self.queue.holds(job):
            return
        self.queue = self.queue.marked(job, "done")
        # One at a time: the photograph before is forgotten.
        self.session = Session((message.entry,))
        self._idle.touched()
        if job.before is None:
            self.station.counts.answered(message.entry.scan.verdict.level)
            await self._go(self._pages.make("result", self.session, job.number))

    async def on_job_failed(self, message: shared.JobFailed) -> None:
        job = message.job
        if not self.queue.holds(job):
            return
        self.queue = self.queue.marked(job, "failed", message.error)
        self._idle.touched()
        if message.fatal:
            self._opening.ended(message.error)
            await self._wipe("fault")
            return
        self.station.failed("photograph", message.error)
        why = phrases.error(message.error)
        if job.before is None:
            await self._go(AgainPage(why))
        else:
            self.notify(why, severity="error", markup=False)

    # The camera's page retries by itself; the operator is told.

    def on_opened(self) -> None:
        self.station.back("camera")

    def on_failed(self, message: Failed) -> None:
        self.station.lost("camera", message.error)

    # The operator.

    def action_call_operator(self) -> None:
        self._operating.call()

    def on_pin_entered(self, message: messages.PinEntered) -> None:
        self._operating.try_pin(message.pin)

    def on_pin_changed(self, message: messages.PinChanged) -> None:
        self._operating.change_pin(message.pin)

    def on_examination_asked(self) -> None:
        self._operating.examine()

    def on_leave_asked(self) -> None:
        self._operating.leave()

    # What nobody foresaw.

    def _handle_exception(self, error: Exception) -> None:
        """Ends this application; another one takes over. The toolkit's report would print what its variables hold."""
        self.fault = self.fault or error
        super()._handle_exception(error)
        self._exit_renderables.clear()
