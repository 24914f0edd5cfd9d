"""Everything that can be touched is large enough, and every word is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widget import Widget
from textual.widgets import Button, Static

from dermedge_tui import language
from dermedge_tui.kiosk.station import Station
from dermedge_tui.language import LANGUAGES
from kiosk_stage import KioskStage, play

LEAST = 5
"""Lines; and so many columns at least."""


def too_small(stage: KioskStage) -> list[str]:
    """Targets that a finger misses, or that lie outside the screen or on each other."""
    shown = [b for b in stage.app.screen.query(Button) if b.display and b.region.area and b.is_on_screen]
    screen = stage.app.screen.region
    found = [
        f"{button.id} {button.region}"
        for button in shown
        if button.region.height < LEAST or button.region.width < LEAST or button.region not in screen
    ]
    for i, one in enumerate(shown):
        found += [f"{one.id} lies on {other.id}" for other in shown[i + 1 :] if one.region.overlaps(other.region)]
    return found


def cut_off(widget: Widget) -> bool:
    """Whether a widget has less room than its words need; what scrolls is not cut off."""
    if not (widget.display and widget.is_on_screen):
        return False
    room = widget.content_size
    if isinstance(widget, Button):
        longest = max((len(word) for word in str(widget.label).split()), default=0)
        wrapped = widget.label.get_height(widget.styles, room.width)
        return longest > room.width or wrapped > room.height
    return widget.visual.get_height(widget.styles, room.width) > room.height


async def everywhere(stage: KioskStage, photos: Path, check: object, code: str = "en") -> None:
    """Every page, one after the other."""
    assert callable(check)
    check()
    await stage.touch((40, 20))
    check()
    await stage.touch(f"#{code}")
    check()
    await stage.touch("#agree")
    check()
    await stage.photograph(photos / "broken.jpg")
    check()
    await stage.photograph(photos / "arm.png")
    check()
    for page in ("questions", "explain", "takeaway"):
        await stage.touch(f"#{page}")
        check()
        await stage.touch("#back")
    await stage.pass_time(62)
    check()
    await stage.press("space")
    await stage.press("ctrl+o")
    check()
    await stage.enter()
    check()
    await stage.touch("#newpin")
    check()
    await stage.touch("#back")
    await stage.touch("#done")
    assert stage.page == "AttractPage"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_every_target_is_at_least_five_lines_high(at: Station, photos: Path, size: tuple[int, int]) -> None:
    pages: dict[str, int] = {}

    async def script(stage: KioskStage) -> None:
        def check() -> None:
            assert not too_small(stage), stage.page
            pages[stage.page] = len(stage.app.screen.query(Button))

        await everywhere(stage, photos, check)

    play(script, at, size=size)
    assert len(pages) == 13, pages
    assert all(count for page, count in pages.items() if page not in ("AttractPage", "CountdownPage"))


@pytest.mark.parametrize(("code", "theme"), [*((code, "dark") for code in LANGUAGES), ("de", "console")])
def test_no_word_is_cut_off_at_eighty_columns(
    station_with: Callable[..., Station], photos: Path, code: str, theme: str
) -> None:
    async def script(stage: KioskStage) -> None:
        def check() -> None:
            stage.app.screen.refresh(layout=True)
            cut = [w for w in stage.app.screen.query("Static, Button").results(Static | Button) if cut_off(w)]
            assert not cut, f"{stage.page} {code}: {cut}"

        language.choose(code)
        stage.app.screen.refresh(recompose=True)
        await stage.settle()
        await everywhere(stage, photos, check, code)

    play(script, station_with(theme=theme))


def test_resizing_loses_nothing(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "arm.png")
        await stage.touch("#questions")
        await stage.touch("#growing")
        await stage.resize(120, 40)
        await stage.resize(80, 24)
        assert stage.text().count("[X]") == 1 and not too_small(stage)

    play(script, at)
