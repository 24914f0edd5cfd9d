from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

import tiny_pack
from dermedge.pack import verify
from dermedge.pack.manifest import Condition, Manifest
from dermedge.report import MARKS, Style, agreement_words, finding, pack_summary, percent, printable
from dermedge.result import LEVELS, Box, Lesion, Level, Mask, PackRef, Photo, Quality, Scan, Scores, Verdict

CONDITIONS = (
    Condition("melanoma", "Melanoma", "malignant", 10, ()),
    Condition("melanocytic-nevus", "Melanocytic nevus", "benign", 1, ()),
    Condition("actinic-keratosis", "Actinic keratosis", "premalignant", 5, ()),
    Condition("warts", "Warts", "infectious", 1, ()),
)
GOOD = Quality(100.0, 0.5, 0.3, 0.0, 400)
BLURRED = Quality(3.0, 0.5, 0.3, 0.0, 400, ("blurred",), ("Hold the camera still and take it again.",))
PLAIN = Style(80)


def lesion(number: int = 1, level: Level = "refer", quality: Quality = GOOD, **changes: object) -> Lesion:
    scores = Scores(
        "dermoscopy",
        MappingProxyType({"melanoma": 0.51, "melanocytic-nevus": 0.37, "actinic-keratosis": 0.1, "warts": 0.02}),
        0.51,
        0.61,
        0.01,
        False,
        True,
        ("age 70: melanoma 45 % -> 51 %",),
    )
    verdict = Verdict(level, f"Headline {number}.", f"Advice {number}.", (f"reason {number}",))
    return dataclasses.replace(Lesion(number, Box(10, 20, 110, 140), 0.9, False, quality, scores, verdict), **changes)  # type: ignore[arg-type]


def scan(
    *lesions: Lesion,
    level: Level = "refer",
    name: str = "a.jpg",
    frame: Quality = GOOD,
    calibrated: bool = True,
    notes: tuple[str, ...] = (),
) -> Scan:
    verdict = lesions[0].verdict if lesions else Verdict(level, "Nothing was found.", "Move closer.", ("no box",))
    return Scan(
        Photo(name, np.zeros((4, 4, 3), np.uint8), 640, 480, 1.0, "JPEG", notes),
        PackRef("tiny", "1.0.0", "0" * 64, calibrated),
        "dermoscopy" if lesions else None,
        frame,
        "CPUExecutionProvider",
        MappingProxyType({"total": 0.1234}),
        tuple(lesions),
        (),
        verdict,
    )


def test_a_finding_says_the_level_what_was_seen_what_to_do_and_why() -> None:
    text = finding(scan(lesion()), CONDITIONS, PLAIN)
    for part in (
        "a.jpg  (640 x 480, dermoscopy)",
        "REFER",
        "Headline 1.",
        "Advice 1.",
        "reason 1",
        "Melanoma",
        " 51%",
        "malignant 51%, with premalignant 61%",
        "age 70",
        "pack tiny 1.0.0, CPU, 0.12 s",
    ):
        assert part in text


def test_bars_are_as_long_as_the_probabilities() -> None:
    text = finding(scan(lesion()), CONDITIONS, PLAIN)
    bars = {line.split()[0]: line.count("█") for line in text.splitlines() if "█" in line}
    assert bars == {"Melanoma": 10, "Melanocytic": 7, "Actinic": 2}


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (0.0, "  0%"),
        (0.0001, " <1%"),
        (0.004, " <1%"),
        (0.007, "  1%"),
        (0.5, " 50%"),
        (0.994, " 99%"),
        (0.9999, ">99%"),
        (1.0, "100%"),
    ],
)
def test_rounding_makes_nothing_certain_or_impossible(probability: float, shown: str) -> None:
    assert percent(probability) == shown


@pytest.mark.parametrize(("top", "shown"), [(None, 3), (1, 1), (4, 4), (99, 4)])
def test_top_says_how_many_conditions_are_shown(top: int | None, shown: int) -> None:
    assert sum("░" in line for line in finding(scan(lesion()), CONDITIONS, PLAIN, top).splitlines()) == shown


def test_what_is_refused_as_no_lesion_shows_no_probabilities() -> None:
    marked = lesion(level="unclear", by_hand=True)
    refused, doubtful = (
        dataclasses.replace(marked, scores=dataclasses.replace(marked.scores, rejected=True, rejection=rejection))
        for rejection in (0.95, 0.3)
    )
    text = finding(scan(refused), CONDITIONS, PLAIN)
    assert "Melanoma" not in text and "malignant" not in text and "reason 1" in text
    assert "Melanoma" in finding(scan(doubtful), CONDITIONS, PLAIN)


def test_each_of_several_lesions_is_told_apart_below_the_photographs_verdict() -> None:
    text = finding(scan(lesion(1, "urgent"), lesion(2, "watch", by_hand=True)), CONDITIONS, PLAIN)
    assert text.index("URGENT") < text.index("Lesion 1 of 2 at 10,20, 100 x 120 pixels") < text.index("WATCH")
    assert "Lesion 2 of 2 at 10,20, 100 x 120 pixels, marked by hand" in text
    assert "reason 1" in text and "reason 2" in text


def test_no_lesion_gives_its_reasons_and_what_to_do() -> None:
    text = finding(scan(level="no-lesion"), CONDITIONS, PLAIN)
    assert "NO LESION FOUND" in text and "no box" in text and "Move closer." in text


