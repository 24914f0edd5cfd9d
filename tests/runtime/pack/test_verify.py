from __future__ import annotations

import importlib
import io
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import tiny_pack
from dermedge.errors import (
    GraphInvalid,
    ManifestInvalid,
    PackError,
    PackFileAltered,
    PackFileMissing,
    PackFileUnlisted,
    PackLinkFound,
    PackNotFound,
    PackPathUnsafe,
    SchemaUnknown,
    VectorsInvalid,
)
from dermedge.pack.verify import VerifiedPack, chunks, verify


def test_a_valid_pack_is_let_through(pack: Path) -> None:
    verified = verify(pack)
    assert verified.folder == pack
    assert verified.manifest.id == "tiny"
    assert (verified.ref.id, verified.ref.version, verified.ref.calibrated) == ("tiny", "1.0.0", True)
    assert verified.ref.digest == tiny_pack.read_manifest(pack)["digest"]
    with pytest.raises(FrozenInstanceError):
        verified.folder = pack.parent  # type: ignore[misc]


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("segmenter", [True, False])
def test_every_kind_of_tiny_pack_is_valid(tmp_path: Path, calibrated: bool, segmenter: bool) -> None:
    folder = tiny_pack.build(tmp_path / "p", calibrated=calibrated, segmenter=segmenter, views=4, id="other")
    verified = verify(folder)
    assert verified.ref.calibrated is calibrated
    assert (verified.manifest.segmenter is not None) is segmenter


def test_a_link_to_the_pack_itself_is_followed(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pack)
    assert verify(tmp_path / "link").folder == pack


def test_an_unlisted_file_does_no_harm_and_cannot_be_read(pack: Path) -> None:
    (pack / "notes.txt").write_text("mine")
    verified = verify(pack)
    with pytest.raises(PackFileUnlisted, match=r"notes\.txt"):
        verified.read("notes.txt")
    with pytest.raises(PackFileUnlisted):
        verified.read("../pack/card.md")
    with pytest.raises(PackFileUnlisted):
        verified.read("pack.json")


def test_progress_names_each_file_once(pack: Path) -> None:
    names: list[str] = []
    assert sorted(verify(pack, names.append).manifest.files) == sorted(names)


