"""A kiosk that fails is followed by a fresh one; nothing leaves the loop but the operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from dermedge_tui.kiosk.app import KioskApp
from dermedge_tui.kiosk.attend import GIVEN_UP, OFTEN, attend
from dermedge_tui.kiosk.screens.result import ResultPage
from dermedge_tui.kiosk.station import Station
from kiosk_stage import PIN, Clock, KioskStage, alive

pytestmark = pytest.mark.alone

Play = Callable[[KioskStage], Awaitable[None]]


def attended(at: Station, *scripts: Play) -> tuple[int, list[str]]:
    """One script for each application in turn; the status, and what each began with."""
    left = list(scripts)
    began: list[str] = []

    def run(app: KioskApp) -> None:
        async def pilot(pilot: Pilot[int]) -> None:
            stage = KioskStage(app, pilot, Clock())
            await stage.settle()
            began.append(stage.page)
            await left.pop(0)(stage)
            await pilot.pause(0.2)

        app.run(headless=True, size=(80, 24), auto_pilot=pilot)

    return attend(at, KioskApp, run), began


async def quit_by_pin(stage: KioskStage) -> None:
    await stage.press("ctrl+o", *PIN, "enter")
    await stage.touch("#leave")


def failing_with(photos: Path) -> Play:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "arm.png")
        assert stage.page == "ResultPage"
        await stage.touch("#next")

    return script


def test_a_page_that_fails_is_followed_by_a_fresh_kiosk_that_knows_nothing(
    at: Station, photos: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(page: ResultPage, id: str) -> None:
        raise RuntimeError("a person's melanoma")

    monkeypatch.setattr(ResultPage, "chose", fails)
    before = alive()
    seen: list[Counter[str]] = []

    async def after(stage: KioskStage) -> None:
        seen.append(+(alive() - before))
        assert stage.app.session.entries == ()
        await quit_by_pin(stage)

    status, began = attended(at, failing_with(photos), after)
    assert status == 0 and began == ["AttractPage", "AttractPage"]
    assert seen == [Counter()], "no answer outlives the failure"
    counts = at.counts.of(1)
    assert counts["error page"] == 1 and counts["wipe fault"] == 1
    said = "\n".join(at.journal.last(10))
    assert "page: RuntimeError at test_attend.py" in said and "melanoma" not in said
    printed = capfd.readouterr()
    assert "melanoma" not in printed.err + printed.out and "Traceback" not in printed.err


def test_a_thread_that_fails_is_no_end_either(at: Station) -> None:
    async def fails(stage: KioskStage) -> None:
        def work() -> None:
            raise RuntimeError("in a thread")

        stage.app.run_worker(work, thread=True)
        await stage.pilot.pause(0.3)

    status, began = attended(at, fails, quit_by_pin)
    assert (status, len(began)) == (0, 2)


def test_a_timer_of_the_application_itself_that_fails_is_no_end_either(at: Station) -> None:
    async def fails(stage: KioskStage) -> None:
        stage.app.set_timer(0.01, lambda: 1 / 0)
        await stage.pilot.pause(0.3)

    status, began = attended(at, fails, quit_by_pin)
    assert (status, len(began)) == (0, 2)


def test_one_that_fails_again_and_again_hands_over_to_systemd(at: Station) -> None:
    async def fails(stage: KioskStage) -> None:
        stage.app.set_timer(0.01, lambda: 1 / 0)
        await stage.pilot.pause(0.3)

    status, began = attended(at, *[fails] * OFTEN)
    assert status == GIVEN_UP and len(began) == OFTEN
    assert at.journal.last(1)[0].endswith("given up")


def test_the_model_is_opened_once_however_often_the_screen_is_made_anew(at: Station) -> None:
    opened = []
    model = at.model._open
    at.model._open = lambda: opened.append(1) or model()  # type: ignore[func-returns-value]

    async def fails(stage: KioskStage) -> None:
        stage.app.set_timer(0.01, lambda: 1 / 0)
        await stage.pilot.pause(0.3)

    attended(at, fails, fails, quit_by_pin)
    assert opened == [1]
