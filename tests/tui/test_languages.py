"""Every text in every language: translated, in step, switched, and never cut off."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Static

import dermedge
import tiny_camera
from dermedge import Quality, Scanner, Scores
from dermedge import quality as runtime_quality
from dermedge import triage as runtime_triage
from dermedge.pack import verify
from dermedge_tui import language, phrases
from dermedge_tui.catalogues import collect, compiled, files, read, written
from dermedge_tui.language import LANGUAGES
from tui_stage import Stage, play

FOREIGN = [code for code in LANGUAGES if code != "en"]
SAME = {"Zoom", "Melanoma", "Dermatofibroma", "Psoriasis", "%Y-%m-%d"}
"""Texts that may read the same in another language."""


@pytest.mark.parametrize("code", FOREIGN)
def test_every_text_is_translated(code: str) -> None:
    texts, found = collect(), read(files(code)[0])
    assert len(texts) > 150
    assert list(found) == list(texts), "run python -m dermedge_tui.catalogues"
    forms = {"pl": 3}.get(code, 2)
    for text in texts.values():
        translated = found[text.one]
        assert len(translated) == (forms if text.many else 1) and all(translated), text
        assert translated[0] != text.one or text.one in SAME or len(text.one) < 12, text
        wanted = set(re.findall(r"\{\w+\}", text.many or text.one))
        for form in translated:
            assert set(re.findall(r"\{\w+\}", form)) == wanted, form


@pytest.mark.parametrize("code", FOREIGN)
def test_catalogues_are_in_step_with_their_sources(code: str) -> None:
    po, mo = files(code)
    texts, found = collect(), read(po)
    assert po.read_text(encoding="utf-8") == written(code, texts, found)
    assert mo.read_bytes() == compiled(code, texts, found)


@pytest.mark.parametrize(
    ("code", "one", "five"), [("de", "Tag", "Tage"), ("pl", "dzień", "dni"), ("pt", "dia", "dias")]
)
def test_each_language_counts_its_own_way(code: str, one: str, five: str) -> None:
    language.choose(code)
    said = [language.n_("{count} day between them", "{count} days between them", n).format(count=n) for n in (1, 5)]
    assert f"1 {one} " in said[0] and f"5 {five} " in said[1]


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"LANG": "de_AT.UTF-8"}, "de"), ({"LANG": "C"}, "en"), ({}, "en"), ({"LANG": "fr_FR"}, "en"),
        ({"LANGUAGE": "fr:pl", "LANG": "de_DE"}, "pl"), ({"LC_ALL": "pt_BR.UTF-8", "LANG": "es_ES"}, "pt"),
    ],
)
def test_the_systems_language_is_taken_where_there_is_a_catalogue(environment: dict[str, str], code: str) -> None:
    assert language.of_environment(environment) == code


def spoken_by_the_runtime(pack: Path) -> Iterator[tuple[str, str]]:
    """What kind of text, and the text: of every verdict that a grid of scores and qualities leads to."""
    manifest = verify(pack).manifest
    conditions = manifest.conditions
    for problem in runtime_quality._ADVICE:
        yield "problem", problem
    fine = Quality(1, 0.5, 0.5, 0, 200)
    poor = Quality(0, 0, 0, 0, 9, tuple(runtime_quality._ADVICE), tuple(runtime_quality._ADVICE.values()))
    grid = itertools.product((0, 0.1, 0.2, 0.45, 0.9), (0, 0.05, 0.3), (0.6, 0.9))
    shares = [(m, p, f) for m, p, f in grid if m + p <= 1]
    for (malignant, pre, favourite), quality, calibrated, rejected in itertools.product(
        shares, (fine, poor), (True, False), (True, False)
    ):
        rest = 1 - malignant - pre
        found = {c.id: 0.0 for c in conditions}
        found["melanoma"], found["basal-cell-carcinoma"] = malignant / 2, malignant / 2
        found["actinic-keratosis"] = pre
        found["melanocytic-nevus"], found["vascular-lesion"] = rest * favourite, rest * (1 - favourite)
        scores = Scores("phone", found, malignant, malignant + pre, 0.7, rejected, calibrated)
        for by_hand, flags in ((False, ()), (True, tuple(dermedge.RED_FLAGS))):
            verdict = runtime_triage.judge(
                scores, quality, manifest.triage["phone"], conditions, by_hand=by_hand, flags=flags
            )
            yield "prose", verdict.headline
            yield "prose", verdict.advice
            yield from (("reason", reason) for reason in verdict.reasons)
    for quality, refused, flags in itertools.product((fine, poor), (0, 2), ((), ("growing",))):
        verdict = runtime_triage.overall((), quality, refused, flags)
        yield "prose", verdict.headline
        yield "prose", verdict.advice
        yield from (("reason", reason) for reason in verdict.reasons)
    yield "prose", runtime_triage.TREATABLE.strip()
    yield "reason", "lesion 2 is the most worrying of 3"
    cut = "is at or above the pack's 0.25 (sensitivity 0.95 of 312) for a referral"
    yield "reason", f"malignant mass 0.40 (melanoma 0.40) {cut}"


@pytest.mark.parametrize("code", FOREIGN)
def test_nothing_that_the_runtime_says_stays_english(code: str, pack: Path) -> None:
    language.choose(code)
    words = "the|is|of|this|that|has|have|and|doctor|photograph|mass|below|above|take|it"
    english = re.compile(rf"\b({words})\b", re.IGNORECASE)
    for kind, text in set(spoken_by_the_runtime(pack)):
        said = {"prose": phrases.prose, "reason": phrases.reason, "problem": phrases.problem}[kind](text)
        assert said != text, text
        # "has" and "it" are words of other languages too.
        left = {word.lower() for word in english.findall(said)} - {"has"}
        assert not left, f"{text!r} became {said!r}"


def test_in_english_the_runtime_is_quoted_word_for_word(pack: Path) -> None:
    for kind, text in set(spoken_by_the_runtime(pack)):
        if kind == "prose":
            assert phrases.prose(text) == text
        elif kind == "reason":
            said = phrases.reason(text).lower().replace("mole (nevus)", "melanocytic nevus")
            assert said.replace(" ", "-") == text.lower().replace(" ", "-")


def test_numbers_in_a_reason_survive_translation() -> None:
    language.choose("de")
    said = phrases.reason(
        "malignant mass 0.57 (melanoma 0.30, basal-cell carcinoma 0.27) is at or above the pack's 0.25 for a referral"
    )
    for part in ("0.57", "Melanom 0.30", "Basalzellkarzinom 0.27", "0.25"):
        assert part in said


def test_every_flag_and_condition_has_its_words(pack: Path) -> None:
    assert set(phrases.FLAGS) == set(dermedge.RED_FLAGS)
    with Scanner.open(pack) as scanner:
        assert {condition.id for condition in scanner.pack.manifest.conditions} <= set(phrases.CONDITIONS)
    assert phrases.condition("new-one", "A new one") == "A new one", "the pack's own name where none is known"


def cut_off(widget: Widget) -> bool:
    """Whether a widget has less room than its words need; what scrolls is not cut off."""
    room = widget.content_size
    if not widget.display or not widget.is_on_screen:
        return False
    if isinstance(widget, Button | Checkbox):
        return widget.label.cell_length > room.width
    wrapped = widget.visual.get_height(widget.styles, room.width)
    return wrapped > room.height


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_text_is_cut_off_at_eighty_columns(
    code: str, pack: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_camera = tmp_path / "board"
    no_camera.mkdir()
    tiny_camera.board(no_camera, monkeypatch)

    async def script(stage: Stage) -> None:
        def check() -> None:
            stage.app.screen.refresh(layout=True)
            cut = [w for w in stage.app.screen.query("Static, Button, Checkbox").results() if cut_off(w)]
            assert not cut, f"{stage.page} {code}: {cut}"

        language.choose(code)
        for page in stage.app._pages():
            page.refresh(recompose=True)
        await stage.settle()
        check()
        await stage.press("enter")
        check()
        pages = ("questions", "explain", "timeline", "forget", "date", "languages", "help", "camera", "debug")
        for name in (*pages, "calibration", "profiles"):
            stage.app._open(name, 1)
            await stage.settle()
            check()
            await stage.press("escape")
        stage.app._open("compare", 1, 2)
        await stage.settle()
        check()
        await stage.press("escape", "escape")
        assert stage.page == "HomePage"
        check()

    play(script, pack, folder=photos, given=[photos / "arm.png", photos / "mole.png"], agreed=False)


def test_static_texts_are_measured_by_the_check_above(pack: Path, photos: Path) -> None:
    async def script(stage: Stage) -> None:
        summary = stage.app.screen.query_one("#summary", Static)
        summary.styles.height = 1
        summary.update("word " * 60)
        summary.display = True
        await stage.settle()
        assert cut_off(summary)

    play(script, pack, folder=photos)
