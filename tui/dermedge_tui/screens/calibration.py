"""Other numbers, tried on one photograph: judged again at once, from what its look has already seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from dermedge import MODALITIES, Calibration, DermedgeError, Profile, ProfileError, Scan, Trace

from .. import phrases
from ..language import N_, _, n_
from ..levels import short
from ..messages import PageAsked, ProfileChosen, RescanAsked
from ..page import Page
from ..session import Entry, Queue, Session
from ..widgets.banner import Banner
from ..widgets.profilebar import ProfileBar
from ..widgets.slider import Slider
from ..widgets.sliders import Sliders

if TYPE_CHECKING:
    from dermedge import Scanner

SHOWN = 3
"""Conditions of each lesion."""


class CalibrationPage(Page):
    """Nothing is kept and nothing else is judged by these numbers until they are saved as a profile."""

    CSS_PATH = "calibration.tcss"
    HELP = N_(
        "Up and down choose a number, left and right change it, Backspace goes back to the pack's own, which the mark "
        "on each line shows. The answer follows at once. A fainter detector and another crop need a new look: press L. "
        "Fixed limits of the program stay in force whatever is set here. Saving keeps the numbers under a name, and "
        "judges everything by them from then on."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", N_("Previous"), show=False),
        Binding("down", "app.focus_next", N_("Next"), show=False),
        Binding("l", "look", N_("Look again")),
        Binding("0", "all_own", N_("All the pack's own")),
        Binding("s", "save", N_("Save")),
        Binding("p", "profiles", N_("Profiles")),
        Binding("escape", "leave", N_("Back")),
    ]

    @dataclass
    class Looked(Message):
        """The thread has looked again."""

        calibration: Calibration
        trace: Trace | None
        error: str = ""

    def __init__(self, session: Session, queue: Queue, number: int, scanner: Scanner | None) -> None:
        super().__init__(session, queue)
        self.number = number
        self._scanner = scanner
        self._of: Entry | None = None
        self._trace: Trace | None = None
        self._set = Calibration()
        """As the sliders stand."""
        self._looking = False
        self._asked = False
        self._replacing = ""
        """The kept profile that is replaced if its name is given once more."""

    @property
    def entry(self) -> Entry | None:
        return self.session.get(self.number)

    def body(self) -> ComposeResult:
        yield Banner(id="banner", markup=False)
        yield ProfileBar()
        with Horizontal(id="middle"):
            yield Sliders(self._scanner, plain=self._plain, id="sliders")
            with VerticalScroll(id="side"):
                yield Static(id="told", markup=False)
        yield Static(id="notice", markup=False)
        yield Input(placeholder=_("A name for these numbers, then Enter"), id="name", max_length=32)

    def filled(self) -> None:
        entry = self.entry
        if entry is None or self._scanner is None or not self.query("#told"):
            return
        self.query_one("#name").display = False
        self.query_one(ProfileBar).tell(entry.scan.profile)
        if entry.trace is None:
            if not self._asked:
                self._asked = True
                self.post_message(RescanAsked(entry.number, entry.flags, trace=True))
            self._notice(_("Looking at it once more, to keep what each step sees"))
            return
        if self._of is not entry:
            self._of, self._trace = entry, entry.trace
            self._set = entry.profile.calibration if entry.profile else Calibration()
        if self.focused is None:
            self.query(Slider).first().focus()
        self._show()

    def watch_session(self) -> None:
        if self.entry is None:
            if self.is_current:
                self.post_message(PageAsked("back"))
        elif self.is_mounted and self.entry is not self._of:
            self.filled()

    def _profile(self, scanner: Scanner, calibration: Calibration) -> Profile:
        """Under the name of the one in force where nothing was changed, else without one."""
        in_force = self._of.profile if self._of else None
        same = in_force is not None and in_force.calibration == calibration
        return in_force if in_force and same else Profile.of(scanner.pack.ref, calibration)

    # From the sliders to the answer.

    def _show(self) -> None:
        """Judges by the numbers as they stand, as far as what was looked at allows."""
        scanner, trace, entry = self._scanner, self._trace, self._of
        if scanner is None or trace is None or entry is None:
            return
        lacking = scanner.lacking(trace, self._profile(scanner, self._set))
        tried = replace(self._set, confidence=trace.confidence, context=trace.context) if lacking else self._set
        scan = scanner.judge(trace, flags=entry.flags, saliency=False, profile=self._profile(scanner, tried))
        own = None if scanner.lacking(trace, None) else scanner.judge(trace, flags=entry.flags, saliency=False)
        self.query_one(Sliders).tell(self._set, scan.modality or tried.modality or MODALITIES[0])
        self.query_one(Banner).tell(scan.verdict.level)
        self.query_one("#told", Static).update(Content("\n".join(_lines(scan, own, entry, self._plain))))
        if self._looking:
            self._notice(_("Looking again"))
        elif lacking:
            told = n_(
                "{count} crop is new: press L to look again. Until then detector and crop stay as they were.",
                "{count} crops are new: press L to look again. Until then detector and crop stay as they were.",
                lacking,
            )
            self._notice(told.format(count=lacking))
        else:
            self._notice("")
        self.refresh_bindings()

    def on_sliders_changed(self, message: Sliders.Changed) -> None:
        message.stop()
        self._set = message.calibration
        self._show()

    def action_all_own(self) -> None:
        self._set = Calibration()
        self._show()

    # What needs the tower: on request only, and in a thread.

    def action_look(self) -> None:
        scanner, trace, wanted = self._scanner, self._trace, self._set
        if scanner is None or trace is None or self._looking:
            return
        profile = self._profile(scanner, wanted)
        if scanner.lacking(trace, profile):
            self._looking = True
            self.run_worker(lambda: self._look(scanner, trace, profile), thread=True, group="look")
            self._show()

    def _look(self, scanner: Scanner, trace: Trace, profile: Profile) -> None:
        """In the thread."""
        try:
            self.post_message(self.Looked(profile.calibration, scanner.look_again(trace, profile)))
        except DermedgeError as error:
            self.post_message(self.Looked(profile.calibration, None, phrases.error(error)))

    def on_calibration_page_looked(self, message: Looked) -> None:
        message.stop()
        self._looking = False
        self._trace = message.trace or self._trace
        self._show()
        if message.error:
            self._notice(message.error)

    # Keeping the numbers.

    def action_save(self) -> None:
        name = self.query_one("#name", Input)
        name.display = True
        name.focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        message.stop()
        name = message.value.strip()
        if self._scanner is None or not name:
            return
        if name in Profile.kept() and name != self._replacing:
            self._replacing = name
            self._notice(_("There is a profile of that name. Press Enter again to replace it."))
            return
        try:
            profile = Profile.of(self._scanner.pack.ref, self._set, name)
            profile.save()
        except ProfileError as error:
            self._notice(phrases.error(error))
            return
        self._replacing = ""
        self._leave_name()
        self.post_message(ProfileChosen(profile))

    def action_leave(self) -> None:
        if self.query_one("#name").display:
            self._leave_name()
        else:
            self.action_back()

    def _leave_name(self) -> None:
        name = self.query_one("#name", Input)
        name.clear()
        name.display = False
        self.query(Slider).first().focus()

    def action_profiles(self) -> None:
        self.post_message(PageAsked("profiles"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._trace is not None if action in ("look", "all_own", "save") else True

    @property
    def _plain(self) -> bool:
        return bool(getattr(self.app, "plain", False))

    def _notice(self, text: str) -> None:
        self.query_one("#notice", Static).update(Content(text))


def _lines(scan: Scan, own: Scan | None, entry: Entry, plain: bool) -> list[str]:
    lines = []
    if own is not None:
        lines += [_("By the pack alone: {level}").format(level=short(own.verdict.level, plain)), ""]
    for lesion in scan.lesions:
        scores = lesion.scores
        lines.append(f"{lesion.number} {short(lesion.verdict.level, plain)}")
        lines.append(f"  malignant {scores.malignant:.3f}")
        lines.append(f"  referral  {scores.referral:.3f}")
        lines += [f"  {p:.3f} {phrases.condition(id, entry.names.get(id, id))}" for id, p in scores.ranked()[:SHOWN]]
    lines += ["", *(f"- {phrases.reason(reason)}" for reason in scan.verdict.reasons)]
    return lines
