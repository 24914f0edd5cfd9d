"""A stranger's way: from the invitation to the take-away, by touch and by keys."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from dermedge import RED_FLAGS
from dermedge_tui import language
from dermedge_tui.kiosk.station import Station
from dermedge_tui.language import LANGUAGES
from kiosk_stage import KioskStage, play, station


def test_by_touch_from_the_invitation_to_the_take_away(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        assert stage.page == "AttractPage" and "Touch the screen or press any key" in stage.words()
        await stage.touch((40, 20))
        assert stage.page == "LanguagesPage" and all(name in stage.text() for name in LANGUAGES.values())
        await stage.touch("#de")
        assert stage.page == "ConsentPage" and "Was das ist" in stage.text()
        await stage.touch("#done")
        assert stage.page == "AttractPage", "no consent, no session"
        await stage.to_the_camera()
        assert stage.page == "KioskCameraPage"
        await stage.photograph(photos / "arm.png")
        assert stage.page == "ResultPage" and "■ URGENT: See a doctor within days" in stage.text()
        assert "Lesion 1 of 2" in stage.text()
        await stage.touch("#next")
        assert "Lesion 2 of 2: ● WATCH" in stage.text()
        await stage.touch("#explain")
        assert "does not show where the disease is" in stage.words()
        await stage.touch("#back")
        await stage.touch("#takeaway")
        assert stage.page == "TakeawayPage" and "URGENT. See a doctor within days." in stage.words()
        await stage.touch("#done")
        assert stage.page == "AttractPage"

    play(script, at)
    assert at.counts.of(1) == {"sessions": 2, "photographs": 1, "level urgent": 1, "wipe done": 2, "error camera": 1}


def test_by_keys_alone_enter_goes_the_usual_way(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.press("space", "enter", "enter")
        assert stage.page == "KioskCameraPage"
        await stage.photograph(photos / "mole.png")
        await stage.press("enter")
        assert stage.page == "TakeawayPage", "what most people want has the focus"
        await stage.press("left", "enter")
        assert stage.page == "ResultPage"
        await stage.press("right", "enter")
        assert stage.page == "AttractPage"

    play(script, at)


def test_stated_red_flags_raise_the_level_and_the_take_away(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "mole.png")
        assert "● WATCH" in stage.text()
        await stage.touch("#questions")
        assert "can only raise the level, never lower it" in stage.words()
        await stage.touch("#bleeding")
        await stage.touch("#itching")
        await asyncio.sleep(0.3)  # two touches in one breath are a trembling finger
        await stage.touch("#itching")
        assert stage.text().count("[X]") == 1 and stage.text().count("[ ]") == len(RED_FLAGS) - 1
        await stage.touch("#save")
        assert stage.page == "ResultPage" and "▲ REFER" in stage.text()
        assert stage.app.session.entries[0].flags == ("bleeding",)
        await stage.touch("#questions")
        assert stage.text().count("[X]") == 1, "as it was saved"
        await stage.touch("#back")
        await stage.touch("#takeaway")
        assert "REFER. Have a doctor look at it" in stage.words()

    play(script, at)


def test_what_fits_on_no_screen_is_reached_by_the_arrows(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "arm.png")
        assert "A screening aid, not a diagnosis." not in stage.words()
        assert stage.app.screen.query_one("#up").disabled
        for _ in range(5):
            await stage.touch("#down")
        assert "A screening aid, not a diagnosis." in stage.words()
        assert stage.app.screen.query_one("#down").disabled
        await stage.touch("#up")
        assert not stage.app.screen.query_one("#down").disabled

    play(script, at)


def test_a_photograph_that_cannot_be_judged_gets_another_try(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "broken.jpg")
        assert stage.page == "AgainPage" and "no photograph in a format that can be read" in stage.words()
        await stage.touch("#another")
        assert stage.page == "KioskCameraPage"
        await stage.photograph(photos / "skin.png")
        assert stage.page == "ResultPage" and "UNCLEAR" in stage.text()
        assert not stage.app.screen.query_one("#explain").display, "there is nothing to explain"

    play(script, at)
    assert at.counts.of(1)["error photograph"] == 1
    assert at.journal.last(1)[0].partition("photograph: ")[2].startswith("PhotoFormatUnknown")


def test_the_invitation_comes_in_one_language_after_the_other(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        seen = []
        for _ in LANGUAGES:
            seen.append(language.chosen())
            stage.app.screen._turn()
            await stage.settle()
        assert sorted(seen) == sorted(LANGUAGES)
        await stage.touch((40, 20))
        now = language.chosen()
        stage.app.screen_stack[1]._turn()
        assert language.chosen() == now, "nobody's language changes while they read"

    play(script, at)


def test_a_pack_that_cannot_be_opened_is_out_of_order_until_it_is_repaired(
    tmp_path: Path, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the invitation would come to its second language before the end.
    monkeypatch.setattr("dermedge_tui.kiosk.screens.attract.EACH", 3600.0)
    broken = station(tmp_path, tmp_path / "no-pack")

    async def script(stage: KioskStage) -> None:
        assert "Out of order. Please tell the staff." in stage.words()
        await stage.touch((40, 20))
        await stage.press("enter")
        assert stage.page == "AttractPage", "there is nothing to begin"
        await stage.press("ctrl+o")
        await stage.enter()
        assert stage.page == "OperatorPage" and "no-pack" in stage.words()
        await stage.touch("#done")
        stage.app._opening.again()
        await stage.settle()
        assert "Out of order" in stage.words()
        shutil.copytree(pack, tmp_path / "no-pack")
        stage.app._opening.again()
        await stage.settle()
        assert "Touch the screen or press any key" in stage.words()
        await stage.to_the_camera()
        assert stage.page == "KioskCameraPage"

    play(script, broken)
    assert broken.counts.of(1)["error pack"] == 1, "counted once, however often it was tried"
    assert "pack" not in broken.troubles
