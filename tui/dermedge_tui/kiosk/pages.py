"""Which page of the kiosk answers to which name: the one place that knows those with something to tell."""

from __future__ import annotations

from collections.abc import Callable

from textual.screen import Screen

from ..screens.explain import TEXTS
from ..screens.welcome import PARTS
from ..session import Session
from .screens.camera import KioskCameraPage
from .screens.consent import ConsentPage
from .screens.explain import ExplainPage
from .screens.languages import LanguagesPage
from .screens.questions import QuestionsPage
from .screens.result import ResultPage
from .screens.stick import StickPage
from .screens.takeaway import TakeawayPage
from .screens.ways import WaysPage
from .station import Station


class Pages:
    """Makes a page for the session as it is now."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def make(self, name: str, session: Session, number: int = 0, at: int = 0) -> Screen[None]:
        """About the entry `number` and its lesion `at`, where it is about any."""
        pages: dict[str, Callable[[], Screen[None]]] = {
            "languages": LanguagesPage,
            "consent": lambda: ConsentPage(PARTS),
            "camera": lambda: KioskCameraPage(self._station.settings.camera),
            "ways": WaysPage,
            "stick": lambda: StickPage(self._station.settings.stick or ""),
            "result": lambda: ResultPage(session, number),
            "questions": lambda: QuestionsPage(session, number),
            "explain": lambda: ExplainPage(session, number, at, TEXTS),
            "takeaway": lambda: TakeawayPage(session, number),
        }
        return pages[name]()