def flips(size: int) -> list[int]:
    return sorted({0, 1, size // 7, size // 3, size // 2, size - size // 5, size - 2, size - 1} & set(range(size)))


def test_no_byte_of_a_listed_file_can_change_unnoticed(pack: Path) -> None:
    for name in tiny_pack.read_manifest(pack)["files"]:
        data = (pack / name).read_bytes()
        for place in flips(len(data)):
            for mask in (1, 128):
                changed = bytearray(data)
                changed[place] ^= mask
                (pack / name).write_bytes(changed)
                with pytest.raises(PackFileAltered, match=rf"^{name} is not the file .* Reinstall the pack\.$"):
                    verify(pack)
        (pack / name).write_bytes(data)
    assert isinstance(verify(pack), VerifiedPack)


def test_no_byte_of_the_manifest_can_change_unnoticed(pack: Path) -> None:
    data = (pack / "pack.json").read_bytes()
    for place in {*flips(len(data)), *range(0, len(data), 97)}:
        (pack / "pack.json").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(PackError):
            verify(pack)


@pytest.mark.parametrize("change", [lambda data: data + b"\0", lambda data: data[:-1], lambda data: b""])
@pytest.mark.parametrize("name", ["graphs/tower.onnx", "graphs/tower.bin", "card.md", "golden/phone.png"])
def test_a_file_of_another_size_is_refused(pack: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    (pack / name).write_bytes(change((pack / name).read_bytes()))
    with pytest.raises(PackFileAltered, match=rf"^{name} has \d+ bytes where the manifest says \d+"):
        verify(pack)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's whole path may be too long for its address
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize("put", [None, Path.mkdir, make_fifo, make_socket])
@pytest.mark.parametrize("name", ["graphs/detector.onnx", "card.md", "vectors/prompts.npy"])
def test_a_missing_or_irregular_file_is_refused(pack: Path, name: str, put: Callable[[Path], object] | None) -> None:
    (pack / name).unlink()
    if put is not None:
        put(pack / name)
    with pytest.raises(PackFileMissing, match=rf"^{name}.*Reinstall the pack\.$"):
        verify(pack)


def test_a_missing_folder_is_a_missing_file(pack: Path) -> None:
    shutil.rmtree(pack / "golden")
    with pytest.raises(PackFileMissing, match="golden/"):
        verify(pack)


def test_a_file_in_a_folders_place_is_a_missing_file(pack: Path) -> None:
    shutil.rmtree(pack / "golden")
    (pack / "golden").write_bytes(b"")
    with pytest.raises(PackFileMissing, match="golden/"):
        verify(pack)


@pytest.mark.parametrize("name", ["graphs/tower.onnx", "graphs/tower.bin", "graphs", "card.md", "pack.json", "golden"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_link_is_refused_even_to_the_very_same_bytes(pack: Path, tmp_path: Path, name: str, inside: bool) -> None:
    target = (pack if inside else tmp_path) / "real"
    (pack / name).rename(target)
    (pack / name).symlink_to(target)
    with pytest.raises(PackLinkFound, match="is a link"):
        verify(pack)


def test_a_link_to_nothing_is_refused_as_a_link(pack: Path) -> None:
    (pack / "card.md").unlink()
    (pack / "card.md").symlink_to(pack / "nothing")
    with pytest.raises(PackLinkFound):
        verify(pack)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_a_file_that_the_disk_cannot_read_is_named() -> None:
    # A regular file whose first bytes are never mapped: reading them is an input/output error.
    with pytest.raises(PackFileMissing, match="mem: Input/output error"):
        b"".join(chunks(Path("/proc/self"), "mem", 10))


def test_where_there_is_no_pack_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(PackNotFound, match="no pack at"):
            verify(place)


def test_a_wrong_manifest_is_reported_before_any_file(pack: Path) -> None:
    shutil.rmtree(pack / "graphs")
    tiny_pack.edit_manifest(pack, lambda d: d["triage"]["phone"]["urgent"].update(value=float("nan")))
    with pytest.raises(ManifestInvalid, match=r"triage\.phone\.urgent\.value"):
        verify(pack)
    tiny_pack.edit_manifest(pack, lambda d: d.update(schema=2))
    with pytest.raises(SchemaUnknown):
        verify(pack)


def relocate(folder: Path, location: str) -> None:
    """Point the tower's external data somewhere else; the manifest vouches for the graph."""
    model = onnx.load(str(folder / "graphs/tower.onnx"), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    tiny_pack.replace_file(folder, "graphs/tower.onnx", model.SerializeToString())


@pytest.fixture(params=[64 << 20, 0], ids=["read", "mapped"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small graphs are read, large ones are mapped: both must find the same."""
    monkeypatch.setattr(importlib.import_module("dermedge.pack.verify"), "_HELD", request.param)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("../graphs/tower.bin", PackPathUnsafe),
        ("/etc/passwd", PackPathUnsafe),
        ("..", PackPathUnsafe),
        ("", PackPathUnsafe),
        ("*/_ORT_MEM_ADDR_/*", PackPathUnsafe),
        ("c:\\tower.bin", PackPathUnsafe),
        ("other.bin", PackFileUnlisted),
        ("card.md", PackFileUnlisted),
    ],
)
def test_a_graph_may_only_refer_to_listed_files_beside_it(pack: Path, location: str, error: type[PackError]) -> None:
    relocate(pack, location)
    shutil.copy(pack / "graphs/tower.bin", pack / "graphs/other.bin")
    with pytest.raises(error, match=r"^graphs/tower\.onnx.* Do not use this pack\.$"):
        verify(pack)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("data", [b"not a graph at all", b"", b"\x3a\x7f"])
@pytest.mark.parametrize("name", ["graphs/tower.onnx", "graphs/detector.onnx", "graphs/decoder.onnx"])
def test_a_listed_file_that_is_no_graph_is_refused_before_it_is_opened(pack: Path, name: str, data: bytes) -> None:
    tiny_pack.replace_file(pack, name, data)
    with pytest.raises(GraphInvalid, match=name):
        verify(pack)


@pytest.mark.usefixtures("held")
def test_a_graph_with_weights_beside_it_is_known(pack: Path) -> None:
    assert verify(pack).external["graphs/tower.onnx"] == ("graphs/tower.bin",)
    assert verify(pack).external["graphs/detector.onnx"] == ()


def npy(rows: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, rows, **options)
    return file.getvalue()


def rows(*shape: int) -> np.ndarray:
    drawn = np.random.default_rng(5).standard_normal(shape)
    unit: np.ndarray = (drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)).astype(np.float32)
    return unit


def spoiled(value: float) -> bytes:
    wrong = rows(2, 8, 16)
    wrong[1, 3, 5] = value
    return npy(wrong)


def version_2() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, rows(2, 8, 16), version=(2, 0))
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, rows(2, 8, 16))
    return file.getvalue()


def claimed(shape: str) -> bytes:
    """A header that promises another shape than the data have."""
    return npy(rows(2, 8, 16)).replace(b"(2, 8, 16), }", shape.encode() + b", }")


WRONG_VECTORS: dict[str, bytes] = {
    "doubles": npy(rows(2, 8, 16).astype(np.float64)),
    "big-endian": npy(rows(2, 8, 16).astype(">f4")),
    "integers": npy(np.ones((2, 8, 16), np.int32)),
    "columns first": npy(np.asfortranarray(rows(2, 8, 16))),
    "pickled objects": npy(np.array([[{}]], dtype=object), allow_pickle=True),
    "one modality": npy(rows(1, 8, 16)),
    "a condition too few": npy(rows(2, 7, 16)),
    "flat": npy(rows(16, 16)),
    "a single number": npy(np.array(1, np.float32)),
    "no numbers": npy(np.zeros((2, 8, 0), np.float32)),
    "other dimensions than the rest": npy(rows(2, 8, 12)),
    "NaN": spoiled(float("nan")),
    "infinite": spoiled(float("inf")),
    "not of length 1": npy(rows(2, 8, 16) * np.float32(1.1)),
    "zeros": npy(np.zeros((2, 8, 16), np.float32)),
    "version 2 of the format": version_2(),
    "a zip archive": zipped(),
    "trailing bytes": npy(rows(2, 8, 16)) + b"\0",
    "cut off": npy(rows(2, 8, 16))[:-4],
    "only half a header": npy(rows(2, 8, 16))[:40],
    "empty": b"",
    "text": b"no vectors",
    "claims more": claimed("(200000000, 8, 16)"),
    "claims nothing at great length": claimed("(0, 999999999, 999999999)"),
    "claims code": claimed("__import__('os').abort()"),
}


@pytest.mark.parametrize("name", WRONG_VECTORS)
def test_wrong_vectors_are_refused(pack: Path, name: str) -> None:
    tiny_pack.replace_file(pack, "vectors/prompts.npy", WRONG_VECTORS[name])
    with pytest.raises(VectorsInvalid, match=r"^vectors/\w+\.npy .*Do not use this pack\.$"):
        verify(pack)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("vectors/rejects.npy", (3, 16)),
        ("vectors/modalities.npy", (3, 16)),
        ("golden/phone.npy", (1, 16)),
        ("golden/phone.npy", (2, 15)),
    ],
)
def test_vectors_must_fit_to_each_other(pack: Path, name: str, shape: tuple[int, ...]) -> None:
    tiny_pack.replace_file(pack, name, npy(rows(*shape)))
    with pytest.raises(VectorsInvalid, match=rf"^{name} has the shape"):
        verify(pack)


def test_what_is_read_is_what_was_hashed(pack: Path) -> None:
    verified = verify(pack)
    for name in verified.manifest.files:
        assert verified.read(name) == (pack / name).read_bytes()
    (pack / "card.md").write_text("other words of any length")
    with pytest.raises(PackFileAltered):
        verified.read("card.md")
    (pack / "graphs/detector.onnx").write_bytes(b"x" * (pack / "graphs/detector.onnx").stat().st_size)
    with pytest.raises(PackFileAltered):
        verified.graph("graphs/detector.onnx")


def test_arrays_come_as_they_were_saved_and_read_only(pack: Path) -> None:
    prompts = verify(pack).array("vectors/prompts.npy")
    assert np.array_equal(prompts, np.load(pack / "vectors/prompts.npy"))
    with pytest.raises(ValueError, match="read-only"):
        prompts[0, 0, 0] = 1


def test_a_graph_comes_as_bytes_or_as_its_path_beside_its_weights(pack: Path) -> None:
    verified = verify(pack)
    assert verified.graph("graphs/detector.onnx") == (pack / "graphs/detector.onnx").read_bytes()
    tower = verified.graph("graphs/tower.onnx")
    assert tower == pack / "graphs/tower.onnx"
    assert ort.InferenceSession(str(tower), providers=["CPUExecutionProvider"]).get_inputs()[0].name == "crop"


def test_weights_that_changed_since_are_refused_when_the_graph_is_asked_for(pack: Path) -> None:
    verified = verify(pack)
    weights = bytearray((pack / "graphs/tower.bin").read_bytes())
    weights[7] ^= 1
    (pack / "graphs/tower.bin").write_bytes(weights)
    with pytest.raises(PackFileAltered, match=r"graphs/tower\.bin"):
        verified.graph("graphs/tower.onnx")


def test_a_link_that_appears_later_is_refused_too(pack: Path, tmp_path: Path) -> None:
    verified = verify(pack)
    (pack / "graphs").rename(tmp_path / "elsewhere")
    (pack / "graphs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackLinkFound):
        verified.read("graphs/detector.onnx")
