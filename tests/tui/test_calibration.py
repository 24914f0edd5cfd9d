"""Numbers tried out on a photograph, kept as a profile, and shown wherever they are in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Static

import tiny_pack
from dermedge import CUT_LIMITS, Calibration, Cuts, Profile, Scanner
from dermedge.triage import ALWAYS_URGENT, NEVER_REASSURING
from dermedge_tui.widgets.profilebar import ProfileBar
from dermedge_tui.widgets.slider import Slider
from tui_stage import Stage, play

CAREFUL = Calibration(dermoscopy=Cuts(reassure=1.0), phone=Cuts(reassure=1.0))


async def opened(stage: Stage) -> None:
    await stage.press("f12", "c")
    assert stage.page == "CalibrationPage"


def slider(stage: Stage, name: str) -> Slider:
    found: Slider = stage.app.screen.query_one(f"#{name}")
    return found


async def set_to(stage: Stage, name: str, key: str, times: int = 1) -> None:
    slider(stage, name).focus()
    await stage.press(*[key] * times)


def kept(pack: Path, name: str, calibration: Calibration = CAREFUL) -> Profile:
    with Scanner.open(pack) as scanner:
        profile = Profile.of(scanner.pack.ref, calibration, name)
    profile.save()
    return profile


def bars(stage: Stage) -> list[str]:
    return [str(bar.content) for bar in stage.app.screen.query(ProfileBar) if bar.display]


def test_the_answer_follows_at_once_and_no_graph_runs(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await opened(stage)
        # Closed: whatever runs a graph from here on fails, and says so.
        stage.app._scanning.scanner.close()
        assert "● WATCH" in stage.text().splitlines()[0]
        await set_to(stage, "reassure", "pageup", 10)
        assert "◆ UNCLEAR" in stage.text().splitlines()[0]
        assert "scores too flat: no harmless condition reaches 1.00" in stage.said("#told")
        assert "By the pack alone: ● WATCH" in stage.said("#told")
        await set_to(stage, "refer", "pagedown", 9)
        await set_to(stage, "temperature", "pageup", 20)
        assert slider(stage, "refer").value == 0.01 and slider(stage, "temperature").value == 4.0
        assert "▲ REFER" in stage.text().splitlines()[0]
        await stage.press("backspace")
        assert slider(stage, "temperature").value is None
        await stage.press("0")
        assert "● WATCH" in stage.text().splitlines()[0]
        assert all(each.value is None for each in stage.app.screen.query(Slider))
        assert stage.app.session.entries[0].scan.profile is None, "nothing was judged by it but on this page"

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_a_new_crop_is_looked_at_on_request_only(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await opened(stage)
        before = stage.said("#told")
        await set_to(stage, "context", "right", 8)
        assert "1 crop is new: press L to look again." in stage.said("#notice")
        assert stage.said("#told").partition("- ")[0] == before.partition("- ")[0], "the crop is still the old one"
        await stage.press("l")
        assert stage.said("#notice") == ""
        assert stage.said("#told").partition("- ")[0] != before.partition("- ")[0]
        # The old crop is kept: going back costs nothing.
        stage.app._scanning.scanner.close()
        await stage.press("backspace")
        assert stage.said("#notice") == "" and stage.said("#told") == before
        await stage.press("right", "l")
        assert "closed" in stage.said("#notice")

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_no_slider_goes_beyond_a_fixed_ceiling_or_past_it(pack: Path, photos: Path, tmp_path: Path) -> None:
    # Between a melanoma and a mole, nearer to the first.
    tiny_pack.skin_with_spots(((65, 46, 55), 128, 128, 50)).save(tmp_path / "between.png")

    async def script(stage: Stage) -> None:
        await opened(stage)
        for name in CUT_LIMITS:
            await set_to(stage, name, "pageup", 20)
        assert slider(stage, "urgent").value == ALWAYS_URGENT and slider(stage, "refer").value == NEVER_REASSURING
        assert "malignant 0.5" in stage.said("#told"), "the temperature has lowered the mass itself"
        assert "■ URGENT" in stage.text().splitlines()[0]
        assert "as the pack counts it is at or above the fixed 0.80" in stage.said("#told")

    play(script, pack, folder=photos, given=[tmp_path / "between.png"])


def test_a_slider_is_set_by_the_mouse(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await opened(stage)
        each = slider(stage, "reassure")
        await stage.pilot.mouse_down(each, offset=(each._columns[0] + 2, 0))
        await stage.settle()
        assert each.value == 0.0
        await stage.pilot.hover(each, offset=(each.size.width - 1, 0))
        await stage.settle()
        assert each.value == 1.0, "dragged beyond the track, it stays at its end"
        await stage.pilot.mouse_up(each, offset=(each.size.width - 1, 0))
        await stage.pilot.hover(each, offset=(each._columns[0] + 2, 0))
        await stage.settle()
        assert each.value == 1.0, "let go"
        assert "◆ UNCLEAR" in stage.text().splitlines()[0]

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_another_kind_of_photograph_shows_its_own_numbers(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await opened(stage)
        await set_to(stage, "urgent", "left", 3)
        assert slider(stage, "urgent").value is not None
        await set_to(stage, "modality", "right")
        assert "contact" in stage.text()
        assert slider(stage, "urgent").value is None, "what was set for phone photographs"
        await stage.press("right")
        assert slider(stage, "urgent").value is not None and "phone" in stage.text()

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_saved_under_a_name_it_is_in_force_and_shown_everywhere(pack: Path, photos: Path, tmp_path: Path) -> None:
    manifest = (pack / "pack.json").read_bytes()

    async def script(stage: Stage) -> None:
        await opened(stage)
        await set_to(stage, "reassure", "pageup", 10)
        await stage.press("s", *"two words", "enter")
        assert "no name for a profile" in stage.said("#notice")
        await stage.press(*["backspace"] * 9, *"careful", "enter")
        assert bars(stage) == ["Profile careful in force: other numbers than the pack's."]
        for entry in stage.app.session.entries:
            assert entry.scan.profile == "careful", "everything is judged by it"
        await stage.press("escape", "escape")
        assert stage.page == "ResultPage" and len(bars(stage)) == 1
        assert "under the profile careful" in " ".join(stage.said("Finding Static").split())
        await stage.press("d")
        assert stage.page == "NumbersPage" and len(bars(stage)) == 1 and "careful" in stage.said("#text Static")
        await stage.press("escape", "t")
        assert stage.page == "TimelinePage" and len(bars(stage)) == 1
        first, second = (entry.number for entry in stage.app.session.entries)
        stage.app._open("compare", first, second)
        await stage.settle()
        assert len(bars(stage)) == 2
        stage.app._gather([str(photos / "skin.png")])
        await stage.settle()
        assert stage.app.session.entries[-1].scan.profile == "careful", "and so is the next photograph"
        stage.app._open("profiles")
        await stage.settle()
        await stage.press("enter")
        assert all(entry.scan.profile is None for entry in stage.app.session.entries), "taken back"

    play(script, pack, folder=photos, given=[photos / "mole.png", photos / "arm.png"])
    found = json.loads((tmp_path / "config" / "dermedge" / "profiles" / "careful.json").read_text())
    assert found["pack"] == "tiny" and found["calibration"]["phone"]["reassure"] == 1.0
    assert (pack / "pack.json").read_bytes() == manifest


def test_a_profile_of_that_name_is_replaced_only_when_said_twice(pack: Path, photos: Path) -> None:
    kept(pack, "mine")

    async def script(stage: Stage) -> None:
        await opened(stage)
        await stage.press("s", *"mine", "enter")
        assert "Press Enter again to replace it" in stage.said("#notice")
        assert Profile.load("mine").calibration == CAREFUL
        await stage.press("enter")
        assert Profile.load("mine").calibration == Calibration()

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_a_kept_profile_is_chosen_and_what_cannot_be_used_says_so(pack: Path, photos: Path) -> None:
    profile = kept(pack, "mine")
    Profile("other", "tiny", "0" * 64, profile.calibration).save()

    async def script(stage: Stage) -> None:
        await opened(stage)
        await stage.press("p", "down", "down", "enter")
        assert stage.page == "ProfilesPage" and "was made for the pack" in stage.said("#told")
        assert stage.app.session.entries[0].scan.profile is None
        await stage.press("up", "enter")
        assert stage.page == "CalibrationPage"
        assert slider(stage, "reassure").value == 1.0, "the sliders stand as the profile has them"
        assert stage.app.session.entries[0].scan.profile == "mine"
        assert "under the profile mine" in " ".join(stage.said("#told").split())

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_started_with_a_profile_it_is_in_force_from_the_first_photograph(pack: Path, photos: Path) -> None:
    profile = kept(pack, "mine")

    async def script(stage: Stage) -> None:
        assert stage.app.session.entries[0].scan.profile == "mine" and len(bars(stage)) == 1

    async def refused(stage: Stage) -> None:
        assert stage.app.session.entries == ()
        assert any("was made for the pack" in notice.message for notice in stage.app._notifications)

    play(script, pack, folder=photos, given=[photos / "mole.png"], profile=profile)
    other = Profile("other", "tiny", "0" * 64, CAREFUL)
    play(refused, pack, folder=photos, given=[photos / "mole.png"], profile=other)


@pytest.mark.parametrize("size", [(80, 24), (40, 24), (120, 40), (20, 5)])
def test_names_tracks_and_figures_are_whole_at_every_size(pack: Path, photos: Path, size: tuple[int, int]) -> None:
    async def script(stage: Stage) -> None:
        await opened(stage)
        for each in stage.app.screen.query(Slider):
            text = str(each.render())
            assert each._label in text and (each.size.width < 36 or len(text) <= each.size.width)
        if size[0] >= 80:
            shown = stage.text()
            assert all(each._label in shown for each in stage.app.screen.query(Slider))
        assert isinstance(stage.app.screen.query_one("#told"), Static)

    play(script, pack, folder=photos, given=[photos / "mole.png"], size=size)
