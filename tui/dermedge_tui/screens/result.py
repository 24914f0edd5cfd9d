"""One photograph's answer: the picture, the level, and everything that was found."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from dermedge import Lesion

from .. import phrases
from ..drawn import DrawnPage
from ..language import N_, _, day
from ..messages import PageAsked, RescanAsked
from ..session import Entry, Queue, Session, Shot
from ..widgets.banner import Banner
from ..widgets.finding import Finding
from ..widgets.picture import Picture, View
from ..widgets.profilebar import ProfileBar

MODALITIES = {"dermoscopy": N_("dermatoscope"), "phone": N_("phone photograph")}


class ResultPage(DrawnPage):
    """Which lesion, and what is drawn, are this page's own; the answer is the session's."""

    CSS_PATH = "result.tcss"
    HELP = N_(
        "The bar on top is the answer; below stands what was seen, what to do, and why. Arrow keys left and right step "
        "through the lesions, up and down scroll. Boxes, heat map and outline are drawn on the photograph."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "flags", N_("Questions")),
        Binding("e", "explain", N_("Explain")),
        Binding("left", "lesion(-1)", N_("Previous lesion"), show=False, priority=True),
        Binding("right", "lesion(1)", N_("Next lesion"), priority=True),
        Binding("m", "mask", N_("Outline")),
        Binding("w", "whole", N_("Whole photo")),
        Binding("n", "photo(1)", N_("Next photo")),
        Binding("p", "photo(-1)", N_("Previous photo")),
        Binding("t", "timeline", N_("Timeline")),
        Binding("r", "retake", N_("Retake")),
        Binding("d", "numbers", N_("Numbers")),
        Binding("delete", "forget", N_("Forget")),
    ]

    def __init__(self, session: Session, queue: Queue, number: int) -> None:
        super().__init__(session, queue)
        self.number = number
        self.at = 0
        self.mask = False
        self._begin()

    @property
    def entry(self) -> Entry | None:
        return self.session.get(self.number)

    @property
    def lesion(self) -> Lesion | None:
        lesions = self.entry.scan.lesions if self.entry else ()
        return lesions[min(self.at, len(lesions) - 1)] if lesions else None

    def _begin(self) -> None:
        """With the lesion that the photograph's answer is about."""
        self.at = self.entry.worst if self.entry else 0

    def body(self) -> ComposeResult:
        yield Banner(id="banner", markup=False)
        yield ProfileBar()
        with Horizontal(id="middle"):
            with Vertical(id="left"):
                yield Picture(id="picture")
                yield Static(id="caption", markup=False)
            yield Finding(id="finding")

    def filled(self) -> None:
        self.draw()
        entry = self.entry
        if entry and self.query("#banner"):
            self.query_one(Banner).tell(entry.scan.verdict.level)
            self.query_one(ProfileBar).tell(entry.scan.profile)
            self.query_one(Finding).tell(entry, self.lesion, bool(getattr(self.app, "plain", False)))
            self.query_one("#caption", Static).update(self._caption(entry))
        if self.focused is None:
            self.query_one(Finding).focus()
        self.refresh_bindings()

    def draw(self) -> None:
        if self.entry and self.query("#picture"):
            lesion = self.lesion
            part = lesion.saliency.region if self.zoomed and lesion and lesion.saliency else None
            self.query_one(Picture).show(
                View(self.entry.scan, part, self.boxes, self.heat, self.mask, lesion.number if lesion else 0)
            )

    def _caption(self, entry: Entry) -> Content:
        name = phrases.printable(entry.scan.photo.name.rpartition("/")[2])
        said = [day(entry.taken)]
        if entry.scan.modality:
            said.append(_(MODALITIES[entry.scan.modality]))
        if self.queue.busy:
            said.append(_("being judged"))
        return Content(f"{name}\n{', '.join(said)}")

    def watch_session(self) -> None:
        if self.entry is None:
            self._leave()
        elif self.is_mounted:
            self.filled()

    def on_screen_resume(self) -> None:
        if self.entry is None:
            self._leave()

    def _leave(self) -> None:
        """Its photograph is forgotten; while another page lies on top, that one stays."""
        if self.is_current:
            self.post_message(PageAsked("back"))

    def watch_queue(self) -> None:
        if self.entry and self.query("#caption"):
            self.query_one("#caption", Static).update(self._caption(self.entry))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        lesions = self.entry.scan.lesions if self.entry else ()
        if action == "lesion":
            return len(lesions) > 1
        if action == "photo":
            return self.session.beside(self.number, int(str(parameters[0]))) is not None
        if action == "whole":
            return not lesions
        if action in ("zoom", "boxes", "heat", "mask", "explain"):
            return bool(lesions)
        return True

    def action_lesion(self, step: int) -> None:
        if self.entry and self.entry.scan.lesions:
            self.at = (self.at + step) % len(self.entry.scan.lesions)
            self.filled()

    def action_photo(self, step: int) -> None:
        if other := self.session.beside(self.number, step):
            self.number = other.number
            self._begin()
            self.filled()

    def action_mask(self) -> None:
        self.mask = not self.mask
        entry = self.entry
        if self.mask and entry and all(lesion.mask is None for lesion in entry.scan.lesions):
            self.post_message(RescanAsked(entry.number, entry.flags, mask=True))
        self.draw()

    def action_whole(self) -> None:
        if self.entry:
            self.post_message(RescanAsked(self.number, self.entry.flags, whole=True))

    def action_flags(self) -> None:
        self.post_message(PageAsked("questions", self.number))

    def action_explain(self) -> None:
        self.post_message(PageAsked("explain", self.number, self.at))

    def action_numbers(self) -> None:
        self.post_message(PageAsked("numbers", self.number))

    def action_timeline(self) -> None:
        self.post_message(PageAsked("timeline", self.number))

    def action_retake(self) -> None:
        """Back to where this one came from."""
        source = self.entry.source if self.entry else ""
        by_camera = isinstance(source, Shot) and source.taken is not None
        self.post_message(PageAsked("camera" if by_camera else "home"))

    def action_forget(self) -> None:
        self.post_message(PageAsked("forget", self.number))
