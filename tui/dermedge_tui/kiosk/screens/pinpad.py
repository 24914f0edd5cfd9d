"""The operator's PIN: typed, or touched digit by digit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Grid, Horizontal, Vertical
from textual.content import Content
from textual.events import Key
from textual.widgets import Static

from ...language import _
from ..messages import PinChanged, PinEntered
from ..page import KioskPage
from ..pin import LONGEST, acceptable
from ..widgets.choices import Target

DIGITS = "1234567890"


class PadKey(Target):
    """Takes touches as fast as they come: while another button lights up, it does not hear the next one."""

    def on_mount(self) -> None:
        self.active_effect_duration = 0.0


class PinPad(KioskPage):
    """Shows how many digits there are, never which."""

    CSS_PATH: ClassVar[str] = "pinpad.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.digits = ""

    def asked(self) -> str:
        return ""

    def entered(self, pin: str) -> None:
        """Everything was typed."""

    def body(self) -> ComposeResult:
        with Horizontal(id="pad"):
            with Vertical(id="left"):
                yield Static(id="asked", markup=False)
                yield Static(id="dots", markup=False)
                yield Static(id="told", markup=False)
                yield Target(Content(_("Back")), id="back")
            with Grid(id="digits"):
                for digit in DIGITS:
                    yield PadKey(digit, id=f"digit-{digit}")
                yield PadKey("←", id="erase")
                yield PadKey("OK", id="enter", variant="primary")

    def filled(self) -> None:
        self.query_one("#asked", Static).update(Content(self.asked()))
        self._draw()

    def say(self, told: str) -> None:
        self.query_one("#told", Static).update(Content(told))

    def chose(self, id: str) -> None:
        if id == "enter":
            pin, self.digits = self.digits, ""
            self._draw()
            self.entered(pin)
        elif id == "erase":
            self.digits = self.digits[:-1]
            self._draw()
        elif len(self.digits) < LONGEST:
            self.digits += id.removeprefix("digit-")
            self._draw()

    def on_key(self, event: Key) -> None:
        event.stop()
        if event.key in ("enter", "backspace"):
            self.chose("enter" if event.key == "enter" else "erase")
        elif event.character and event.character in DIGITS:
            self.chose(event.character)

    def _draw(self) -> None:
        self.query_one("#dots", Static).update(Content("● " * len(self.digits) + "_"))


class PinPage(PinPad):
    """The door to the operator's page."""

    def __init__(self, wait: Callable[[], float]) -> None:
        super().__init__()
        self._wait = wait

    def asked(self) -> str:
        return _("For the operator: enter your PIN.")

    def filled(self) -> None:
        super().filled()
        self.tell()

    def on_mount(self) -> None:
        self.set_interval(0.5, self.tell)

    def entered(self, pin: str) -> None:
        if not self._wait():
            self.say("...")
            self.post_message(PinEntered(pin))

    def tell(self, wrong: bool = False) -> None:
        """After a wrong one, and while the next one has to wait."""
        if seconds := math.ceil(self._wait()):
            self.say(_("Wrong PIN. The next try is possible in {seconds} s.").format(seconds=seconds))
            self._waited = True
        elif wrong:
            self.say(_("Wrong PIN."))
        elif self._waited:
            self._waited = False
            self.say("")

    _waited = False


class NewPinPage(PinPad):
    """Asked twice: a slip of the finger must not lock the operator out."""

    def __init__(self) -> None:
        super().__init__()
        self._first = ""

    def asked(self) -> str:
        if self._first:
            return _("Enter the new PIN again.")
        return _("Enter the new PIN: 6 to 12 digits.")

    def entered(self, pin: str) -> None:
        if not self._first:
            if acceptable(pin):
                self._first = pin
                self.say("")
            else:
                self.say(_("A PIN has 6 to 12 digits."))
        elif pin == self._first:
            self.post_message(PinChanged(pin))
        else:
            self._first = ""
            self.say(_("These were two different PINs. Begin again."))
        self.filled()
