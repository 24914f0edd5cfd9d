"""The interface in headless Chromium, through `dermedge tui --serve`, with the embedded pack."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pytest
from PIL import Image

import chromium
from dermedge_tui import preferences
from dermedge_tui.preferences import NOTICE, Preferences
from serving import serving

pytestmark = pytest.mark.alone

SAMPLES = Path(__file__).parents[2] / "artifacts" / "samples"
REQUIRED = "DERMEDGE_NEEDS_CHROMIUM"
"""Set by `make browser-test`: an absent browser is then a failure."""

ASK_ANOTHER = """
new Promise(done => {
  addEventListener("securitypolicyviolation", event => done(event.violatedDirective));
  fetch("http://127.0.0.1:1/", {mode: "no-cors"}).then(() => done("answered"), () => {});
})
"""


@pytest.fixture(scope="module")
def program() -> str:
    found = chromium.installed()
    if found is None:
        assert not os.environ.get(REQUIRED), "no Chromium is installed; on Debian: apt install chromium"
        pytest.skip("no Chromium is installed, so nothing was tried in a browser; make browser-test insists on one")
    return found


def test_two_browsers_reach_a_finding_each_of_its_own_and_ask_this_machine_only(program: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with chromium.chromium(program, tmp_path / "chromium") as browser:
            first, second = await browser.open(url), await browser.open(url)
            await first.wait_for("melanoma-PAT_902_1718_852.jpg", "Quit")
            await second.wait_for("melanoma-PAT_902_1718_852.jpg", "Quit")
            before = picture(await first.picture())
            await first.press("Enter")
            await first.wait_for("What to do", "What it could be", "▀▀▀▀")
            await asyncio.sleep(1)
            after = picture(await first.picture())
            after.save(tmp_path / "finding.png")
            if keep := os.environ.get("DERMEDGE_PICTURES"):
                after.save(Path(keep) / "browser.png")
            assert len(after.getcolors(1 << 24) or ()) > 500, "letters and a photograph"
            assert before.tobytes() != after.tobytes()
            assert "What to do" not in second.words and "photograph in this session" not in second.words
            assert await first.run("document.fonts.check('16px \"Roboto Mono\"')")

            for tab in (first, second):
                assert len(tab.asked) > 5
                own = (f"{url}/", f"ws{url[4:]}/ws?", "data:")
                assert [asked for asked in tab.asked if not asked.startswith(own)] == []
            # The page could not ask anybody else if it wanted to: not even another server of this machine.
            assert await second.run(ASK_ANOTHER) == "connect-src"

            await first.press("Escape")
            await first.wait_for("1 photograph in this session")
            await first.press("q")
            while not await first.run("document.body.classList.contains('-closed')"):
                await asyncio.sleep(0.05)
            assert "This session has ended." in await first.run("document.body.innerText")

    preferences.save(Preferences(agreed=NOTICE), preferences.location())
    with serving("--folder", str(SAMPLES)) as (url, _process):
        asyncio.run(work())


def picture(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")
