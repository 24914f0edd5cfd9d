"""The README's pictures of the interface: there, readable, and complete in themselves."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = ("result", "compare", "kiosk", "debug")


def test_the_readme_shows_them_and_says_whose_photographs_they_are() -> None:
    shown = re.findall(r"\(docs/pictures/(\w+)\.svg\)", README)
    assert set(NAMES) <= set(shown)
    assert "their attribution" in README[README.index("docs/pictures/debug.svg") :]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_needs_nothing_but_itself(name: str) -> None:
    text = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    assert re.findall(r"\w+://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert len(text) < 60_000
    drawing = ElementTree.fromstring(text)
    svg = "{http://www.w3.org/2000/svg}"
    words = "".join(element.text or "" for element in drawing.iter(f"{svg}text"))
    assert "Melanoma" in words
    (image,) = drawing.iter(f"{svg}image")
    with Image.open(io.BytesIO(base64.b64decode(image.attrib["href"].partition(",")[2]))) as grounds:
        assert len(grounds.convert("RGB").getcolors(1 << 20) or ()) > 500, "a photograph is on it"
