"""Every number behind an answer, in the runtime's own words, which are English."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dermedge import CUT_LIMITS, QUALITY_LIMITS, Facts, Lesion, Modality, Quality, Terms

from .language import _
from .session import Entry

if TYPE_CHECKING:
    from dermedge import Scanner

Line = tuple[str, str]
Section = tuple[str, list[Line]]

HEADS = " ".join(f"{head:>8}" for head in ("cosine", "bias", "logit", "shift", "share"))
NAMES = {"size": "short side"}


def sections(entry: Entry, scanner: Scanner | None) -> Iterator[Section]:
    """Time, machine, photograph, each lesion with its sum, what was refused, and the cuts that were applied."""
    scan = entry.scan
    yield _("Time"), [(step, f"{seconds * 1000:8.1f} ms") for step, seconds in scan.seconds.items()]
    yield _("Machine"), _machine(entry, scanner)
    yield _("The photograph"), _photograph(entry, scanner)
    for lesion in scan.lesions:
        yield f"{_('Lesion')} {lesion.number}", [*_lesion(lesion, entry, scanner), *_sum(lesion, entry, scanner)]
    if scan.rejected:
        yield _("Looked at, and recognised as no lesion"), _refused(entry, scanner)
    if scanner is not None and scan.modality is not None:
        yield f"{_('Thresholds')}: {scan.modality}", _cuts(entry, scanner, scan.modality)


def _machine(entry: Entry, scanner: Scanner | None) -> list[Line]:
    scan = entry.scan
    lines = [
        ("provider", scan.provider),
        ("pack", f"{scan.pack.id} {scan.pack.version}" + ("" if scan.pack.calibrated else ", uncalibrated")),
        ("digest", scan.pack.digest),
        ("profile", scan.profile or "-"),
    ]
    if scanner is not None:
        lines += [("threads", str(scanner.threads)), ("low memory", str(scanner.settings.low_memory))]
    return lines


def _photograph(entry: Entry, scanner: Scanner | None) -> list[Line]:
    scan, trace = entry.scan, entry.trace
    photo = scan.photo
    lines = [
        ("format", photo.format),
        ("size", f"{photo.width} x {photo.height}, kept at {photo.scale:.3f}"),
        *(("note", note) for note in photo.notes),
        *_quality(scan.quality),
        ("modality", str(scan.modality)),
    ]
    if trace and scanner and trace.looks:
        working = scanner.scorer.working(trace.looks[0].embedding.vector, scan.modality or "phone", Facts())
        lines += [(f"  {modality}", f"{share:.4f}") for modality, share in working.modalities.items()]
    return lines


def _lesion(lesion: Lesion, entry: Entry, scanner: Scanner | None) -> list[Line]:
    scores = lesion.scores
    against = {"malignant": "", "referral": "", "rejection": ""}
    if scanner is not None:
        manifest = scanner.manifest(entry.profile)
        triage = manifest.triage[scores.modality]
        against = {
            "malignant": f"  urgent from {triage.urgent.value:.4f}, refer from {triage.refer.value:.4f}",
            "referral": f"  refer from {triage.refer_premalignant.value:.4f}, unclear from {triage.unclear.value:.4f}",
            "rejection": f"  no lesion from {manifest.scoring[scores.modality].rejection:.4f}",
        }
    return [
        ("box x,y,w,h", " ".join(f"{value:.1f}" for value in lesion.box.as_xywh())),
        ("detector", f"{lesion.confidence:.4f}" + (", by hand" if lesion.by_hand else "")),
        ("level", lesion.verdict.level),
        *(("rule", reason) for reason in lesion.verdict.reasons),
        ("malignant", f"{scores.malignant:.4f}{against['malignant']}"),
        ("referral", f"{scores.referral:.4f}{against['referral']}"),
        ("rejection", f"{scores.rejection:.4f}{against['rejection']}"),
        ("calibrated", str(scores.calibrated)),
        *_quality(lesion.quality),
    ]


def _sum(lesion: Lesion, entry: Entry, scanner: Scanner | None) -> list[Line]:
    """From cosines to probabilities, where the embedding was kept."""
    ranked, shifts = lesion.scores.ranked(), [("fact", shift) for shift in lesion.scores.shifts]
    looks = entry.trace.looks if entry.trace else ()
    look = next((look for look in looks if look.detection.box == lesion.box), None)
    if look is None or scanner is None:
        return [*shifts, *((id, f"{p:.4f}") for id, p in ranked), ("", _("F12 keeps the cosines and logits too."))]
    scorer = scanner.scorer.under(scanner.manifest(entry.profile))
    working = scorer.working(look.embedding.vector, lesion.scores.modality, Facts())
    terms = working.conditions
    return [
        ("scale", f"{working.scale:.3f}"),
        ("temperature", f"{working.temperature:.3f}"),
        *shifts,
        ("", HEADS),
        *((id, f"{_terms(terms[id])} {terms[id].shift:8.3f} {p:8.4f}") for id, p in ranked),
        *((f"no lesion {number}", _terms(term)) for number, term in enumerate(working.rejects, 1)),
    ]


def _terms(terms: Terms) -> str:
    return f"{terms.cosine:8.4f} {terms.bias:8.3f} {terms.logit:8.3f}"


def _refused(entry: Entry, scanner: Scanner | None) -> list[Line]:
    trace = entry.trace
    vectors = {look.detection.box: look.embedding.vector for look in trace.looks} if trace else {}
    lines = []
    for found in entry.scan.rejected:
        said = f"confidence {found.confidence:.4f}"
        if scanner is not None and found.box in vectors:
            modality = entry.scan.modality or scanner.scorer.modality(vectors[found.box])[0]
            scores = scanner.scorer.score(vectors[found.box], modality, Facts())
            said += f", rejection {scores.rejection:.4f}"
        lines.append((" ".join(f"{value:.1f}" for value in found.box.as_xywh()), said))
    return lines


def _cuts(entry: Entry, scanner: Scanner, modality: Modality) -> list[Line]:
    manifest, own = scanner.manifest(entry.profile), scanner.pack.manifest
    lines = []
    for name in ("urgent", "refer", "refer_premalignant", "unclear"):
        cut, packs = getattr(manifest.triage[modality], name), getattr(own.triage[modality], name)
        said = f"{cut.value:.4f}"
        if cut.sensitivity is not None:
            said += f", sensitivity {cut.sensitivity:.3f} of {cut.positives}"
        if cut != packs:
            said += f", the pack's {packs.value:.4f}"
        if name != "unclear":
            said += f", fixed {CUT_LIMITS[name].high:.2f}"
        lines.append((f"{name} from", said))
    calibration = entry.profile.calibration if entry.profile else None
    return [
        *lines,
        ("reassure from", f"{manifest.triage[modality].reassure:.4f}"),
        ("lead to reassure", f"{(calibration and calibration.margin) or 0.0:.4f}"),
        ("temperature", f"{manifest.scoring[modality].temperature:.4f}"),
        ("rejection from", f"{manifest.scoring[modality].rejection:.4f}"),
        ("detector from", f"{manifest.detector.confidence:.4f}"),
        ("crop context", f"{manifest.tower.context:.3f}"),
    ]


def _quality(quality: Quality) -> list[Line]:
    """Each measure, and the limits that it has to keep."""
    lines = []
    for name, (low, high) in QUALITY_LIMITS.items():
        limits = [f"from {low:g}"] if low is not None else []
        limits += [f"up to {high:g}"] if high is not None else []
        lines.append((NAMES.get(name, name), f"{getattr(quality, name):<8.4g} {', '.join(limits)}"))
    return [*lines, ("problems", ", ".join(quality.problems) or "-")]
