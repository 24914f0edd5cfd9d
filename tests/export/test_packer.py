"""A pack is written whole or not at all, is read back by the runtime, and has the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny_pack
from dermedge import PackError, Scanner
from dermedge.golden import require_golden
from dermedge.pack import verify
from dermedge.pack.manifest import Manifest
from dermedge_export import packer
from dermedge_export.packer import GoldenSource, PackParts, write_pack
from tiny_parts import parts as tiny_parts


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> PackParts:
    return tiny_parts(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def written(parts: PackParts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Manifest]]:
    folder = tmp_path_factory.mktemp("written") / "pack"
    yield folder, write_pack(parts, folder)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_runtime_verifies_what_was_written_and_repeats_its_golden_answers(
    written: tuple[Path, Manifest],
) -> None:
    folder, manifest = written
    assert verify(folder).manifest == manifest
    with Scanner.open(folder, provider="cpu") as scanner:
        require_golden(scanner)


def test_every_file_in_the_folder_is_listed(written: tuple[Path, Manifest]) -> None:
    folder, manifest = written
    assert set(bytes_of(folder)) == {*manifest.files, "pack.json"}


def test_the_golden_answers_are_those_that_were_worked_out_without_the_runtime(
    written: tuple[Path, Manifest], tmp_path: Path
) -> None:
    reference = verify(tiny_pack.build(tmp_path / "tiny"))
    mine = verify(written[0])
    for expected, found in zip(reference.manifest.golden.photos, mine.manifest.golden.photos, strict=True):
        assert len(found.boxes) == len(expected.boxes)
        cosines = (reference.array(expected.embeddings) * mine.array(found.embeddings)).sum(axis=1)
        assert cosines.min() > 0.98
        for a, b in zip(expected.probabilities, found.probabilities, strict=True):
            assert max(a, key=a.__getitem__) == max(b, key=b.__getitem__)


def test_the_same_parts_give_the_same_bytes(parts: PackParts, written: tuple[Path, Manifest], tmp_path: Path) -> None:
    write_pack(parts, tmp_path / "again")
    assert bytes_of(tmp_path / "again") == bytes_of(written[0])


def test_the_card_is_rendered_from_the_manifest_as_it_will_be_read(tmp_path: Path, parts: PackParts) -> None:
    seen: list[Manifest] = []

    def card(manifest: Manifest) -> str:
        seen.append(manifest)
        return " ".join(manifest.metrics)

    manifest = write_pack(replace(parts, card=card, metrics={"b": [1], "a": 2}), tmp_path / "pack")
    assert (tmp_path / "pack" / manifest.card).read_text() == "a b"
    assert seen[-1].metrics == verify(tmp_path / "pack").manifest.metrics


def test_a_new_pack_replaces_the_old_one_and_leaves_nothing_beside_it(parts: PackParts, tmp_path: Path) -> None:
    target = tmp_path / "pack"
    write_pack(parts, target)
    (target / "left over").write_text("from an older pack")
    write_pack(replace(parts, version="2.0.0"), target)
    assert verify(target).manifest.version == "2.0.0"
    assert not (target / "left over").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["pack"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda p: replace(p, prompts=p.prompts * np.float32(2)), "length 1"),
        (lambda p: replace(p, conditions=()), "none is malignant"),
        (lambda p: replace(p, graphs={**p.graphs, p.tower.graph: b"no graph"}), "graph"),
        (lambda p: replace(p, golden=()), "self-test"),
        (
            lambda p: replace(p, golden=(GoldenSource("skin.png", empty_skin(), "phone"),)),
            "no lesion in any golden photograph",
        ),
    ],
    ids=["vectors", "conditions", "graph", "no golden photographs", "golden photographs without a lesion"],
)
def test_a_pack_that_the_runtime_refuses_never_takes_the_place_of_a_good_one(
    broken: object, said: str, parts: PackParts, tmp_path: Path
) -> None:
    assert callable(broken)
    target = tmp_path / "pack"
    write_pack(parts, target)
    before = bytes_of(target)
    with pytest.raises(PackError, match=said):
        write_pack(broken(parts), target)
    assert bytes_of(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["pack"]


def test_reading_back_fails_when_the_answers_have_changed(written: tuple[Path, Manifest], tmp_path: Path) -> None:
    folder = tiny_pack.build(tmp_path / "pack")

    def shift(document: tiny_pack.Document) -> None:
        x, y, width, height = document["golden"]["photos"][0]["boxes"][0]
        document["golden"]["photos"][0]["boxes"][0] = [x + 40, y, width, height]

    tiny_pack.edit_manifest(folder, shift)
    with pytest.raises(PackError, match="does not read back"):
        packer._read_back(folder)


def empty_skin() -> bytes:
    import io

    buffer = io.BytesIO()
    tiny_pack.skin_with_spots().save(buffer, "PNG")
    return buffer.getvalue()
