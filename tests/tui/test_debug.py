"""What every step saw: its pictures and its numbers."""

from __future__ import annotations

from pathlib import Path

import tiny_pack
from dermedge_tui.widgets.picture import lines
from tui_stage import Stage, play


def test_every_step_is_walked_with_the_arrow_keys(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("m", "f12")
        assert stage.page == "DebugPage"
        titles = []
        for _ in range(8):
            titles.append(stage.said("#title"))
            await stage.press("right")
        assert titles[0] == "Step 1 of 8: The photograph, as decoded"
        assert titles[1].endswith("What the detector was given, and what it proposed")
        for first, kind in ((2, "What the tower was given"), (3, "What spoke for"), (4, "The outline")):
            assert kind in titles[first] and kind in titles[first + 3], "of both lesions"
        assert stage.said("#title") == titles[7], "the last one stays"
        await stage.press("home")
        assert stage.said("#title") == titles[0]

    play(script, pack, folder=photos, given=[photos / "arm.png"])


def test_faint_proposals_stand_in_the_list_without_a_mark(pack: Path, photos: Path, tmp_path: Path) -> None:
    spots = (("melanoma", 80, 128, 40), ((216, 172, 142), 190, 128, 25))
    tiny_pack.skin_with_spots(*spots).save(tmp_path / "faint.png")

    async def script(stage: Stage) -> None:
        await stage.press("f12", "right")
        rows = stage.said("#text").splitlines()
        assert any(row.startswith(" 1* 1.000") for row in rows)
        assert any(row.startswith(" 2  0.4") for row in rows)
        view = stage.app.screen.query_one("#picture").view
        assert {label.text: label.stands_out for label in view.labels()}["1"]
        assert any(not label.stands_out for label in view.labels())
        assert "1" in "".join(line.text for line in lines(view, (40, 20)))

    play(script, pack, folder=photos, given=[tmp_path / "faint.png"])


def test_one_photograph_of_a_session_keeps_its_trace(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        def traced() -> list[int]:
            return [entry.number for entry in stage.app.session.entries if entry.trace is not None]

        assert traced() == []
        await stage.press("f12")
        assert traced() == [stage.app.screen.number]
        await stage.press("escape", "n", "f12")
        assert traced() == [stage.app.screen.number]
        await stage.press("escape", "f", "space", "s")
        assert len(traced()) == 1, "judged again, it is kept"
        await stage.press("delete", "y")
        assert traced() == []

    play(script, pack, folder=photos, given=[photos / "arm.png", photos / "mole.png"])


def test_started_with_debug_each_photograph_opens_with_its_steps(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        assert stage.page == "DebugPage" and "Step 1 of" in stage.text()
        scans = stage.app.session.entries[0].scan.seconds
        await stage.press("d", "escape", "escape")
        assert stage.page == "ResultPage"
        assert stage.app.session.entries[0].scan.seconds is scans, "it was not looked at twice"

    play(script, pack, folder=photos, given=[photos / "mole.png"], debug=True)


def test_a_photograph_that_is_gone_meanwhile_is_said(pack: Path, photos: Path, tmp_path: Path) -> None:
    photo = tmp_path / "mole.png"
    photo.write_bytes((photos / "mole.png").read_bytes())

    async def script(stage: Stage) -> None:
        photo.unlink()
        await stage.press("f12")
        assert "This file cannot be read." in stage.said("#title")
        await stage.press("right", "c", "escape")
        assert stage.page == "ResultPage"

    play(script, pack, folder=photos, given=[photo])


def test_the_command_palette_opens_it(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("escape", "ctrl+p", *"Debug")
        await stage.pilot.pause(0.3)
        await stage.press("enter")
        assert stage.page == "DebugPage"

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_the_numbers_follow_the_sum_once_the_trace_is_kept(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("d")
        told = stage.said("#text Static")
        assert "F12 keeps the cosines and logits too." in told and "cosine" not in told.replace("cosines", "")
        for part in ("CPUExecutionProvider", "threads", "urgent from", "fixed 0.80", "from 0.57", "rejection", "tower"):
            assert part in told
        assert stage.app.session.entries[0].scan.pack.digest in told
        await stage.press("f12", "escape")
        assert stage.page == "NumbersPage"
        told = stage.said("#text Static")
        for part in ("cosine     bias    logit", "temperature", "no lesion 1", "dermoscopy", "phone"):
            assert part in told

    play(script, pack, folder=photos, given=[photos / "arm.png"])
