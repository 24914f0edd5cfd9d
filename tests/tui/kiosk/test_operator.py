"""The operator's page: what it says, what it can do, and that only the PIN opens it."""

from __future__ import annotations

import json
from pathlib import Path

import tiny_camera
from dermedge import Scanner
from dermedge_tui.kiosk import pin, settings
from dermedge_tui.kiosk.messages import AnotherPhoto, ExaminationAsked, LeaveAsked, PinChanged
from dermedge_tui.kiosk.station import Station
from dermedge_tui.messages import Agreed, PageAsked
from kiosk_stage import PIN, KioskStage, play


async def inside(stage: KioskStage) -> None:
    await stage.press("ctrl+o", *PIN, "enter")
    assert stage.page == "OperatorPage"


def test_health_names_camera_pack_provider_threads_and_memory(
    at: Station, pack: Path, board: tiny_camera.Board
) -> None:
    board.install()

    async def script(stage: KioskStage) -> None:
        await inside(stage)
        said = stage.said("Reading VerticalScroll Static")
        with Scanner.open(pack) as scanner:
            for part in ("imx708", "tiny 1.0.0", scanner.pack.ref.digest, scanner.provider, " MB of this program"):
                assert part in said
        assert str(at.files.settings) in said and "0 d 0 h 0 min" in said

    play(script, at, size=(120, 40))


def test_counts_are_shown_and_hold_nothing_personal(at: Station, photos: Path) -> None:
    async def script(stage: KioskStage) -> None:
        for name in ("arm.png", "mole.png"):
            await stage.to_the_camera()
            await stage.photograph(photos / name)
            await stage.touch("#done")
        await inside(stage)
        said = stage.said("Reading VerticalScroll Static")
        assert "Sessions 2 2 2" in said and "Photographs 2 2 2" in said and "URGENT 1 1 1" in said

    play(script, at, size=(120, 40))
    written = at.files.counts.read_text() + at.files.log.read_text()
    (day,) = json.loads(at.files.counts.read_text()).values()
    assert all(isinstance(total, int) for total in day.values())
    for name in ("arm", "mole", "png", "melanoma", str(photos)):
        assert name not in written


def test_the_doctor_examines_this_machine(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await inside(stage)
        await stage.touch("#doctor")
        said = stage.said("Reading VerticalScroll Static")
        assert "The doctor" in said and "every byte as listed" in said and "golden/phone.png" in said
        await stage.touch("#health")
        assert "Counts" in stage.said("Reading VerticalScroll Static")

    play(script, at, size=(120, 40))


def test_the_pin_is_changed_by_entering_it_twice(at: Station) -> None:
    settings.save(at.settings, at.files.settings)

    async def script(stage: KioskStage) -> None:
        await inside(stage)
        await stage.touch("#newpin")
        await stage.press(*"12345", "enter")
        assert "A PIN has 6 to 12 digits" in stage.words()
        await stage.press(*"314159", "enter", *"314158", "enter")
        assert "two different PINs" in stage.words()
        await stage.press(*"314159", "enter", *"314159", "enter")
        assert stage.page == "OperatorPage"
        await stage.touch("#done")
        await stage.press("ctrl+o", *PIN, "enter")
        assert stage.page == "PinPage", "the old one opens nothing any more"
        await stage.press(*"314159", "enter")
        assert stage.page == "OperatorPage"

    play(script, at)
    kept = settings.load(at.files.settings).pin
    assert kept and pin.matches("314159", kept) and "314159" not in at.files.settings.read_text()


def test_a_pin_that_cannot_be_kept_is_not_changed(at: Station) -> None:
    at.files.settings.mkdir()

    async def script(stage: KioskStage) -> None:
        await inside(stage)
        await stage.touch("#newpin")
        await stage.press(*"314159", "enter", *"314159", "enter")
        assert any(str(at.files.settings) in notice.message for notice in stage.app._notifications)

    play(script, at)
    assert at.settings.pin and pin.matches(PIN, at.settings.pin)


def test_quitting_ends_the_kiosk_and_is_no_fault(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await inside(stage)
        await stage.touch("#leave")
        assert not stage.app.is_running

    assert play(script, at).fault is None


def test_an_operator_who_walks_away_leaves_the_door_shut(at: Station) -> None:
    async def script(stage: KioskStage) -> None:
        await inside(stage)
        await stage.pass_time(62)
        assert stage.page == "CountdownPage"
        await stage.pass_time(20)
        assert stage.page == "AttractPage"

    play(script, at)
    assert at.counts.of(1)["wipe idle"] == 0, "there was no session to forget"


def test_what_lies_behind_the_door_opens_for_no_message_from_outside(at: Station) -> None:
    pages = [PageAsked(name) for name in ("health", "newpin", "back", "camera", "takeaway")]

    async def script(stage: KioskStage) -> None:
        for message in (*pages, LeaveAsked(), PinChanged("314159"), ExaminationAsked(), Agreed(), AnotherPhoto()):
            stage.app.post_message(message)
            await stage.settle()
            assert stage.page == "AttractPage" and stage.app.is_running

    play(script, at)
    assert at.settings.pin and pin.matches(PIN, at.settings.pin)
