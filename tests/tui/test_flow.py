"""A person's way through every page, by real key presses, with a real (tiny) pack."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from PIL import Image
from textual.events import Paste

from dermedge_tui.themes import THEMES
from tui_stage import Stage, play


def test_the_first_run_says_what_this_is_and_asks_once(pack: Path, photos: Path) -> None:
    async def first(stage: Stage) -> None:
        assert stage.page == "WelcomePage"
        for part in ("What this is", "It is no diagnosis", "mostly from light skin"):
            assert part in stage.words()
        await stage.press("escape")
        assert stage.page == "WelcomePage", "there is no way around it"
        await stage.press("enter")
        assert stage.page == "HomePage"

    async def second(stage: Stage) -> None:
        assert stage.page == "HomePage"

    play(first, pack, folder=photos, agreed=False)
    play(second, pack, folder=photos, agreed=False)


def test_from_launch_to_a_finding_in_two_keys_even_on_the_first_run(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("enter", "enter")
        assert stage.page == "ResultPage"
        assert "■ URGENT: See a doctor within days" in stage.text()
        assert "This spot has strong features of skin cancer." in stage.words()
        assert "Do not wait for it to change." in stage.words()
        assert "Melanoma" in stage.text() and "%" in stage.text()

    play(script, pack, folder=photos, agreed=False)


def test_a_photograph_named_at_the_start_waits_behind_the_first_page(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        assert stage.page == "WelcomePage"
        await stage.press("enter")
        assert stage.page == "ResultPage"

    play(script, pack, folder=photos, given=[photos / "mole.png"], agreed=False)


def test_the_result_steps_through_lesions_and_draws_what_is_asked_for(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        def picture() -> str:
            return "".join(str(strip) for strip in stage.app.screen.query_one("#picture")._lines)

        assert "Lesion 1 of 2: ■ URGENT" in stage.text()
        await stage.press("right")
        assert "Lesion 2 of 2: ● WATCH" in stage.text()
        assert "■ URGENT: See a doctor within days" in stage.text(), "the banner is the photograph's answer"
        await stage.press("left")
        assert "Lesion 1 of 2" in stage.text()
        seen = [picture()]
        for key in ("b", "b", "h", "z", "m"):
            await stage.press(key)
            seen.append(picture())
        assert seen[0] == seen[2], "boxes off and on again"
        assert len(set(seen)) == 5
        entry = stage.app.session.entries[0]
        assert all(lesion.mask is not None for lesion in entry.scan.lesions), "the outline was asked for"

    play(script, pack, folder=photos, given=[photos / "arm.png"])


def test_stated_red_flags_raise_the_level_and_never_lower_it(pack: Path, photos: Path) -> None:
    async def raised(stage: Stage) -> None:
        assert "● WATCH" in stage.text()
        await stage.press("f")
        assert "can only raise the level, never lower it" in stage.words()
        await stage.press("space")
        assert stage.text().count("X") == 1, "a cross, and not a colour alone"
        await stage.press("s")
        assert stage.page == "ResultPage"
        assert "▲ REFER" in stage.text()
        assert stage.app.session.entries[0].flags == ("bleeding",)
        await stage.press("f", "space", "s")
        assert "● WATCH" in stage.text(), "taken back by who said it"

    async def kept(stage: Stage) -> None:
        await stage.press("f", "down", "enter", "s")
        assert "■ URGENT" in stage.text()

    play(raised, pack, folder=photos, given=[photos / "mole.png"])
    play(kept, pack, folder=photos, given=[photos / "arm.png"])


def test_explain_numbers_and_help_open_and_close(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("e")
        assert "spoke for: Melanoma" in stage.words() and "does not show where the disease is" in stage.words()
        await stage.press("escape", "d")
        for part in ("detector", "CPUExecutionProvider", "tiny 1.0.0"):
            assert part in stage.text()
        await stage.press("escape", "question_mark")
        assert stage.page == "HelpPage" and "Arrow keys left and right" in stage.words()
        await stage.press("escape")
        assert stage.page == "ResultPage"

    play(script, pack, folder=photos, given=[photos / "arm.png"])


def test_help_speaks_of_every_page(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        for name in ("languages", "timeline", "numbers", "explain", "questions", "forget", "date", "compare", "debug",
                     "calibration", "profiles"):
            stage.app._open(name, 1, 1 if name == "compare" else 0)
            await stage.settle()
            asked = stage.app.screen
            # A question mark cannot be typed into a date.
            await stage.press("f1" if name == "date" else "question_mark")
            assert stage.page == "HelpPage", name
            assert asked.HELP.split()[0] in stage.text()
            await stage.press("escape", "escape")
            assert stage.page == "ResultPage", name

    play(script, pack, folder=photos, given=[photos / "mole.png"])


def test_the_timeline_is_walked_compared_corrected_and_forgotten(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("t")
        assert stage.page == "TimelinePage"
        entries = stage.app.session.entries
        assert [entry.scan.photo.name.rpartition("/")[2] for entry in entries] == ["arm.png", "mole.png", "skin.png"]
        assert "1 of 3 photographs" in stage.text() and "■ URGENT" in stage.text()
        await stage.press("right", "right", "right")
        assert "3 of 3 photographs" in stage.text() and "skin.png" in stage.text()
        await stage.press("left", "d", *["backspace"] * 10, *"2999-01-01", "enter")
        assert "still to come" in stage.text()
        await stage.press(*["backspace"] * 10, *"2024-13-01", "enter")
        assert "That is no day" in stage.text()
        await stage.press(*["backspace"] * 10, *"2024-02-29", "enter")
        assert stage.page == "TimelinePage"
        assert "1 of 3" in stage.text() and "corrected by hand" in stage.words()
        assert stage.app.session.entries[0].taken == date(2024, 2, 29)
        await stage.press("c", "right", "c")
        assert stage.page == "ComparePage"
        assert "2024-02-29" in stage.text() and "days between them" in stage.text()
        assert stage.text().index("● WATCH") < stage.text().index("■ URGENT"), "the older one on the left"
        await stage.press("z", "h", "escape", "delete", "y")
        assert len(stage.app.session.entries) == 2
        await stage.press("F", "enter")
        assert len(stage.app.session.entries) == 2, "Enter keeps"
        await stage.press("F", "y")
        assert stage.app.session.entries == () and stage.page == "HomePage"

    play(script, pack, folder=photos, given=[photos / name for name in ("arm.png", "mole.png", "skin.png")])


def test_a_whole_folder_is_queued_and_what_fails_is_named(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("a")
        assert stage.page == "ResultPage"
        await stage.press("escape")
        assert "4 of 4 photographs" in stage.text()
        assert "broken.jpg: This is no photograph in a format that can be read." in stage.said("#queue-items")
        assert "3 photographs in this session" in stage.words()

    play(script, pack, folder=photos, size=(100, 30))


def test_several_are_marked_and_scanned_together(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("space", "space", "enter")
        assert len(stage.app.session.entries) == 2
        await stage.press("n")
        assert stage.app.screen.number == 2
        await stage.press("p")
        assert stage.app.screen.number == 1

    play(script, pack, folder=photos)


def test_bare_skin_can_be_judged_whole(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        assert "□ NO LESION FOUND" in stage.text() or "◆ UNCLEAR" in stage.text()
        await stage.press("w")
        lesion = stage.app.session.entries[0].scan.lesions[0]
        assert lesion.by_hand and lesion.scores.rejected
        # What is refused as no lesion shows no probabilities.
        assert "What it could be" not in stage.words() and "%" not in stage.words()

    play(script, pack, folder=photos, given=[photos / "skin.png"])


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"', "file://{}", "{} {}", "{}\n{}"])
def test_a_drop_is_scanned_wherever_it_falls(form: str, pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        text = form.format(photos / "mole.png", photos / "arm.png")
        stage.app.screen.post_message(Paste(text))
        await stage.settle()
        assert len(stage.app.session.entries) == form.count("{}")
        assert stage.page == "ResultPage"

    play(script, pack, folder=photos)


def test_a_typed_path_is_scanned(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("slash")
        stage.app.screen.query_one("#path").value = str(photos / "mole.png")
        await stage.press("enter")
        assert stage.page == "ResultPage"

    play(script, pack, folder=photos)


def test_another_language_and_other_colours_change_the_page_at_once(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("right", "f2", "down", "down", "enter")
        assert stage.page == "ResultPage"
        assert "DRINGEND" in stage.text() and "Stelle 2 von 2" in stage.text(), "the lesion stays chosen"
        assert "Auf diesem Foto sind keine Merkmale" in stage.words()
        for theme in [*THEMES][1:]:
            await stage.press("f3")
            assert stage.app.theme == theme
        assert "!! DRINGEND" in stage.text(), "a console has letters only"

    play(script, pack, folder=photos, given=[photos / "arm.png"])
    again = play(lambda stage: stage.press("escape"), pack, folder=photos, agreed=False)
    assert again._remembered.language == "de" and again._remembered.theme == "console"


def test_the_command_palette_finds_a_language(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("ctrl+p")
        assert "What do you want to do?" in stage.text()
        await stage.press(*"Polski")
        await stage.pilot.pause(0.3)
        await stage.press("enter")
        assert "Pomoc przesiewowa" in stage.text()

    play(script, pack, folder=photos)


def test_resizing_keeps_what_was_chosen(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        await stage.press("right", "h")
        for size in ((200, 60), (20, 5), (1, 1), (40, 12), (80, 24)):
            await stage.resize(*size)
            assert stage.app.screen.at == 1 and stage.app.screen.heat
        assert "Lesion 2 of 2" in stage.text()

    play(script, pack, folder=photos, given=[photos / "arm.png"])


def test_twenty_columns_and_five_lines_still_tell_the_answer(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        assert "URGENT" in stage.text() and "See a doctor" in stage.words()

    play(script, pack, folder=photos, given=[photos / "arm.png"], size=(20, 5))


def test_the_cameras_date_orders_the_timeline(pack: Path, photos: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2023:05:06 07:08:09"
    with Image.open(photos / "mole.png") as mole:
        mole.save(tmp_path / "older.jpg", quality=95, exif=exif)

    async def script(stage: Stage) -> None:
        first, second = stage.app.session.entries
        assert (first.taken, first.dated, second.dated) == (date(2023, 5, 6), "camera", "unknown")
        await stage.press("t", "left")
        assert "2023-05-06" in stage.text() and "says the camera" in stage.words()

    play(script, pack, folder=photos, given=[photos / "arm.png", tmp_path / "older.jpg"])


def test_each_bad_photograph_is_named_and_the_good_one_is_answered(pack: Path, photos: Path, tmp_path: Path) -> None:
    whole = (photos / "mole.png").read_bytes()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "\x1b[31mred.jpg").write_bytes(b"GIF89a")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    bad = [path for path in sorted(tmp_path.iterdir()) if path.name != "config"]
    bad.append(tmp_path / "gone.jpg")

    async def script(stage: Stage) -> None:
        assert len(stage.app.queue.having("failed")) == len(bad) == 9
        assert len(stage.app.session.entries) == 1
        await stage.press("escape")
        told = stage.said("#queue-items")
        assert all(name in told for name in ("empty.jpg", "text.jpg", "cut.png", "dot.png", "pipe.jpg", "gone.jpg"))
        assert "\x1b" not in told + stage.text()

    play(script, pack, folder=photos, given=[*bad, photos / "mole.png"])
