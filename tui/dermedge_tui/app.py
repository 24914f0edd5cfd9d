"""The application: keeps the session, hands it to the pages, and does what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.filter import LineFilter
from textual.reactive import reactive
from textual.screen import Screen

from dermedge import UsageError

from . import charset, language, messages, palette, paths, phrases, preferences
from .language import N_, _
from .page import Page
from .pages import Pages
from .preferences import NOTICE, Preferences
from .scanning import Scanning
from .screens.camera import CameraPage
from .screens.home import HomePage
from .screens.result import ResultPage
from .screens.welcome import WelcomePage
from .session import MOST_PHOTOS, Job, Queue, Session, Source, again
from .themes import THEMES
from .threads import forgetting

if TYPE_CHECKING:
    from dermedge import Profile, Scanner


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
        Binding("f12", "page('debug')", N_("Debug"), show=False),
    ]

    session: reactive[Session] = reactive(Session(), init=False)
    queue: reactive[Queue] = reactive(Queue(), init=False)

    def __init__(
        self,
        open_scanner: Callable[[], Scanner],
        *,
        given: list[str] | None = None,
        folder: str = ".",
        watch: str = "",
        settings: Path | None = None,
        theme: str = "dark",
        debug: bool = False,
        profile: Profile | None = None,
    ) -> None:
        super().__init__()
        self._given = given or []
        self._folder = str(Path(folder).absolute())
        self._watch = str(Path(watch).absolute()) if watch else ""
        self._settings = settings or preferences.location()
        self._remembered: Preferences = preferences.load(self._settings)
        self._debug = debug
        self._scanning = Scanning(open_scanner, self.post_message)
        self._scanning.profile = profile
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

    def get_line_filters(self) -> Sequence[LineFilter]:
        return charset.filters(super().get_line_filters(), self.plain)

    def get_key_display(self, binding: Binding) -> str:
        shown = super().get_key_display(binding)
        return shown if charset.shown(shown, self.plain) else binding.key

    def on_mount(self) -> None:
        forgetting(self)
        self.push_screen(HomePage(self.session, self.queue, self._folder, self._watch))
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
            self.notify(phrases.error(error), severity="error", markup=False)
        else:
            self._gather(found)

    def on_photos_given(self, message: messages.PhotosGiven) -> None:
        self._gather(message.paths)

    @property
    def _room(self) -> int:
        """How many more photographs the session holds."""
        return max(0, MOST_PHOTOS - len(self.session.entries) - len(self.queue.having("waiting", "running")))

    def _gather(self, given: list[str]) -> None:
        """Folders are looked into in a thread: one of 5,000 photographs takes a while."""
        self.run_worker(partial(self._look, given, self._room), thread=True, group="gather")

    def _look(self, given: list[str], room: int) -> None:
        """In the thread."""
        found = paths.photographs(given)
        self.post_message(messages.PhotosFound(found[:room], max(0, len(found) - room)))

    def on_photos_found(self, message: messages.PhotosFound) -> None:
        self._scan(message.paths, message.left_out)

    def on_photo_taken(self, message: messages.PhotoTaken) -> None:
        if isinstance(self.screen, CameraPage):
            self._back()
        self._scan([message.shot][: self._room], 0 if self._room else 1)

    def _scan(self, sources: Sequence[Source], left_out: int) -> None:
        if left_out:
            told = _("A session holds {most} photographs; {count} were left out.")
            self.notify(told.format(most=MOST_PHOTOS, count=left_out), severity="warning", markup=False, timeout=20)
        jobs = [Job(self._next + i, source, trace=self._debug) for i, source in enumerate(sources)]
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
        self.queue = self.queue.marked(message.job, "running")

    def on_job_done(self, message: messages.JobDone) -> None:
        job = message.job
        if not self.queue.holds(job):
            return  # forgotten meanwhile
        self.queue = self.queue.marked(job, "done")
        self.session = self.session.with_entry(message.entry)
        if self._awaited == job.number:
            self._open_awaited()

    def _open_awaited(self) -> None:
        """Unless the person is busy elsewhere; only the first page is waited for."""
        if self._awaited is not None and self.session.get(self._awaited) and not isinstance(self.screen, WelcomePage):
            number, self._awaited = self._awaited, None
            if isinstance(self.screen, HomePage | ResultPage):
                self._open("result", number)
                if self._debug:
                    self._open("debug", number)

    def on_job_failed(self, message: messages.JobFailed) -> None:
        if not self.queue.holds(message.job):
            return
        self.queue = self.queue.marked(message.job, "failed", message.error)
        if message.fatal:
            self.queue = self.queue.cancelled()
        if self._awaited == message.job.number:
            self._awaited = next((item.job.number for item in self.queue.having("waiting", "running")), None)
        if message.fatal or not isinstance(self.screen, HomePage):
            name = "" if message.fatal else phrases.printable(message.job.name)
            self.notify(phrases.error(message.error), title=name, severity="error", markup=False, timeout=10)

    # What the pages ask for.

    def on_rescan_asked(self, message: messages.RescanAsked) -> None:
        if entry := self.session.get(message.number):
            self._submit([again(entry, message.flags, message.mask, message.whole, message.trace)])

    def on_profile_chosen(self, message: messages.ProfileChosen) -> None:
        self._scanning.profile = message.profile
        for entry in self.session.entries:
            self.on_rescan_asked(messages.RescanAsked(entry.number, entry.flags))

    def on_date_corrected(self, message: messages.DateCorrected) -> None:
        if entry := self.session.get(message.number):
            self.session = self.session.with_entry(replace(entry, taken=message.taken, dated="hand"))

    def on_entry_forgotten(self, message: messages.EntryForgotten) -> None:
        if message.number:
            self.session, self.queue = self.session.without(message.number), self.queue.without(message.number)
        else:
            self.on_queue_cancelled()
            self.session, self.queue, self._awaited = Session(), Queue(), None

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
        self.use_theme(names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0])

    def use_theme(self, name: str) -> None:
        self.theme = name
        self._remember(theme=name)
        for page in self._pages():
            page.refresh(recompose=True)

    def _open(self, name: str, number: int = 0, other: int = 0) -> None:
        self._pages_by_name.open(self, name, number, other)

    def _back(self) -> None:
        self._pages_by_name.back(self)

    def _remember(self, **changes: Any) -> None:
        self._remembered = replace(self._remembered, **changes)
        try:
            preferences.save(self._remembered, self._settings)
        except OSError as error:
            told = _("These settings cannot be kept for the next time: {reason}")
            self.notify(told.format(reason=phrases.refusal(error)), severity="warning", markup=False)

    # The command palette.

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=_("What do you want to do?"), id="--command-palette"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        return palette.commands(self)
