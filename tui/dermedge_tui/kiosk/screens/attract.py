"""The invitation: what this box is, in one language after the other, until somebody touches it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click, Key
from textual.widgets import Static

from ... import language
from ...language import LANGUAGES, _
from .. import corner
from ..messages import Begun
from ..page import KioskPage

EACH = 6.0
"""Seconds of every language."""


class AttractPage(KioskPage):
    """Always at the bottom: whatever ends, ends here."""

    CSS_PATH: ClassVar[str] = "attract.tcss"
    in_order = True

    def body(self) -> ComposeResult:
        with Vertical(id="invitation"):
            yield Static(Content("dermedge"), id="name")
            yield Static(Content(_("A spot on your skin that worries you?")), id="question")
            yield Static(
                Content(_(
                    "Take a photograph of it here. You are told whom to see, and how soon. It is a screening aid, not "
                    "a diagnosis. Nothing is sent anywhere, and everything is forgotten when you are done."
                )),
                id="about",
            )
            begin = _("Touch the screen or press any key to begin")
            yield Static(Content(begin if self.in_order else _("Out of order. Please tell the staff.")), id="begin")

    def on_mount(self) -> None:
        self.set_interval(EACH, self._turn)

    def _turn(self) -> None:
        # Not `is_current`: that one counts the page on top as see-through.
        if self.is_active:
            codes = list(LANGUAGES)
            language.choose(codes[(codes.index(language.chosen()) + 1) % len(codes)])
            self.refresh(recompose=True)

    def tell(self, *, in_order: bool) -> None:
        """Whether there is anything to begin."""
        if in_order != self.in_order:
            self.in_order = in_order
            self.refresh(recompose=True)

    def on_screen_resume(self) -> None:
        self.refresh(recompose=True)

    def on_key(self, event: Key) -> None:
        event.stop()
        self._begin()

    def on_click(self, event: Click) -> None:
        if not corner.inside(event.screen_x, event.screen_y):
            self._begin()

    def _begin(self) -> None:
        if self.in_order:
            self.post_message(Begun())
