"""`make screenshots`: the README's pictures of the interface, from the sample photographs and the embedded pack."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import kiosk_stage
from dermedge_tui import language
from dermedge_tui.messages import DateCorrected
from terminal_svg import svg
from tui_stage import Stage, play

ROOT = Path(__file__).parents[1]
PACK = ROOT / "artifacts" / "compact"
SAMPLES = ROOT / "artifacts" / "samples"
MELANOMA = SAMPLES / "melanoma-PAT_902_1718_852.jpg"
NEVUS = SAMPLES / "nevus-PAT_665_1260_16.jpg"
SIZE = (110, 34)

Keep = Callable[[Stage, str, str], None]


def desk(keep: Keep) -> None:
    async def script(stage: Stage) -> None:
        for entry, taken in zip(stage.app.session.entries, (date(2026, 3, 1), date(2026, 1, 15)), strict=True):
            stage.app.post_message(DateCorrected(entry.number, taken))
        await stage.settle()
        keep(stage, "result", "The answer about a photograph")
        stage.app._open("compare", 1, 2)
        await stage.settle()
        keep(stage, "compare", "Two photographs side by side")
        await stage.press("escape", "f12", "right", "right", "right")
        keep(stage, "debug", "What a step of the scan saw")

    play(script, PACK, folder=SAMPLES, given=[MELANOMA, NEVUS], size=SIZE)


def kiosk(keep: Keep, folder: Path) -> None:
    async def script(stage: kiosk_stage.KioskStage) -> None:
        await stage.to_the_camera()
        await stage.photograph(MELANOMA)
        keep(stage, "kiosk", "The answer at a kiosk")

    kiosk_stage.play(script, kiosk_stage.station(folder, PACK), size=SIZE)


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)

    def keep(stage: Stage, name: str, title: str) -> None:
        (out / f"{name}.svg").write_text(svg(stage.app, title), encoding="utf-8")

    home = Path(tempfile.mkdtemp())
    os.environ |= {"XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
    language.choose("en")
    try:
        desk(keep)
        kiosk(keep, home)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
