"""JPEGs out of a stream, however it is cut into pieces."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dermedge.camera import mjpeg
from dermedge.camera.mjpeg import Splitter, first
from dermedge.photo import read_photo
from tiny_camera import jpeg

PICTURES = [jpeg(Image.effect_noise((96, 64), 60).convert("RGB"), quality) for quality in (30, 80, 95)]
NOISE = Image.effect_noise((320, 200), 80).convert("RGB")


def split(data: bytes, piece: int) -> list[bytes]:
    splitter = Splitter()
    return [found for at in range(0, len(data), piece) for found in splitter.feed(data[at : at + piece])]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000, 1 << 20])
def test_pictures_come_out_as_they_went_in(piece: int) -> None:
    assert split(b"".join(PICTURES), piece) == PICTURES


@pytest.mark.parametrize("piece", [1, 5, 1 << 20])
def test_what_stands_between_them_is_left_out(piece: int) -> None:
    stream = b"log line\n" + PICTURES[0] + bytes(300) + b"\xff\xff" + PICTURES[1] + b"\xff\xd8 no picture" + PICTURES[2]
    assert split(stream, piece) == PICTURES


def test_a_thumbnail_is_part_of_its_picture() -> None:
    exif = Image.Exif()
    whole = jpeg(NOISE, exif=exif.tobytes() + PICTURES[0])
    assert PICTURES[0] in whole
    assert split(whole + PICTURES[1], 100) == [whole, PICTURES[1]]


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}])
def test_every_kind_of_jpeg_is_walked(options: dict[str, int]) -> None:
    picture = jpeg(NOISE, **options)
    assert split(picture * 3, 4096) == [picture] * 3


@pytest.mark.parametrize("kept", [2, 30, 300, 900])
def test_a_picture_that_was_cut_off_costs_no_other(kept: int) -> None:
    assert split(PICTURES[2][:kept] + PICTURES[0] + PICTURES[1], 64)[-1] == PICTURES[1]


def test_a_picture_without_tables_is_read_all_the_same() -> None:
    """As USB cameras send them: the tables of compression are the standard's, so they are left out."""
    whole = jpeg(NOISE, 80)
    bare, at = bytearray(whole[:2]), 2
    while whole[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
        bare += whole[at:end] if whole[at + 1] != 0xC4 else b""
        at = end
    bare += whole[at:]
    assert len(bare) < len(whole) - 400
    found = first(bytes(bare) + bytes(50))
    assert found == bare
    with Image.open(io.BytesIO(whole)) as picture:
        assert read_photo(found).pixels.tobytes() == picture.convert("RGB").tobytes()


def test_what_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg, "MOST_BYTES", 10_000)
    header = PICTURES[0][: PICTURES[0].index(b"\xff\xda") + 14]
    splitter = Splitter()
    for _ in range(100):
        assert splitter.feed(header + bytes(1000)) == []
        assert len(splitter._data) <= 12_000
    assert splitter.feed(PICTURES[1] + PICTURES[2])[-1] == PICTURES[2]


@given(st.lists(st.one_of(st.binary(max_size=50), st.sampled_from([b"\xff\xd8\xff", b"\xff\xda\0\2", b"\xff\xd9"]))))
def test_no_bytes_break_it(pieces: list[bytes]) -> None:
    splitter = Splitter()
    for piece in pieces:
        for found in splitter.feed(piece):
            assert found.startswith(b"\xff\xd8\xff") and found.endswith(b"\xff\xd9")
    together = b"".join(pieces)
    assert first(together) is None or first(together) in together
