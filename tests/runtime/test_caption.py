from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from dermedge.caption import PANEL, Row, plain, written

UNIT = 12
FONT = ImageFont.load_default(UNIT)
WHITE = (255, 255, 255)


def ink(panel: Image.Image) -> tuple[int, int, int, int]:
    """The part of a panel that something is written on."""
    rows, columns = np.nonzero((np.asarray(panel) != PANEL).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=120).filter(lambda t: t.strip()),
       width=st.integers(80, 700))
def test_no_text_leaves_the_panel_however_narrow_it_is(text: str, width: int) -> None:
    rows = [Row(words, FONT, WHITE) for words in ("begin", text, "Wgj|")]
    panel = written(rows, width, UNIT)
    left, top, right, bottom = ink(panel)
    assert panel.width == width
    assert left >= 2 * UNIT and right <= width - UNIT // 2
    assert top > 0 and bottom < panel.height


def test_a_long_sentence_takes_more_lines_and_keeps_its_words() -> None:
    sentence = "This spot has features that a doctor should look at, rather soon than late."
    wide, narrow = (written([Row(sentence, FONT, WHITE)], width, UNIT) for width in (900, 200))
    assert narrow.height > 2 * wide.height
    amounts = [(np.asarray(panel.convert("L")) > 140).sum() for panel in (wide, narrow)]
    assert amounts[0] == pytest.approx(amounts[1], rel=0.05)


def test_an_icon_stands_beside_the_first_line_only() -> None:
    icon = Image.new("RGBA", (UNIT, UNIT), (255, 0, 0, 255))
    panel = np.asarray(written([Row("word " * 40, FONT, WHITE, icon)], 200, UNIT))
    red = (panel == (255, 0, 0)).all(axis=2)
    assert red.sum() == UNIT * UNIT
    assert not red[3 * UNIT:].any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30 \u2013 60 %", "30 - 60 %"), ("caf\u00e9", "cafe"), ("\u2265 0.5", ">= 0.5"),
     ("12 % \u2192 15 %", "12 % -> 15 %"), ("\u76ae\u819a", "??"),
     ("tab\there", "tab?here"), ("plain", "plain")],
)
def test_text_is_spelt_in_letters_that_the_font_has(text: str, expected: str) -> None:
    assert plain(text) == expected
