"""What the operator does: the PIN, the page behind it, and the way out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from dermedge import DermedgeError, examine

from .. import language
from ..language import _
from .health import Row, counted, health
from .screens.attract import AttractPage
from .screens.operator import OperatorPage
from .screens.pinpad import NewPinPage, PinPage

if TYPE_CHECKING:
    from .app import KioskApp

Section = tuple[str, list[Row]]
"""A heading and its rows."""
FAULTS_SHOWN = 20
"""Lines of the journal."""


class Operating:
    """Everything slow runs in a thread; its answer counts only while the page that asked is still there."""

    def __init__(self, app: KioskApp) -> None:
        self._app = app
        self._station = app.station

    @property
    def inside(self) -> OperatorPage | None:
        """The page behind the PIN, if the operator is there."""
        return next((page for page in self._app.screen_stack if isinstance(page, OperatorPage)), None)

    def call(self) -> None:
        if not self.inside and not isinstance(self._app.screen, PinPage):
            if isinstance(self._app.screen, AttractPage):
                language.choose(language.of_environment())  # its own goes through all of them
            self._app.push_screen(PinPage(lambda: self._station.lock.wait))

    def try_pin(self, pin: str) -> None:
        def check() -> None:
            right = self._station.opens(pin)
            self._app.call_from_thread(self._let_in, right)

        self._app.run_worker(check, thread=True, group="pin")

    def _let_in(self, right: bool) -> None:
        page = self._app.screen
        if not isinstance(page, PinPage):
            return
        if not right:
            page.tell(wrong=True)
            return
        language.choose(language.of_environment())
        self._app.switch_screen(OperatorPage())

    def show(self, name: str) -> None:
        if name == "newpin" and self.inside:
            self._app.push_screen(NewPinPage())
        elif name == "health":
            self._report(self._health)

    def examine(self) -> None:
        self._report(self._doctor)

    def change_pin(self, pin: str) -> None:
        if not self.inside:
            return

        def change() -> None:
            try:
                self._station.change_pin(pin)
                told = _("The PIN was changed.")
            except DermedgeError as error:
                told = str(error)
            self._app.call_from_thread(self._changed, told)

        self._app.run_worker(change, thread=True, group="pin")

    def _changed(self, told: str) -> None:
        if isinstance(self._app.screen, NewPinPage):
            self._app.pop_screen()
        self._app.notify(told, markup=False)

    def leave(self) -> None:
        if self.inside:
            self._app.exit()

    def _report(self, made: Callable[[], list[Section]]) -> None:
        def make() -> None:
            self._app.call_from_thread(self._tell, made())

        if page := self.inside:
            page.busy()
            self._app.run_worker(make, thread=True, group="report", exclusive=True)

    def _tell(self, sections: list[Section]) -> None:
        if page := self.inside:
            page.tell(sections)

    def _health(self) -> list[Section]:
        faults: list[Row] = [("", line) for line in self._station.journal.last(FAULTS_SHOWN)]
        return [
            (_("Health"), [*health(self._station)]),
            (_("Counts"), [*counted(self._station.counts)]),
            (_("What went wrong lately"), faults or [("", _("nothing"))]),
        ]

    def _doctor(self) -> list[Section]:
        rows: list[Row] = []
        # The toolkit stands in for stdout; the doctor looks at the terminal.
        with redirect_stdout(sys.__stdout__):
            checks = examine(self._station.pack)
        for check in checks:
            remedy = f"\n-> {check.remedy}" if check.remedy else ""
            rows.append((check.name, f"{check.state:<4}  {check.detail}{remedy}"))
        return [(_("The doctor"), rows)]
