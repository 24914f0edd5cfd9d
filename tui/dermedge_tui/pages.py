"""Which page answers to which name: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from .page import Page
from .screens.calibration import CalibrationPage
from .screens.camera import CameraPage
from .screens.compare import ComparePage
from .screens.correct_date import CorrectDatePage
from .screens.debug import DebugPage
from .screens.explain import ExplainPage
from .screens.forget import ForgetPage
from .screens.help import HelpPage
from .screens.languages import LanguagesPage
from .screens.numbers import NumbersPage
from .screens.profiles import ProfilesPage
from .screens.questions import QuestionsPage
from .screens.result import ResultPage
from .screens.timeline import TimelinePage
from .session import Queue, Session

if TYPE_CHECKING:
    from dermedge import Scanner

    from .app import DermedgeApp

ONCE = {
    "help", "languages", "numbers", "explain", "questions", "timeline", "camera", "debug", "calibration", "profiles",
}
"""Pages that are not opened again on top of themselves."""

ABOUT_ONE = {"debug", "calibration"}
"""Pages about one photograph, wherever they are asked for."""

TOOLKITS_OWN = {
    "app.focus_next", "app.focus_previous", "app.help_quit", "command_palette", "screen.copy_text", "screen.minimize",
    "cursor_up", "cursor_down", "first", "last", "page_up", "page_down", "scroll_up", "scroll_down", "scroll_home",
    "scroll_end", "scroll_left", "scroll_right", "page_left", "page_right", "change_theme", "suspend_process",
}
"""Actions that come with the toolkit's widgets; the help speaks of the application's."""


class Pages:
    """Makes a page for the session as it is now, and puts it on the screen."""

    def __init__(self, current: Callable[[], Screen[Any]], scanner: Callable[[], Scanner | None]) -> None:
        self._current = current
        self._scanner = scanner

    def make(self, name: str, session: Session, queue: Queue, number: int, other: int) -> Page:
        """About the entry `number` and, where two things are needed, `other`."""
        now = (session, queue)
        pages: dict[str, Callable[[], Page]] = {
            "result": lambda: ResultPage(*now, number),
            "questions": lambda: QuestionsPage(*now, number),
            "explain": lambda: ExplainPage(*now, number, other),
            "debug": lambda: DebugPage(*now, number, self._scanner()),
            "calibration": lambda: CalibrationPage(*now, number, self._scanner()),
            "profiles": lambda: ProfilesPage(*now, self._scanner()),
            "numbers": lambda: NumbersPage(*now, number, self._scanner()),
            "timeline": lambda: TimelinePage(*now, number),
            "compare": lambda: ComparePage(*now, number, other),
            "date": lambda: CorrectDatePage(*now, number),
            "forget": lambda: ForgetPage(*now, number),
            "camera": lambda: CameraPage(*now),
            "languages": lambda: LanguagesPage(*now),
            "help": lambda: self._help(*now),
        }
        return pages[name]()

    def open(self, app: DermedgeApp, name: str, number: int = 0, other: int = 0) -> None:
        """On top of the page that is there, or in its place."""
        if name == "back":
            self.back(app)
            return
        if name == "home":
            while len(app.screen_stack) > 2:
                app.pop_screen()
            return
        if name in ABOUT_ONE and not number and not (number := _in_hand(app)):
            return
        page = self.make(name, app.session, app.queue, number, other)
        if name in ONCE and isinstance(app.screen, type(page)):
            return
        if name == "result" and isinstance(app.screen, ResultPage | TimelinePage):
            app.switch_screen(page)
        else:
            app.push_screen(page)

    def back(self, app: DermedgeApp) -> None:
        # The first page stays: leaving it is quitting, which has a key of its own.
        if len(app.screen_stack) > 2:
            app.pop_screen()

    def _help(self, session: Session, queue: Queue) -> HelpPage:
        page = self._current()
        keys = [
            (page.app.get_key_display(active.binding), active.binding.description)
            for active in page.active_bindings.values()
            if active.binding.description and active.enabled and active.binding.action not in TOOLKITS_OWN
        ]
        return HelpPage(session, queue, page.HELP if isinstance(page, Page) else "", keys)


def _in_hand(app: DermedgeApp) -> int:
    """The photograph that is on the screen, or else the last one; 0 where there is none."""
    entries = app.session.entries
    entry = app.session.get(getattr(app.screen, "number", 0)) or (entries[-1] if entries else None)
    return entry.number if entry else 0
