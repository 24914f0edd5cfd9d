"""A photograph from the camera: aim, count down, look at it, use it or take it again.

`CameraPage(session, queue)` is for keys and mouse. `CameraPage(session, queue, touch=True)` is for a screen without a
keyboard: buttons of five lines, and each of them does what a key does. What the page asks for:

- `PhotoTaken(shot)` when the person wants to use the photograph; whoever receives it scans it and leaves the page;
- `PageAsked("back")` when the person gives up.

A camera that is absent, busy or unplugged is explained, and looked for again every few seconds.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Button, Digits, Static
from textual.worker import get_current_worker

from .. import phrases
from ..aiming import Aiming, Failed, Opened, Seen, Taken
from ..language import N_, _
from ..messages import PhotoTaken
from ..page import Page
from ..session import Queue, Session
from ..widgets.preview import Preview

State = Literal["looking", "aiming", "counting", "taken", "failed"]

COUNTED = 3
"""Seconds: time to take the finger off and hold still."""
AGAIN_AFTER = 2.0
"""Seconds until a camera that failed is looked for once more."""

HINTS: dict[str, str] = {
    "too-small": N_("Too few pixels: choose a better camera"),
    "too-dark": N_("Too dark: more light, no shadow on the skin"),
    "too-bright": N_("Too bright: less light, no direct sun"),
    "glare": N_("Glare: tilt the camera or the lamp a little"),
    "low-contrast": N_("Nothing to see: clean the lens, bring the spot into the middle"),
    "blurred": N_("Blurred: hold still, or go a little farther away"),
}
GOOD = N_("Sharp and well lit")


class CameraPage(Page):
    """The thread sees, this page shows: it reacts to the thread's messages and tells it what is wanted."""

    CSS_PATH = "camera.tcss"
    HELP = N_(
        "Bring the spot into the middle, between the corners, and hold still. The line below the picture says what to "
        "do better. Space or Enter counts down from three and takes the photograph; then use it, or take it again. "
        "It is in memory only, like everything else here."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "count", N_("Take the photograph"), key_display="Space"),
        Binding("enter", "use", N_("Use it")),
        Binding("space", "again", N_("Take it again"), key_display="Space"),
        Binding("c", "next_camera", N_("Another camera")),
    ]

    def __init__(self, session: Session, queue: Queue, *, touch: bool = False) -> None:
        super().__init__(session, queue)
        self.set_class(touch, "-touch")
        self.state: State = "looking"
        self._aiming = Aiming(self.post_message)
        self._reading = False
        """Whether the thread has a camera open."""
        self._timer: Timer | None = None
        self._left = 0
        self._opened: Opened | None = None
        self._problem: str | None = None
        self._taken: Taken | None = None
        self._error = ""

    def body(self) -> ComposeResult:
        yield Static(id="camera", markup=False)
        yield Preview(id="preview")
        yield Digits(id="count")
        yield Static(id="hint", markup=False)
        with Horizontal(id="buttons"):
            yield Button(_("Take the photograph"), id="button-count", variant="primary")
            yield Button(_("Use it"), id="button-use", variant="primary")
            yield Button(_("Take it again"), id="button-again")
            yield Button(_("Another camera"), id="button-next_camera")
            yield Button(_("Back"), id="button-back")

    def on_mount(self) -> None:
        super().on_mount()
        self._begin()

    def filled(self) -> None:
        if self._taken:
            self.query_one(Preview).freeze(self._taken.photo)
        self._tell()

    def _begin(self, place: int | None = None) -> None:
        """Look for cameras; the one at `place`, or the same again."""
        self._stop_timer()
        self._aiming.resume()
        self._reading = False
        wanted = place if place is not None else self._opened.place if self._opened else 0
        self.run_worker(partial(self._look, wanted), thread=True, exclusive=True, group="camera")

    def _look(self, place: int) -> None:
        """In the thread."""
        worker = get_current_worker()
        self._aiming.run(place, lambda: worker.is_cancelled)

    # What the thread reports.

    def on_opened(self, message: Opened) -> None:
        self._opened, self._reading = message, True

    def on_seen(self, message: Seen) -> None:
        preview = self.query_one(Preview)
        self._aiming.shown(preview.room)
        # What the camera before has sent is too late.
        if self._reading and self.state != "taken":
            preview.show(message.lines)
            changed, self._problem = message.problem != self._problem, message.problem
            if self.state != "counting":
                changed, self.state = changed or self.state != "aiming", "aiming"
            if changed:
                self._tell()

    def on_taken(self, message: Taken) -> None:
        if self.state != "counting":
            self._aiming.resume()  # no longer wanted
        else:
            self._taken, self._problem = message, message.problem
            self.query_one(Preview).freeze(message.photo)
            self._to("taken")

    def on_failed(self, message: Failed) -> None:
        self._reading = False
        self._error = phrases.error(message.error)
        # A photograph that is there stays; the camera is missed when the next one is wanted.
        if self.state != "taken":
            self.query_one(Preview).show([])
            self._to("failed")
            self._timer = self.set_timer(AGAIN_AFTER, self._begin)

    # What the page shows.

    def _to(self, state: State) -> None:
        self._stop_timer()
        self.state = state
        if state != "taken":
            self._taken = None
        self._tell()

    def _tell(self) -> None:
        if not self.query("#buttons"):
            return
        self.set_class(self.state in ("looking", "failed"), "-blind")
        self.query_one("#camera", Static).update(self._title())
        self.query_one("#hint", Static).update(self._hint())
        digits = self.query_one(Digits)
        digits.display = self.state == "counting" and self._left > 0
        digits.update(str(self._left))
        for button in self.query("#buttons Button").results(Button):
            action = (button.id or "").removeprefix("button-")
            button.display = bool(self.check_action(action, ()))
        self.refresh_bindings()

    def _title(self) -> str:
        opened = self._opened
        if opened is None or self.state in ("looking", "failed"):
            return _("Looking for a camera ...")
        name = phrases.printable(opened.name)
        if opened.count < 2:
            return name
        return _("{name}, {place} of {count}").format(name=name, place=opened.place + 1, count=opened.count)

    def _hint(self) -> Content:
        if self.state == "looking":
            return Content("")
        if self.state == "failed":
            return Content.assemble(("✗ ", "bold $error"), self._error)
        if self.state == "counting":
            return Content.assemble((_("Hold still: {seconds}").format(seconds=self._left or "..."), "bold $accent"))
        if self._problem is not None:
            return Content.assemble(("! ", "bold $warning"), _(HINTS[self._problem]))
        return Content.assemble(("✓ ", "bold $success"), _(GOOD))

    # What the person wants.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "count":
            return self.state == "aiming"
        if action in ("use", "again"):
            return self.state == "taken"
        if action == "next_camera":
            return self.state == "aiming" and self._opened is not None and self._opened.count > 1
        return True

    def on_button_pressed(self, message: Button.Pressed) -> None:
        message.stop()
        action = (message.button.id or "").removeprefix("button-")
        if self.check_action(action, ()):
            getattr(self, f"action_{action}")()

    def action_count(self) -> None:
        self._to("counting")
        self._left = COUNTED
        self._timer = self.set_interval(1.0, self._count_down)
        self._tell()

    def _count_down(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._stop_timer()
            self._aiming.shoot()
        self._tell()

    def action_use(self) -> None:
        if self._taken:
            self.post_message(PhotoTaken(self._taken.shot))

    def action_again(self) -> None:
        if self._reading:
            self._aiming.resume()
            self._to("aiming")
        else:
            self.query_one(Preview).show([])
            self._to("looking")
            self._begin()

    def action_next_camera(self) -> None:
        if self._opened:
            self._to("looking")
            self._begin(self._opened.place + 1)

    def action_back(self) -> None:
        """One step: from the countdown or the photograph to aiming, from there out."""
        if self.state in ("counting", "taken"):
            self.action_again()
        else:
            super().action_back()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
