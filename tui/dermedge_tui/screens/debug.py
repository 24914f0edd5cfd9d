"""What every step of a scan saw, picture by picture, as it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from dermedge import Stage, stages

from .. import phrases
from ..language import N_, _
from ..messages import PageAsked, RescanAsked
from ..page import Page
from ..session import Entry, Queue, Session
from ..widgets.picture import Picture
from ..widgets.profilebar import ProfileBar
from ..widgets.stageview import StageView

if TYPE_CHECKING:
    from dermedge import Box, Scanner

TITLES = {
    "frame": N_("The photograph, as decoded"),
    "detector": N_("What the detector was given, and what it proposed"),
    "crop": N_("What the tower was given"),
    "heat": N_("What spoke for the condition, on that crop"),
    "mask": N_("The outline"),
}
STEPS = {"frame": ("decode",), "detector": ("detector",), "crop": ("crop", "tower"), "heat": ("saliency",),
         "mask": ("mask",)}
"""Stage -> what of the record it took."""


class DebugPage(Page):
    """Looks at the photograph once more where nobody kept what the steps saw, and says so meanwhile."""

    CSS_PATH = "debug.tcss"
    HELP = N_(
        "Left and right walk through the steps. Each picture is what really went into a network or came out of it, "
        "pixel by pixel. Grey boxes are proposals of the detector that were too faint to be looked at."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", N_("Previous step"), priority=True),
        Binding("right", "step(1)", N_("Next step"), priority=True),
        Binding("home", "step(-1000)", show=False, priority=True),
        Binding("end", "step(1000)", show=False, priority=True),
        Binding("m", "mask", N_("Outline")),
        Binding("d", "numbers", N_("Numbers")),
        Binding("c", "calibrate", N_("Calibration")),
    ]

    def __init__(self, session: Session, queue: Queue, number: int, scanner: Scanner | None) -> None:
        super().__init__(session, queue)
        self.number = number
        self.at = 0
        self._scanner = scanner
        self._stages: tuple[Stage, ...] = ()
        self._of: Entry | None = None
        """The entry that the stages are of."""
        self._asked = False

    @property
    def entry(self) -> Entry | None:
        return self.session.get(self.number)

    def body(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield ProfileBar()
        with Horizontal(id="middle"):
            yield Picture(id="picture")
            with VerticalScroll(id="side"):
                yield Static(id="text", markup=False)

    def filled(self) -> None:
        entry = self.entry
        if entry is None or not self.query("#text"):
            return
        if entry.trace is None and not self._asked:
            self._asked = True
            self.post_message(RescanAsked(entry.number, entry.flags, trace=True))
        if self.focused is None:
            self.query_one("#side").focus()
        self._fill(entry)

    def watch_session(self) -> None:
        if self.entry is None:
            if self.is_current:
                self.post_message(PageAsked("back"))
        elif self.is_mounted:
            self.filled()

    def watch_queue(self) -> None:
        if self.is_mounted:
            self.filled()

    def _fill(self, entry: Entry) -> None:
        if self._of is not entry:
            self._of = entry
            self._stages = self._made(entry)
        self.query_one(ProfileBar).tell(entry.scan.profile)
        title, text = self.query_one("#title", Static), self.query_one("#text", Static)
        if not self._stages:
            failed = [item.error for item in self.queue.having("failed") if item.job.number == self.number]
            told = phrases.error(failed[0]) if failed and failed[0] else ""
            title.update(Content(told or _("Looking at it once more, to keep what each step sees")))
            return
        self.at = min(self.at, len(self._stages) - 1)
        stage = self._stages[self.at]
        place = _("Step {place} of {count}").format(place=self.at + 1, count=len(self._stages))
        title.update(Content(f"{place}: {_(TITLES[stage.kind])}"))
        text.update(Content("\n".join(self._lines(stage, entry))))
        self.query_one(Picture).show(StageView(stage))
        self.refresh_bindings()

    def _made(self, entry: Entry) -> tuple[Stage, ...]:
        if entry.trace is None or self._scanner is None:
            return ()
        return stages(entry.trace, entry.scan, self._scanner.pack.manifest)

    def _lines(self, stage: Stage, entry: Entry) -> list[str]:
        trace, scan = entry.trace, entry.scan
        assert trace is not None
        lines = [f"{stage.number}: {_named(stage, entry)}"] if stage.number else []
        if stage.pixels is not None and stage.kind != "mask":
            rows, columns = stage.pixels.shape[:2]
            lines.append(f"input {columns} x {rows}")
        if stage.kind == "frame":
            photo = trace.photo
            lines += [f"original {photo.width} x {photo.height}", photo.format, *photo.notes]
        elif stage.frame:
            lines.append(f"shows {_corners(stage.frame)}")
        if stage.kind == "detector":
            lines += [f"* from {trace.confidence:.2f} on", "", " #   sure  x y w h"]
            for number, found in enumerate(stage.proposals, 1):
                mark = "*" if number <= stage.above else " "
                lines.append(f"{number:2}{mark} {found.confidence:.3f}  {_corners(found.box)}")
        elif stage.kind == "crop":
            lines.append(f"context {trace.context:.2f}")
        elif stage.kind == "heat" and stage.lesion and stage.lesion.saliency:
            heat = stage.lesion.saliency
            lines += [heat.condition, f"patches {heat.heat.shape[1]} x {heat.heat.shape[0]}",
                      f"from {heat.heat.min():.4f}", f"to {heat.heat.max():.4f}", f"cosine {heat.heat.sum():.4f}"]
        elif stage.kind == "mask" and stage.lesion and stage.lesion.mask:
            lines.append(f"covers {stage.lesion.mask.pixels.mean():.1%}")
        took = [f"{step} {scan.seconds[step] * 1000:.1f} ms" for step in STEPS[stage.kind] if step in scan.seconds]
        return [*lines, "", *took]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "mask":
            entry = self.entry
            lesions = entry.scan.lesions if entry else ()
            return bool(lesions) and all(lesion.mask is None for lesion in lesions)
        if action in ("step", "calibrate"):
            return bool(self._stages)
        return True

    def action_step(self, step: int) -> None:
        self.at = min(max(self.at + step, 0), len(self._stages) - 1)
        self.filled()

    def action_mask(self) -> None:
        if entry := self.entry:
            self.post_message(RescanAsked(entry.number, entry.flags, mask=True, trace=True))

    def action_numbers(self) -> None:
        self.post_message(PageAsked("numbers", self.number))

    def action_calibrate(self) -> None:
        self.post_message(PageAsked("calibration", self.number))


def _named(stage: Stage, entry: Entry) -> str:
    if stage.lesion is None:
        return _("no lesion")
    likeliest = stage.lesion.scores.ranked()[0][0]
    return phrases.condition(likeliest, entry.names.get(likeliest, likeliest))


def _corners(box: Box) -> str:
    return " ".join(f"{value:.0f}" for value in box.as_xywh())
