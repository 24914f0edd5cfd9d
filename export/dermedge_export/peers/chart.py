"""The chart beside the tables: time and memory of every contestant, as an SVG without any library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .figures import is_busy

WIDTH, LEFT, RIGHT = 920, 290, 70
BAR, GAP, HEAD, FOOT = 18, 8, 46, 14
INK, MUTED, OURS, OTHERS, LINE = "#1f2933", "#616e7c", "#0b7285", "#adb5bd", "#e4e7eb"


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    value: float
    reach: float | None
    """Where the thin line behind the bar ends: the 95th percentile."""
    ours: bool


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    bars: tuple[Bar, ...]


def draw(document: Mapping[str, Any]) -> str:
    panels = []
    busy = ", on a busy machine" if is_busy(document, document["load"]) else ""
    if compact := document.get("compact"):
        rows = compact["contestants"]
        for group in next(iter(rows.values()))["scan_ms"]:
            bars = [Bar(n, r["scan_ms"][group]["p50"], r["scan_ms"][group]["p95"], _ours(n)) for n, r in rows.items()]
            panels.append(Panel(f"Compact pack: one scan of {group}{busy}", "ms", tuple(bars)))
        bars = [Bar(n, r["peak_mb"], None, _ours(n)) for n, r in rows.items()]
        panels.append(Panel("Compact pack: peak memory", "MB", tuple(bars)))
    if wide := document.get("wide"):
        rows = wide["contestants"]
        bars = [Bar(n, r["seconds"], None, _ours(n)) for n, r in rows.items()]
        busy = ", on a busy machine" if is_busy(document, wide["load"]) else ""
        panels.append(Panel(f"Wide tower, random weights: one crop{busy}", "s", tuple(bars)))
    return _svg(panels)


def _ours(name: str) -> bool:
    return name.startswith("dermedge")


def _svg(panels: Sequence[Panel]) -> str:
    heights = [HEAD + len(panel.bars) * (BAR + GAP) + FOOT for panel in panels]
    total = sum(heights)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" width="{WIDTH}" height="{total}" '
        'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{total}" fill="#ffffff"/>',
    ]
    top = 0
    for panel, height in zip(panels, heights, strict=True):
        parts += _panel(panel, top)
        top += height
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    longest = max(max(bar.value, bar.reach or 0) for bar in panel.bars)
    scale = (WIDTH - LEFT - RIGHT) / longest
    bottom = top + HEAD + len(panel.bars) * (BAR + GAP)
    note = ", median; line to p95" if any(bar.reach for bar in panel.bars) else ""
    lines = [
        f'<text x="16" y="{top + 26}" font-size="14" font-weight="bold" fill="{INK}">{escape(panel.title)}</text>',
        f'<text x="{WIDTH - 16}" y="{top + 26}" text-anchor="end" fill="{MUTED}">'
        f"{panel.unit}{note}; shorter is better</text>",
        f'<line x1="{LEFT}" y1="{top + HEAD - 6}" x2="{LEFT}" y2="{bottom}" stroke="{LINE}"/>',
    ]
    for place, bar in enumerate(panel.bars):
        y = top + HEAD + place * (BAR + GAP)
        middle, end = y + BAR / 2, LEFT + bar.value * scale
        colour, weight = (OURS, "bold") if bar.ours else (OTHERS, "normal")
        lines.append(
            f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end" font-weight="{weight}" fill="{INK}">'
            f"{escape(bar.name)}</text>"
        )
        if bar.reach:
            reach = LEFT + bar.reach * scale
            lines.append(f'<line x1="{end:.1f}" y1="{middle}" x2="{reach:.1f}" y2="{middle}" stroke="{MUTED}"/>')
        lines.append(f'<rect x="{LEFT}" y="{y}" width="{bar.value * scale:.1f}" height="{BAR}" fill="{colour}"/>')
        digits = 0 if longest >= 100 else 2 if longest < 10 else 1
        lines.append(
            f'<text x="{max(end, LEFT + (bar.reach or 0) * scale) + 6:.1f}" y="{middle + 4}" fill="{INK}">'
            f"{bar.value:.{digits}f}</text>"
        )
    return lines
