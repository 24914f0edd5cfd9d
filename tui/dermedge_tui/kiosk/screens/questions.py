"""What the person knows about the spot and no photograph shows; each answer can only raise the level."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.widgets import Static

from dermedge import RED_FLAGS

from ... import phrases
from ...language import _
from ...messages import PageAsked, RescanAsked
from ...session import Session
from ..page import KioskPage
from ..widgets.choices import Target


class Statement(Target):
    """Ticked by touch; a cross, for a colour alone says nothing to some."""

    def __init__(self, flag: str, ticked: bool) -> None:
        super().__init__(id=flag)
        self.ticked = ticked
        self._draw()

    def _draw(self) -> None:
        words = phrases.flag(self.id or "")
        self.label = Content(f"[{'X' if self.ticked else ' '}] {words[:1].upper()}{words[1:]}")
        self.variant = "primary" if self.ticked else "default"

    def turn(self) -> None:
        self.ticked = not self.ticked
        self._draw()


class QuestionsPage(KioskPage):
    """The answers are handed to the runtime, which judges again."""

    CSS_PATH: ClassVar[str] = "questions.tcss"
    PRIMARY = "save"

    def __init__(self, session: Session, number: int) -> None:
        super().__init__(session)
        self._number = number
        entry = session.get(number)
        self._before = entry.flags if entry else ()

    def body(self) -> ComposeResult:
        yield Static(Content(_("What is true of the spot? Touch everything that is.")), id="title")
        with Grid(id="statements"):
            for flag in RED_FLAGS:
                yield Statement(flag, flag in self._before)
        yield Static(Content(_("Each of these can only raise the level, never lower it.")), id="rule")

    def choices(self) -> list[tuple[str, str]]:
        return [("back", _("Back")), ("save", _("Save"))]

    def chose(self, id: str) -> None:
        if id in RED_FLAGS:
            self.query_one(f"#{id}", Statement).turn()
            return
        flags = tuple(statement.id or "" for statement in self.query(Statement) if statement.ticked)
        if flags != self._before:
            self.post_message(RescanAsked(self._number, flags))
        self.post_message(PageAsked("back"))
