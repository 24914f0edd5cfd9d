"""Which page answers to which name: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from .page import Page
from .screens.compare import ComparePage
from .screens.correct_date import CorrectDatePage
from .screens.explain import ExplainPage
from .screens.forget import ForgetPage
from .screens.help import HelpPage
from .screens.languages import LanguagesPage
from .screens.numbers import NumbersPage
from .screens.questions import QuestionsPage
from .screens.result import ResultPage
from .screens.timeline import TimelinePage
from .session import Queue, Session

if TYPE_CHECKING:
    from dermedge import Scanner

ONCE = {"help", "languages", "numbers", "explain", "questions", "timeline"}
"""Pages that are not opened again on top of themselves."""

TOOLKITS_OWN = {
    "app.focus_next", "app.focus_previous", "app.help_quit", "command_palette", "screen.copy_text", "screen.minimize",
    "cursor_up", "cursor_down", "first", "last", "page_up", "page_down", "scroll_up", "scroll_down", "scroll_home",
    "scroll_end", "scroll_left", "scroll_right", "page_left", "page_right", "change_theme", "suspend_process",
}
"""Actions that come with the toolkit's widgets; the help speaks of the application's."""


class Pages:
    """Makes a page for the session as it is now."""

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
            "numbers": lambda: NumbersPage(*now, number, self._scanner()),
            "timeline": lambda: TimelinePage(*now, number),
            "compare": lambda: ComparePage(*now, number, other),
            "date": lambda: CorrectDatePage(*now, number),
            "forget": lambda: ForgetPage(*now, number),
            "languages": lambda: LanguagesPage(*now),
            "help": lambda: self._help(*now),
        }
        return pages[name]()

    def _help(self, session: Session, queue: Queue) -> HelpPage:
        page = self._current()
        keys = [
            (page.app.get_key_display(active.binding), active.binding.description)
            for active in page.active_bindings.values()
            if active.binding.description and active.enabled and active.binding.action not in TOOLKITS_OWN
        ]
        return HelpPage(session, queue, page.HELP if isinstance(page, Page) else "", keys)
