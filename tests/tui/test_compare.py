"""Two photographs side by side."""

from __future__ import annotations

from pathlib import Path

import tiny_pack
from dermedge_tui.widgets.bars import Bars
from tui_stage import Stage, play


def test_what_is_refused_as_no_lesion_shows_no_probabilities(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        bare = next(entry for entry in stage.app.session.entries if "skin" in str(entry.source))
        stage.app._open("result", bare.number)
        await stage.press("w")
        [lesion] = stage.app.session.get(bare.number).scan.lesions
        assert lesion.scores.rejected, "marked by hand, and nothing that the tower recognises"
        other = next(entry for entry in stage.app.session.entries if entry is not stage.app.session.get(bare.number))
        stage.app._open("compare", bare.number, other.number)
        await stage.settle()
        assert stage.page == "ComparePage"
        assert len(stage.app.screen.query(Bars)) == 1, "the mole's alone"
        [side] = [bars.parent for bars in stage.app.screen.query(Bars)]
        shown = stage.app.screen.pair[list(stage.app.screen.query(".side")).index(side)]
        assert shown.number == other.number

    play(script, pack, folder=photos, given=[photos / "skin.png", photos / "mole.png"], size=(100, 40))


def test_zoom_boxes_and_heat_map_change_both_pictures(pack: Path, photos: Path, tmp_path: Path) -> None:
    tiny_pack.skin_with_spots(("melanoma", 100, 100, 40), size=(256, 256)).save(tmp_path / "other.png")

    async def script(stage: Stage) -> None:
        first, second = (entry.number for entry in stage.app.session.entries)
        stage.app._open("compare", first, second)
        await stage.settle()

        def pictures() -> list[str]:
            return ["".join(map(str, stage.app.screen.query_one(f"#picture-{at}")._lines)) for at in range(2)]

        seen = [pictures()]
        for key in ("b", "h", "z"):
            await stage.press(key)
            seen.append(pictures())
        for side in range(2):
            assert len({drawn[side] for drawn in seen}) == 4

    play(script, pack, folder=photos, given=[photos / "mole.png", tmp_path / "other.png"], size=(100, 40))