@pytest.mark.parametrize(
    "poor",
    [
        scan(lesion(quality=BLURRED), frame=BLURRED),
        scan(lesion(), frame=BLURRED),
        scan(lesion(1), lesion(2), frame=BLURRED),
        scan(lesion(1), lesion(2, quality=BLURRED)),
    ],
)
def test_a_poor_photograph_comes_with_how_to_take_a_better_one_once(poor: Scan) -> None:
    text = finding(poor, CONDITIONS, PLAIN)
    assert text.count("Hold the camera still") == 1
    assert "blurred" in text


def test_notes_and_an_uncalibrated_pack_are_said() -> None:
    text = finding(scan(lesion(), calibrated=False, notes=("the first picture is judged",)), CONDITIONS, PLAIN)
    assert "the first picture is judged" in text
    assert "uncalibrated" in text
    assert "uncalibrated" not in finding(scan(lesion()), CONDITIONS, PLAIN)


def test_a_mask_is_reported_by_its_area() -> None:
    half = np.zeros((8, 8), np.bool_)
    half[:4] = True
    assert "covers 5,000 pixels" in finding(scan(lesion(mask=Mask(half, Box(0, 0, 100, 100)))), CONDITIONS, PLAIN)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = lesion(verdict=Verdict("urgent", "seen " * 40, "do this " * 40, ("because " * 40,)))
    text = finding(scan(long, frame=BLURRED, calibrated=False), CONDITIONS, Style(width))
    assert max(map(len, text.splitlines())) <= width


def test_without_a_terminal_there_are_no_escapes_and_no_shapes_beyond_the_encoding() -> None:
    text = finding(scan(lesion(), lesion(2, "urgent")), CONDITIONS, Style(80, unicode=False))
    assert text.isascii() and "\x1b" not in text
    assert "! REFER" in text and "!! URGENT" in text and "##########" in text


def test_colours_are_added_and_nothing_else_changes() -> None:
    both = scan(lesion())
    coloured = finding(both, CONDITIONS, Style(80, colour=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == finding(both, CONDITIONS, PLAIN)


def test_every_level_has_a_mark_of_its_own_by_shape_words_and_colour() -> None:
    assert set(MARKS) == set(LEVELS)
    for part in ("shape", "ascii", "words", "colour"):
        assert len({getattr(mark, part) for mark in MARKS.values()}) == len(LEVELS)
    assert all(mark.ascii.isascii() for mark in MARKS.values())


class Stream(io.StringIO):
    def __init__(self, terminal: bool, encoding: str) -> None:
        super().__init__()
        self._terminal = terminal
        self._encoding = encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.mark.parametrize(
    ("terminal", "environment", "colour"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], colour: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Style.of(Stream(terminal, "utf-8")).colour is colour


@pytest.mark.parametrize(("columns", "width"), [("10", 40), ("97", 97), ("400", 120)])
def test_the_width_is_the_terminals_within_reason(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert Style.of(Stream(True, "utf-8")).width == width
    assert Style.of(Stream(False, "utf-8")).width == 80


@pytest.mark.parametrize(
    ("encoding", "unicode"), [("UTF-8", True), ("utf8", True), ("ascii", False), ("ISO-8859-1", False)]
)
def test_shapes_need_utf_8(encoding: str, unicode: bool) -> None:
    assert Style.of(Stream(False, encoding)).unicode is unicode


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("mole \u00e9 \u6f22.jpg", "mole \u00e9 \u6f22.jpg"),
        ("a\x1b[2Jb.jpg", "a\\x1b[2Jb.jpg"),
        ("a\nb\r.jpg", "a\\nb\\r.jpg"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("a\x9b31m", "a\\x9b31m"),
        ("a\udcff", "a\\udcff"),
    ],
)
def test_names_cannot_steer_the_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert shown in finding(scan(name=name), CONDITIONS, PLAIN)


@pytest.mark.parametrize(
    ("agreement", "words"),
    [(0.9, "agrees with"), (0.4, "only in part"), (0.0, "do not rely"), (-0.5, "do not rely")],
)
def test_agreement_is_put_in_words_and_number(agreement: float, words: str) -> None:
    assert words in agreement_words(agreement)
    assert f"{agreement:.2f}" in agreement_words(agreement)
    assert agreement_words(agreement) in re.sub(
        r"\s+", " ", finding(scan(lesion()), CONDITIONS, PLAIN, None, {1: agreement})
    )


def test_a_packs_summary_names_everything_and_keeps_escapes_out(tiny_manifest: Manifest) -> None:
    text = pack_summary(tiny_manifest, PLAIN)
    for part in (
        "tiny 1.0.0",
        tiny_manifest.digest,
        "Tests; its answers",
        "Apache-2.0",
        "actinic-keratosis",
        "premalignant",
        "Thresholds for dermoscopy (calibrated)",
        "not measured",
        "auc",
    ):
        assert part in text
    triage = tiny_manifest.triage["phone"]
    refer = dataclasses.replace(triage.refer, sensitivity=0.951, specificity=0.4, positives=123, negatives=456)
    measured = dataclasses.replace(
        tiny_manifest,
        triage={**tiny_manifest.triage, "phone": dataclasses.replace(triage, refer=refer)},
        metrics={"note\x1b[2J": {"auc": 0.91234}},
    )
    text = pack_summary(measured, PLAIN)
    assert "sensitivity 95.1% of 123" in text and "specificity 40.0% of 456" in re.sub(r"\s+", " ", text)
    assert "0.9123" in text and "\x1b" not in text


@pytest.fixture
def tiny_manifest(tmp_path: Path) -> Manifest:
    return verify(tiny_pack.build(tmp_path / "tiny")).manifest
