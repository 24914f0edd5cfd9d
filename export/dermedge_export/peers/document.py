"""docs/BENCHMARKS.md, written whole from the figures: whoever reruns the bench rewrites it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..results import rows
from . import decoding
from .figures import BASE, OURS, goals, is_busy
from .operations import Operations
from .sizing import ASSUMED_GIGAHERTZ, BOARDS, CAREFUL, Board, Efficiency, cost, efficiency, measuring
from .submissions import Submission

Row = Mapping[str, Any]


def in_words(document: Mapping[str, Any], submissions: Sequence[Submission]) -> str:
    compact, wide = document.get("compact"), document.get("wide")
    parts = [
        "# Benchmarks",
        "Written by `make bench-peers`; nothing here is edited by hand. The raw figures are in "
        "[benchmarks.json](benchmarks.json).",
        "![Time and memory of every contestant](pictures/benchmarks.svg)",
        "## What was measured where",
        _where(document),
        "## Goals",
        rows(("what", "goal", "measured", ""), [(g.what, g.wanted, g.found, g.verdict) for g in goals(document)]),
    ]  # fmt: skip
    if compact:
        parts += _compact(compact, document["threads"])
    parts += _wide(wide) if wide else ["## Wide pack", "Not measured yet: `make bench-peers WIDE=1`."]
    if compact:
        parts += _sizing(document, submissions)
    return "\n\n".join(parts) + "\n"


def _where(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    clock = f" at up to {machine['megahertz'] / 1000:.1f} GHz" if machine["megahertz"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(document["versions"].items()))
    where = (
        f"{document['date']}: {machine['board'] or machine['processor']}{clock}, {machine['cores_used']} cores, "
        f"{machine['architecture']} with {', '.join(machine['instructions']) or 'no fast int8'}, "
        f"{machine['memory_mb'] / 1024:.0f} GB, {machine['system']}, Python {machine['python']}; {versions}. "
        f"Everybody had {document['threads']} threads."
    )
    if not is_busy(document, document["load"]):
        return where
    return (
        f"{where}\n\n**The machine was busy** (a load of {document['load']:.1f} on {machine['processors']} "
        "processors before the first round): other programs took part of every time, p95 above all, and runtimes "
        "whose threads wait by spinning suffer most. Do not quote these times or their ratios; run it again on an "
        "idle machine. Memory, sizes and agreement are right all the same."
    )


def _compact(compact: Mapping[str, Any], threads: int) -> list[str]:
    contestants: Mapping[str, Row] = compact["contestants"]
    groups = list(next(iter(contestants.values()))["scan_ms"])
    sameness = compact["sameness"]
    head = ["contestant", *(f"{g}: p50, ms" for g in groups), *(f"{g}: p95" for g in groups)]
    head += [f"{g}: times {BASE}" for g in groups]
    speed = [
        (name, *(f"{r['scan_ms'][g]['p50']:.1f}" for g in groups), *(f"{r['scan_ms'][g]['p95']:.1f}" for g in groups),
         *(f"{r['times_base'][g]:.2f}" for g in groups))
        for name, r in contestants.items()
    ]  # fmt: skip
    cost_head = (
        "contestant", "networks, MB", "processor time, ms", "load, ms", "cold start, ms", "peak MB", "private MB",
    )  # fmt: skip
    costs = [
        (name, f"{r['networks_mb']:.1f}", f"{r['processor_ms']['p50']:.0f}", f"{r['load_ms']:.0f}",
         f"{r['cold_start_ms']:.0f}", f"{r['peak_mb']:.0f}", f"{r['private_mb']:.0f}")
        for name, r in contestants.items()
    ]  # fmt: skip
    close_head = (
        "contestant", "least cosine", "centred cosine", "box moved, px", "malignant mass moved", "same first",
        "other boxes",
    )  # fmt: skip
    close = []
    for name, r in contestants.items():
        a = r["agreement"]
        close.append((
            name, f"{a['cosine']:.4f}", f"{a['centred_cosine']:.4f}", f"{a['box_pixels']:.1f}",
            f"{a['malignant_shift']:.4f}", f"{a['same_top']} of {a['embeddings']}", str(a["other_boxes"]),
        ))  # fmt: skip
    return [
        "## Compact pack: the whole scan",
        f"Pack {compact['pack']}, {threads} threads. Every contestant runs the same scan (decode, quality, "
        "detector, crop, tower with its views, scores, triage, heat map: this project's code), only the two "
        f"networks are run by another runtime. All of them are open at once and scan in turn, {compact['rounds']} "
        "rounds; \"times\" is the median over rounds of torch's time over the contestant's in the same round.",
        "The networks are the pack's own: weights written out as float32, the limits that the quantizer had folded "
        f"away put back. Torch's answers differ from that graph's by at most {sameness['torch']:.1e} of the largest "
        f"value, and the pack's tower from it by a cosine of at least {sameness['pack_cosine']:.4f}. Batch norms "
        "are folded for everybody. Torch gets pixels as its customary loaders lay them out, channels first, and in a "
        "row of its own with channels last.",
        rows(head, speed),
        *(f"{name} could not take part: {reason}" for name, reason in compact["left_out"].items()),
        f"What it costs. Cold start: from starting a process to the answer to {groups[0]}, median of "
        f"{compact['cold_starts']}; peak and private memory are the most of such a process and of the one that took "
        "its turn in every round. Private is what it holds after an answer and the system cannot drop and read again "
        "from a file: weights that are mapped do not count.",
        rows(cost_head, costs),
        "How close the answers stay to the float network's, on the sample photographs (whole frames and found "
        "boxes). Accuracy against labels is in the [model card](../artifacts/compact/MODEL_CARD.md), measured "
        "through the runtime with the pack's own networks.",
        rows(close_head, close),
        "### Where the time of a scan goes",
        _profile(contestants[OURS], contestants[BASE], groups[0]),
        decoding.in_words(compact["decoding"]),
    ]


def _profile(ours: Row, base: Row, group: str) -> str:
    total = sum(ours["steps_ms"].values())
    lines = [
        (step, f"{ms:.1f}", f"{100 * ms / total:.0f} %", f"{base['steps_ms'][step]:.1f}")
        for step, ms in ours["steps_ms"].items()
    ]
    head = ("part", "ms", "share", f"ms with {BASE}")
    return f"Medians of {group}, in which the tower saw {ours['crops']} crops.\n\n{rows(head, lines)}"


def _wide(wide: Mapping[str, Any]) -> list[str]:
    base = wide["contestants"][BASE]["seconds"]
    lines = []
    for name, r in wide["contestants"].items():
        lines.append((
            name, f"{r['megabytes']:.0f}", f"{r['load_seconds']:.2f}", _maybe(r["cold_seconds"], 2),
            f"{r['peak_mb']:.0f}", _maybe(r["private_mb"], 0), f"{r['seconds']:.3f}", f"{base / r['seconds']:.2f}",
            f"{r['cosine']:.5f}", f"{r['centred_cosine']:.4f}",
        ))  # fmt: skip
    head = (
        "contestant", "MB", "load, s", "first answer, s", "peak MB", "private MB", "s a crop", f"times {BASE}",
        "least cosine", "centred cosine",
    )  # fmt: skip
    return [
        "## Wide pack: the tower at its full size",
        f"MedSigLIP's architecture with random weights (the real ones are gated), 448 pixels, one crop at a time, "
        f"{wide['rounds']} rounds of {wide['crops']} crops in turn, measured {wide['date']}. Random weights say "
        "nothing about accuracy on real ones. \"Torch fp32, then Grad-CAM backwards\" is what the project's "
        "forerunner does for a score and a heat map; the graphs of `dermedge` give both in the one pass that is "
        "timed. First answer: from starting a process, without the pack's verification. Private memory is what the "
        "process holds after its crops.",
        rows(head, lines),
    ]  # fmt: skip


def _wide_work(wide: Mapping[str, Any], here: Board) -> tuple[Operations, float, Efficiency]:
    """Its efficiency is its own: matrix products run closer to the peak than small convolutions."""
    work, rows = Operations(**wide["operations"]), wide["contestants"]
    floats = Operations(floating=work.int8 + work.floating), rows["ONNX Runtime fp32"]["seconds"]
    return work, 0.0, efficiency(floats, (work, rows[wide["ours"]]["seconds"]), here)


def _maybe(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _sizing(document: Mapping[str, Any], submissions: Sequence[Submission]) -> list[str]:
    compact, wide, machine = document["compact"], document.get("wide"), document["machine"]
    here = measuring(machine["cores_used"], machine["megahertz"], machine["instructions"])
    ours = compact["contestants"][OURS]
    least = ours["steps_least_ms"]
    detector, tower = (Operations(**compact["operations"][name]) for name in ("detector", "tower"))
    crops = tower * (ours["crops"] * compact["views"])
    networks = {name: least[f"{name} network"] for name in ("detector", "tower")}
    reached = efficiency((detector, networks["detector"] / 1e3), (crops, networks["tower"] / 1e3), here)
    rest = sum(least.values()) - sum(networks.values())
    works = {"compact scan": (detector + crops, rest, reached)}
    if wide:
        works["wide tower, a crop"] = _wide_work(wide, here)
    lines = []
    for board in BOARDS:
        for name, (work, other, share) in works.items():
            found = cost(board, work, other, share)
            lines.append((board.name, name, "computed", f"{found.best:,.0f} to {found.careful:,.0f}", ""))
    for one in submissions:
        low = ", low memory" if one.low_memory else ""
        scan = f"scan of {one.lesions} lesion(s){low}" if one.comparable else f"another photograph{low}"
        what = f"{one.pack}: {scan}, {one.provider.removesuffix('ExecutionProvider')}"
        times = f"{one.scan_p50:,.0f} (p95 {one.scan_p95:,.0f})"
        lines.append((one.machine, what, "measured", times, f"{one.peak_mb:.0f}"))
    counted = {"detector": detector, "tower, one view of a crop": tower, **{n: work for n, (work, *_) in works.items()}}
    counts = [
        (name, f"{work.int8 / 1e9:.2f}", f"{work.floating / 1e9:.2f}", f"{work.weights / 1e6:.1f}")
        for name, work in counted.items()
    ]
    board_lines = [
        (b.name, str(b.cores), f"{b.gigahertz:g}", str(b.float_macs), str(b.int8_macs), f"{b.single:g}", b.why)
        for b in BOARDS
    ]
    hidden = "" if machine["megahertz"] else f" (taken as {ASSUMED_GIGAHERTZ} GHz: the machine hides its clock)"
    return [
        "## What other machines need",
        "**Rows marked \"computed\" were not measured on the machine they name.** Whoever has such a board can "
        "replace them: `dermedge bench --submit-file out.json` writes the figures and what they depend on "
        "(processor, cores, system, versions; no host name, no user, no serial number); put the file into "
        "`docs/submissions/` and run `make bench-peers NO_MEASURE=1`.",
        rows(("machine", "what", "", "ms", "peak MB"), lines),
        *(["The measuring machine was busy: computed times are too long."] * is_busy(document, document["load"])),
        "Multiply-adds in 10⁹, counted from the graphs (convolutions and matrix products):",
        rows(("graph", "int8", "float", "weights, MB"), counts),
        f"Assumptions. On the measuring machine{hidden} the fastest round reached {100 * reached.floating:.0f} % of "
        f"the peak in float and {100 * reached.int8:.0f} % in int8. The shorter time of each range has the board "
        f"reach the same share of its own peak, the longer one {CAREFUL:g} of that share, as small caches and slow "
        "memory allow less; the wide tower's rows use its own share. Everything that is no network is scaled by the "
        "speed of a single core, estimated from public single-core benchmarks, a Zen 5 server core being 1. Clocks are "
        "not throttled by heat.",
        rows(("machine", "cores", "GHz", "float multiply-adds a clock", "int8", "one core", "why"), board_lines),
    ]
