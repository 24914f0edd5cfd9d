"""The application: keeps the session, hands it to the pages, and does what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.reactive import reactive
from textual.screen import Screen

from dermedge import UsageError

from . import language, messages, paths, phrases, preferences
from .language import LANGUAGES, N_, _
from .page import Page
from .pages import ONCE, Pages
from .preferences import NOTICE, Preferences
from .scanning import Scanning
from .screens.home import HomePage
from .screens.result import ResultPage
from .screens.timeline import TimelinePage
from .screens.welcome import WelcomePage
from .session import MOST_PHOTOS, Job, Queue, Session
from .themes import THEMES

if TYPE_CHECKING:
    from dermedge import Scanner

class DermedgeApp(App[int]):
    """Pages never touch the session: they send messages, and get the new value."""

    CSS_PATH = "app.tcss"
    TITLE = "dermedge"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", N_("Quit"), show=False, priority=True),
        Binding("f1", "page('help')", N_("Help"), show=False),
        Binding("f2", "page('languages')", N_("Language"), show=False),
        Binding("f3", "next_theme", N_("Colours"), show=False),
    ]

    session: reactive[Session] = reactive(Session(), init=False)
    queue: reactive[Queue] = reactive(Queue(), init=False)

    def __init__(
        self,
        open_scanner: Callable[[], Scanner],
        *,
        given: list[str] | None = None,
        folder: str = ".",
        settings: Path | None = None,
        theme: str = "dark",
    ) -> None:
        super().__init__()
        self._given = given or []
        self._folder = str(Path(folder).absolute())
        self._settings = settings or preferences.location()
        self._remembered: Preferences = preferences.load(self._settings)
        self._scanning = Scanning(open_scanner, self.post_message)
        self._pages_by_name = Pages(lambda: self.screen, lambda: self._scanning.scanner)
        self._next = 1
        self._awaited: int | None = None
        """The photograph whose result opens by itself."""
        for each in THEMES.values():
            self.register_theme(each)
        self.theme = theme

    @property
    def plain(self) -> bool:
        """Whether the terminal has letters only, as consoles do."""
        return self.theme == "console"

    def on_mount(self) -> None:
        self.push_screen(HomePage(self.session, self.queue, self._folder))
        if self._remembered.agreed < NOTICE:
            self.push_screen(WelcomePage(self.session, self.queue))
        if self._given:
            self._gather(self._given)

    # The session and the queue go to every page.

    def watch_session(self, session: Session) -> None:
        for page in self._pages():
            page.session = session

    def watch_queue(self, queue: Queue) -> None:
        for page in self._pages():
            page.queue = queue

    def _pages(self) -> list[Page]:
        return [screen for screen in self.screen_stack if isinstance(screen, Page)]

    # Photographs in.

    def on_text_pasted(self, message: messages.TextPasted) -> None:
        try:
            found = paths.paths_in(message.text)
        except UsageError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if found:
            self._gather(found)

    def on_photos_given(self, message: messages.PhotosGiven) -> None:
        self._gather(message.paths)

    def _gather(self, given: list[str]) -> None:
        """Folders are looked into in a thread: one of 5,000 photographs takes a while."""
        room = MOST_PHOTOS - len(self.session.entries) - len(self.queue.having("waiting", "running"))
        self.run_worker(partial(self._look, given, max(0, room)), thread=True, group="gather")

    def _look(self, given: list[str], room: int) -> None:
        """In the thread."""
        found = paths.photographs(given)
        self.post_message(messages.PhotosFound(found[:room], max(0, len(found) - room)))

    def on_photos_found(self, message: messages.PhotosFound) -> None:
        if message.left_out:
            told = _("A session holds {most} photographs; {count} were left out.")
            told = told.format(most=MOST_PHOTOS, count=message.left_out)
            self.notify(told, severity="warning", markup=False, timeout=20)
        jobs = [Job(self._next + i, source) for i, source in enumerate(message.paths)]
        if jobs:
            self._next += len(jobs)
            self._awaited = self._awaited or jobs[0].number
            self._submit(jobs)

    def _submit(self, jobs: list[Job]) -> None:
        self.queue = self.queue.added(jobs)
        if self._scanning.add(jobs):
            self.run_worker(self._scanning.run, thread=True, group="scan")

    def on_queue_cancelled(self) -> None:
        self._scanning.cancel()
        self.queue = self.queue.cancelled()

    # What the scanning thread reports.

    def on_job_started(self, message: messages.JobStarted) -> None:
        self.queue = self.queue.marked(message.job.number, "running")

    def on_job_done(self, message: messages.JobDone) -> None:
        job = message.job
        self.queue = self.queue.marked(job.number, "done")
        if job.before is not None and self.session.get(job.number) is None:
            return  # forgotten meanwhile
        self.session = self.session.with_entry(message.entry)
        if self._awaited == job.number:
            self._open_awaited()

    def _open_awaited(self) -> None:
        """Unless the person is busy elsewhere; only the first page is waited for."""
        if self._awaited is not None and self.session.get(self._awaited) and not isinstance(self.screen, WelcomePage):
            number, self._awaited = self._awaited, None
            if isinstance(self.screen, HomePage | ResultPage):
                self._open("result", number)

    def on_job_failed(self, message: messages.JobFailed) -> None:
        self.queue = self.queue.marked(message.job.number, "failed", message.error)
        if message.fatal:
            self.queue = self.queue.cancelled()
        if self._awaited == message.job.number:
            self._awaited = next((item.job.number for item in self.queue.having("waiting", "running")), None)
        if message.fatal or not isinstance(self.screen, HomePage):
            self.notify(phrases.error(message.error), severity="error", markup=False, timeout=10)

    # What the pages ask for.

    def on_rescan_asked(self, message: messages.RescanAsked) -> None:
        entry = self.session.get(message.number)
        if entry:
            lesions = entry.scan.lesions
            mask = message.mask or any(lesion.mask is not None for lesion in lesions)
            whole = message.whole or any(lesion.by_hand for lesion in lesions)
            self._submit([Job(entry.number, entry.source, message.flags, mask, whole, entry)])

    def on_date_corrected(self, message: messages.DateCorrected) -> None:
        if entry := self.session.get(message.number):
            self.session = self.session.with_entry(replace(entry, taken=message.taken, dated="hand"))

    def on_entry_forgotten(self, message: messages.EntryForgotten) -> None:
        if message.number:
            self.session = self.session.without(message.number)
        else:
            self.on_queue_cancelled()
            self.session, self.queue = Session(), Queue()

    def on_agreed(self) -> None:
        self._remember(agreed=NOTICE)
        self._back()
        self._open_awaited()

    def on_language_chosen(self, message: messages.LanguageChosen) -> None:
        language.choose(message.code)
        self._remember(language=message.code)
        for page in self._pages():
            page.refresh(recompose=True)

    def on_page_asked(self, message: messages.PageAsked) -> None:
        self._open(message.name, message.number, message.other)

    def action_page(self, name: str) -> None:
        self._open(name)

    def action_press(self, key: str) -> None:
        """A touch on the key bar is the key itself."""
        self.simulate_key(key)

    def action_next_theme(self) -> None:
        names = list(THEMES)
        self._use_theme(names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0])

    def _use_theme(self, name: str) -> None:
        self.theme = name
        self._remember(theme=name)
        for page in self._pages():
            page.refresh(recompose=True)

    def _open(self, name: str, number: int = 0, other: int = 0) -> None:
        if name == "back":
            self._back()
            return
        if name == "home":
            while len(self.screen_stack) > 2:
                self.pop_screen()
            return
        page = self._pages_by_name.make(name, self.session, self.queue, number, other)
        if name in ONCE and isinstance(self.screen, type(page)):
            return
        if name == "result" and isinstance(self.screen, ResultPage | TimelinePage):
            self.switch_screen(page)
        else:
            self.push_screen(page)

    def _back(self) -> None:
        # The first page stays: leaving it is quitting, which has a key of its own.
        if len(self.screen_stack) > 2:
            self.pop_screen()

    def _remember(self, **changes: Any) -> None:
        self._remembered = replace(self._remembered, **changes)
        try:
            preferences.save(self._remembered, self._settings)
        except OSError as error:
            told = _("These settings cannot be kept for the next time: {reason}")
            self.notify(told.format(reason=error.strerror), severity="warning", markup=False)

    # The command palette.

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=_("What do you want to do?"), id="--command-palette"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield SystemCommand(_("Help"), _("What this page is for, and its keys"), partial(self._open, "help"))
        if self.session.entries:
            yield SystemCommand(_("Timeline"), _("The photographs by day"), partial(self._open, "timeline"))
            yield SystemCommand(_("Forget all"), _("Empty this session"), partial(self._open, "forget"))
        for code, name in LANGUAGES.items():
            chosen = partial(self.post_message, messages.LanguageChosen(code))
            yield SystemCommand(name, _("Language"), chosen)
        looks = {
            "dark": _("Dark"), "light": _("Light"), "high-contrast": _("High contrast"),
            "console": _("16 colours"),
        }
        for theme, look in looks.items():
            yield SystemCommand(look, _("Colours"), partial(self._use_theme, theme))
        yield SystemCommand(_("Quit"), _("Leave; nothing is kept"), self.exit)
