"""No way out without the PIN."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Paste

from dermedge_tui.kiosk.station import Station
from kiosk_stage import PIN, KioskStage, play

KEYS = (
    "ctrl+c", "ctrl+q", "ctrl+z", "ctrl+backslash", "ctrl+d", "ctrl+p", "ctrl+s", "ctrl+r", "escape", "q", "f1", "f2",
    "f3", "f4", "f10", "f12", "question_mark", "slash", "colon", "t", "d", "delete", "ctrl+w", "ctrl+t", "ctrl+x",
    "shift+tab", "tab", "home", "ctrl+end",
)


def test_no_key_leads_out_of_any_page(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        async def tried(page: str) -> None:
            assert stage.page == page
            for key in KEYS:
                await stage.pilot.press(key)
            await stage.settle()
            assert stage.app.is_running and stage.app.return_code is None
            assert stage.page == page, "what is no touch of a button leads nowhere"

        await stage.to_the_camera()
        await tried("KioskCameraPage")
        await stage.photograph(photos / "arm.png")
        await tried("ResultPage")
        for name, page in (("questions", "QuestionsPage"), ("explain", "ExplainPage"), ("takeaway", "TakeawayPage")):
            await stage.touch(f"#{name}")
            await tried(page)
            await stage.touch("#back")
        await stage.press("ctrl+o")
        await tried("PinPage")

    play(script, at)


def test_any_key_begins_and_none_quits(at: Station) -> None:
    for key in ("ctrl+c", "ctrl+q", "ctrl+z", "ctrl+backslash", "escape"):
        async def script(stage: KioskStage, key: str = key) -> None:
            await stage.press(key)
            assert stage.app.is_running and stage.page == "LanguagesPage"

        play(script, at)


def test_pasting_and_dropping_do_nothing(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        for text in (str(photos / "arm.png"), "x" * 1_000_000, f"file://{photos}/arm.png"):
            stage.app._driver.send_message(Paste(text))
            await stage.settle()
        assert stage.page == "KioskCameraPage" and stage.app.session.entries == ()

    play(script, at)


def test_the_corner_asks_for_the_pin_and_nothing_opens_without(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.touch((1, 1))
        assert stage.page == "AttractPage", "a touch of the corner begins nothing"
        await stage.knock()
        assert stage.page == "PinPage"
        assert "●" not in stage.text()
        for digits in ("111111", "", "271829"):
            await stage.enter(digits)
            assert stage.page == "PinPage" and "Wrong PIN" in stage.words()
        assert "The next try is possible in" in stage.words()
        await stage.enter(PIN)
        assert stage.page == "PinPage", "not even the right one, before its time"
        await stage.touch("#back")
        await stage.knock()
        assert at.lock.wait > 0, "leaving the page forgets nothing"
        assert at.counts.of(1)["wrong PINs"] >= 3

    play(script, at)


def test_no_touch_of_a_digit_is_lost_however_fast_they_come(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.press("ctrl+o")
        region = stage.app.screen.query_one("#digit-1").region
        for _ in range(6):
            await stage.tap((region.x + 2, region.y + 2))
        await stage.settle()
        assert stage.text().count("●") == 6

    play(script, at)


def test_a_restart_keeps_the_wait(at: Station, tmp_path: Path, pack: Path) -> None:
    from kiosk_stage import station

    for _ in range(4):
        at.lock._until = 0.0
        at.opens("000000")
    again = station(tmp_path, pack)

    async def script(stage: KioskStage) -> None:
        await stage.press("ctrl+o")
        assert "The next try is possible in" in stage.words()
        await stage.enter(PIN)
        assert stage.page == "PinPage"

    play(script, again)


def test_the_digits_can_be_typed_and_are_never_shown(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.press("ctrl+o", *PIN[:5], "9", "backspace", PIN[5])
        assert stage.text().count("●") == 6 and PIN not in stage.text().replace(" ", "")
        await stage.press("enter")
        assert stage.page == "OperatorPage"

    play(script, at)


@pytest.mark.parametrize("action", ["quit", "help_quit", "suspend_process", "command_palette"])
def test_what_the_toolkit_could_do_is_bound_to_nothing(at: Station, action: str) -> None:
    async def script(stage: KioskStage) -> None:
        for page in stage.app.screen_stack:
            bound = [binding.action for keys in page._bindings.key_to_bindings.values() for binding in keys]
            assert action not in bound and f"app.{action}" not in bound
        bound = [binding.action for keys in stage.app._bindings.key_to_bindings.values() for binding in keys]
        assert bound == ["call_operator"]

    play(script, at)
