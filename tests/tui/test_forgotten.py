"""What is forgotten is gone from memory too, and does not come back."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

from dermedge_tui import preferences
from dermedge_tui.app import DermedgeApp
from dermedge_tui.messages import EntryForgotten, PhotosGiven
from dermedge_tui.preferences import NOTICE, Preferences
from tui_stage import HeldUp, Stage, play


@pytest.mark.parametrize("number", [0, 1], ids=["all", "this one"])
def test_nothing_of_a_forgotten_photograph_stays_in_memory(pack: Path, photos: Path, number: int) -> None:
    async def script(stage: Stage) -> None:
        assert stage.page == "ResultPage"
        await stage.press("h", "d", "escape", "e", "escape", "t", "escape")
        scan = stage.app.session.entries[0].scan
        seen = [weakref.ref(scan.photo.pixels), *(weakref.ref(lesion.saliency.heat) for lesion in scan.lesions)]
        del scan
        assert len(seen) > 1 and all(ref() is not None for ref in seen), "or this test would prove nothing"
        stage.app.post_message(EntryForgotten(number))
        await stage.settle()
        assert stage.page == "HomePage"
        assert stage.app.session.entries == () and stage.app.queue.items == ()
        gc.collect()
        assert all(ref() is None for ref in seen)

    play(script, pack, folder=photos, given=[photos / "arm.png"])


def test_a_scan_under_way_does_not_bring_back_what_was_forgotten(pack: Path, photos: Path) -> None:
    opens, begun, go_on = HeldUp.opener(pack)
    preferences.save(Preferences(agreed=NOTICE), preferences.location())
    app = DermedgeApp(opens, given=[str(photos / "arm.png")], folder=str(photos))

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            while not begun.is_set():
                await pilot.pause(0.01)
            app.post_message(EntryForgotten(0))
            await pilot.pause()
            assert app.queue.items == ()
            go_on.set()
            stage = Stage(app, pilot)
            await stage.settle()
            assert app.session.entries == () and app.queue.items == ()
            app.post_message(PhotosGiven([str(photos / "mole.png")]))
            await stage.settle()
            assert stage.page == "ResultPage", "the next one is waited for as usual"

    asyncio.run(asyncio.wait_for(run(), 120))
