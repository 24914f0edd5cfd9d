"""Every number behind an answer: steps, times, quality, scores, and the thresholds that were applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from dermedge import Quality

from ..language import N_, _
from ..page import Page
from ..session import Entry, Queue, Session
from ..widgets.picture import Picture, View

if TYPE_CHECKING:
    from dermedge import Scanner

Line = tuple[str, str]


class NumbersPage(Page):
    """For who wants to check; in the runtime's own words, which are English."""

    CSS_PATH = "numbers.tcss"
    HELP = N_("Everything that the runtime reported about this photograph, unrounded where it matters.")
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, session: Session, queue: Queue, number: int, scanner: Scanner | None) -> None:
        super().__init__(session, queue)
        self._entry = session.get(number)
        self._scanner = scanner

    def body(self) -> ComposeResult:
        with Horizontal(id="middle"):
            with VerticalScroll(id="text"):
                for title, lines in self._sections():
                    yield Static(Content(title), classes="title")
                    widest = max((len(name) for name, _value in lines), default=0)
                    yield Static(Content("\n".join(f"{name:<{widest}}  {value}" for name, value in lines)))
            with VerticalScroll(id="steps", can_focus=False):
                if self._entry and self._entry.scan.lesions:
                    yield Static(Content(_("The frame, and what the network saw of each lesion")), classes="title")
                    yield Picture(classes="step")
                    for lesion in self._entry.scan.lesions:
                        if lesion.saliency:
                            yield Static(Content(f"{lesion.number}"), classes="title")
                            yield Picture(classes="step")

    def filled(self) -> None:
        self.query_one("#text").focus()
        if self._entry:
            scan = self._entry.scan
            regions = [lesion.saliency.region for lesion in scan.lesions if lesion.saliency]
            views = [View(scan), *(View(scan, region, boxes=False, heat=True, mask=True) for region in regions)]
            for picture, view in zip(self.query(Picture), views, strict=False):
                picture.show(view)

    def _sections(self) -> Iterator[tuple[str, list[Line]]]:
        if self._entry is None:
            return
        scan = self._entry.scan
        yield _("Time"), [(step, f"{seconds * 1000:8.1f} ms") for step, seconds in scan.seconds.items()]
        yield _("Machine"), self._machine(self._entry)
        photo = scan.photo
        yield _("The photograph"), [
            ("format", photo.format),
            ("size", f"{photo.width} x {photo.height}, kept at {photo.scale:.3f}"),
            ("modality", str(scan.modality)),
            *_quality(scan.quality),
        ]
        for lesion in scan.lesions:
            scores = lesion.scores
            yield f"{_('Lesion')} {lesion.number}", [
                ("box x,y,w,h", str(lesion.box.as_xywh())),
                ("detector confidence", f"{lesion.confidence:.4f}" + (", by hand" if lesion.by_hand else "")),
                *((condition, f"{p:.4f}") for condition, p in scores.ranked()),
                ("malignant", f"{scores.malignant:.4f}"),
                ("referral", f"{scores.referral:.4f}"),
                ("rejection", f"{scores.rejection:.4f}" + (", rejected" if scores.rejected else "")),
                ("calibrated", str(scores.calibrated)),
                *_quality(lesion.quality),
                ("level", lesion.verdict.level),
                *(("rule", reason) for reason in lesion.verdict.reasons),
            ]
        if scan.rejected:
            yield _("Looked at, and recognised as no lesion"), [
                (str(found.box.as_xywh()), f"confidence {found.confidence:.4f}") for found in scan.rejected
            ]
        yield from self._thresholds(self._entry)

    def _machine(self, entry: Entry) -> list[Line]:
        scan = entry.scan
        lines = [
            ("provider", scan.provider),
            ("pack", f"{scan.pack.id} {scan.pack.version}" + ("" if scan.pack.calibrated else ", uncalibrated")),
            ("digest", scan.pack.digest[:16]),
        ]
        if self._scanner is not None:
            settings = self._scanner.settings
            lines += [
                ("threads", str(settings.threads or "automatic")),
                ("low memory", str(settings.low_memory)),
            ]
        return lines

    def _thresholds(self, entry: Entry) -> Iterator[tuple[str, list[Line]]]:
        if self._scanner is None or entry.scan.modality is None:
            return
        manifest = self._scanner.pack.manifest
        scoring, triage = manifest.scoring[entry.scan.modality], manifest.triage[entry.scan.modality]
        lines = [("temperature", f"{scoring.temperature:.3f}"), ("rejection from", f"{scoring.rejection:.3f}")]
        for name in ("urgent", "refer", "refer_premalignant", "unclear"):
            cut = getattr(triage, name)
            measured = "" if cut.sensitivity is None else f"  sensitivity {cut.sensitivity:.3f} of {cut.positives}"
            lines.append((f"{name} from", f"{cut.value:.3f}{measured}"))
        lines.append(("reassure from", f"{triage.reassure:.3f}"))
        lines.append(("detector from", f"{manifest.detector.confidence:.3f}"))
        yield _("Thresholds"), lines


def _quality(quality: Quality) -> list[Line]:
    return [
        ("sharpness", f"{quality.sharpness:.3f}"),
        ("exposure", f"{quality.exposure:.3f}"),
        ("contrast", f"{quality.contrast:.3f}"),
        ("glare", f"{quality.glare:.4f}"),
        ("short side", f"{quality.size} px"),
        ("problems", ", ".join(quality.problems) or "-"),
    ]
