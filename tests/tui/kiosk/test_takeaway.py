"""The take-away code: what it says, and that a reader gets it off the screen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray

from dermedge import LEVELS
from dermedge_tui import language
from dermedge_tui.kiosk import takeaway
from dermedge_tui.kiosk.app import KioskApp
from dermedge_tui.kiosk.station import Station
from dermedge_tui.kiosk.widgets.code import Code
from dermedge_tui.language import LANGUAGES
from dermedge_tui.themes import THEMES
from kiosk_stage import KioskStage, play

CELL = (8, 16)
"""Pixels."""


def photographed(app: KioskApp) -> NDArray[np.uint8]:
    """The screen as it looks: each cell's colours, in the halves that its character fills."""
    lines = app.screen._compositor.render_strips()[: app.size.height]
    width, height = CELL
    picture = np.zeros((len(lines) * height, app.size.width * width, 3), np.uint8)
    halves = {"▀": ("front", "behind"), "▄": ("behind", "front"), "█": ("front", "front")}
    for y, line in enumerate(lines):
        x = 0
        for segment in line:
            style = segment.style
            known = {
                "front": style.color.get_truecolor() if style and style.color else (200, 200, 200),
                "behind": style.bgcolor.get_truecolor() if style and style.bgcolor else (0, 0, 0),
            }
            for letter in segment.text:
                upper, lower = halves.get(letter, ("behind", "behind"))
                cell = picture[y * height : (y + 1) * height, x * width : (x + 1) * width]
                cell[: height // 2], cell[height // 2 :] = known[upper], known[lower]
                x += 1
    return picture


def test_a_reader_gets_the_words_off_the_screen_in_every_theme_and_size(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "arm.png")
        await stage.touch("#takeaway")
        for size in ((80, 24), (120, 40)):
            await stage.resize(*size)
            for theme in THEMES:
                stage.app.theme = theme
                await stage.settle()
                (found,) = zxingcpp.read_barcodes(photographed(stage.app))
                assert found.text == takeaway.words("urgent", date.today()), (theme, size)
                assert found.format == zxingcpp.BarcodeFormat.QRCode
        assert "URGENT. See a doctor within days." in found.text and "no diagnosis" in found.text

    play(script, at)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("level", LEVELS)
def test_it_fits_into_24_lines_in_every_language(level: str, code: str) -> None:
    language.choose(code)
    text = takeaway.words(level, date(2026, 12, 30))  # type: ignore[arg-type]
    assert Code(takeaway.modules(text)).fit(24), f"{len(text.encode())} bytes"


def test_the_words_are_the_level_what_to_do_the_day_and_what_this_is() -> None:
    assert takeaway.words("refer", date(2026, 3, 1)) == (
        "dermedge 2026-03-01\nREFER. Have a doctor look at it within weeks.\nA screening aid, no diagnosis."
    )
    assert set(takeaway.TO_DO) == set(LEVELS)


def test_a_screen_that_is_too_low_says_so_and_shows_the_words(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "mole.png")
        await stage.touch("#takeaway")
        assert "cannot show the code" not in stage.words()
        await stage.resize(80, 18)
        assert zxingcpp.read_barcodes(photographed(stage.app)) == []
        assert "WATCH. Look again" in stage.said("#words")
        assert stage.app.screen.query_one("#missing").display
        assert "cannot show the code" in stage.said("#missing")
        await stage.resize(80, 24)
        assert len(zxingcpp.read_barcodes(photographed(stage.app))) == 1

    play(script, at)


def test_without_colours_no_code_is_shown_that_no_phone_reads(
    at: Station, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "mole.png")
        await stage.touch("#takeaway")
        assert not stage.app.screen.query_one("#code").display
        assert "WATCH. Look again" in stage.words() and "cannot show the code" in stage.words()

    play(script, at)
