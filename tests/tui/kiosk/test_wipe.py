"""Nothing of a person survives: not after "I am done", not after the countdown, not in a job under way."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dermedge_tui.kiosk.station import Model, Station
from dermedge_tui.session import Shot
from kiosk_stage import KioskStage, alive, play
from tui_stage import HeldUp

pytestmark = pytest.mark.alone


async def done(stage: KioskStage) -> None:
    await stage.touch("#done")


async def idle(stage: KioskStage) -> None:
    await stage.pass_time(61)
    assert stage.page == "CountdownPage"
    await stage.pass_time(16)


@pytest.mark.parametrize("leave", [done, idle])
def test_no_photograph_and_no_answer_is_left(
    at: Station, photos: Path, leave: Callable[[KioskStage], Awaitable[None]]
) -> None:
    before = alive()

    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "arm.png")
        for page in ("#questions", "#explain", "#takeaway"):
            await stage.touch(page)
            await stage.touch("#back")
        await stage.touch("#next")
        scan = stage.app.session.entries[0].scan
        seen = [weakref.ref(scan.photo.pixels), *(weakref.ref(lesion.saliency.heat) for lesion in scan.lesions)]
        del scan
        assert alive() - before and all(ref() is not None for ref in seen), "or this test would prove nothing"
        await leave(stage)
        await stage.settle()
        assert stage.page == "AttractPage"
        assert not alive() - before
        assert [ref() for ref in seen] == [None] * len(seen)
        assert stage.app.session.entries == () and stage.app.queue.items == ()
        assert "URGENT" not in stage.text()

    play(script, at)


def test_the_answer_of_a_job_under_way_is_dropped(at: Station, photos: Path, pack: Path) -> None:
    opens, begun, go_on = HeldUp.opener(pack)
    at.model = Model(opens)
    before = alive()

    async def script(stage: KioskStage) -> None:
        from dermedge_tui.messages import PhotoTaken

        await stage.to_the_camera()
        stage.app.post_message(PhotoTaken(Shot("camera", (photos / "arm.png").read_bytes())))
        while not (begun.is_set() and stage.page == "WaitingPage"):
            await stage.pilot.pause(0.01)
        stage.app.screen.query_one("#done").press()
        while stage.page != "AttractPage":
            await stage.pilot.pause(0.01)
        go_on.set()
        await stage.settle()
        assert stage.page == "AttractPage" and stage.app.session.entries == ()
        assert not alive() - before
        assert at.counts.of(1)["photographs"] == 0, "nobody was there to see it"

    play(script, at)


def test_the_photograph_before_is_forgotten_with_the_next(at: Station, photos: Path) -> None:
    before = alive()

    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "arm.png")
        assert "URGENT" in stage.text()
        await stage.touch("#another")
        assert stage.page == "KioskCameraPage"
        await stage.photograph(photos / "mole.png")
        assert "WATCH" in stage.text() and len(stage.app.session.entries) == 1
        assert (alive() - before)["Scan"] == 1

    play(script, at)


def test_the_countdown_stops_at_any_touch_and_does_nothing_else(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(photos / "mole.png")
        done = stage.app.screen.query_one("#done").region
        for go_on in (lambda: stage.touch((done.x + 3, done.y + 2)), lambda: stage.press("enter")):
            await stage.pass_time(62)
            assert stage.page == "CountdownPage" and "forgotten in 13 seconds" in stage.words()
            await stage.pass_time(12)
            assert "forgotten in 1 second." in stage.words()
            await go_on()
            assert stage.page == "ResultPage" and len(stage.app.session.entries) == 1
        await stage.pass_time(59)
        assert stage.page == "ResultPage"

    play(script, at)


def test_a_pointer_that_drifts_is_nobody(at: Station) -> None:
    from textual.events import MouseMove

    async def script(stage: KioskStage) -> None:
        await stage.to_the_camera()
        for _ in range(10):
            stage.clock.now += 8
            stage.app._driver.send_message(MouseMove(None, 40, 10, 1, 1, 0, False, False, False, 40, 10))
            await stage.pilot.pause(0.05)
        await stage.pass_time(0)
        assert stage.page in ("CountdownPage", "AttractPage")

    play(script, at)


def test_the_next_person_begins_in_no_language_of_the_one_before(at: Station) -> None:
    from dermedge_tui import language

    async def script(stage: KioskStage) -> None:
        await stage.touch((40, 20))
        await stage.touch("#pl")
        assert language.chosen() == "pl"
        await stage.touch("#done")
        assert stage.page == "AttractPage" and language.chosen() == language.of_environment()

    play(script, at)


def test_idling_on_the_first_page_counts_nothing(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await stage.pass_time(500)
        assert stage.page == "AttractPage"

    play(script, at)
    assert at.counts.of(1) == {}
