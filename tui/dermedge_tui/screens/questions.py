"""What the person knows about a spot and no photograph shows; each answer can only raise the level."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, Checkbox, Static

from dermedge import RED_FLAGS

from .. import phrases
from ..language import N_, _
from ..messages import PageAsked, RescanAsked
from ..page import Page
from ..session import Queue, Session


class Tick(Checkbox):
    """Shows a cross only where it is ticked; the toolkit's own differ by colour alone."""

    def on_mount(self) -> None:
        self._cross()

    def watch_value(self) -> None:
        self._cross()
        super().watch_value()

    def _cross(self) -> None:
        self.BUTTON_INNER = "X" if self.value else " "
        self.refresh()


class QuestionsPage(Page):
    """The answers are handed to the runtime, which judges again."""

    CSS_PATH = "questions.tcss"
    HELP = N_("Tick what is true with Space or Enter, then save. Nothing that you tick makes the answer less worrying.")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", N_("Save")),
        Binding("down", "app.focus_next", N_("Next"), show=False),
        Binding("up", "app.focus_previous", N_("Previous"), show=False),
    ]

    def __init__(self, session: Session, queue: Queue, number: int) -> None:
        super().__init__(session, queue)
        self.number = number
        entry = session.get(number)
        self._before = entry.flags if entry else ()
        self._ticked = set(self._before)

    def body(self) -> ComposeResult:
        with VerticalScroll(id="questions", can_focus=False):
            yield Static(Content(_("What is true of the spot?")), id="title")
            for id in RED_FLAGS:
                label = phrases.flag(id)
                label = label[:1].upper() + label[1:]
                yield Tick(Content(label), id in self._ticked, id=f"flag-{id}", compact=True)
            yield Static(Content(_("Each of these can only raise the level, never lower it.")), id="rule")
            yield Button(_("Save"), id="save", variant="primary")

    def filled(self) -> None:
        if self.focused is None:
            self.query(Checkbox).first().focus()

    def on_checkbox_changed(self, message: Checkbox.Changed) -> None:
        id = (message.checkbox.id or "").removeprefix("flag-")
        (self._ticked.add if message.value else self._ticked.discard)(id)

    def on_button_pressed(self) -> None:
        self.action_save()

    def action_save(self) -> None:
        flags = tuple(id for id in RED_FLAGS if id in self._ticked)
        if flags != self._before:
            self.post_message(RescanAsked(self.number, flags))
        self.post_message(PageAsked("back"))
