"""A pack's folder, checked whole before anything in it is used; it fails closed.

Only files that the manifest lists are opened, each through its folders one by one without following a link,
so that what is checked is what lies in the pack. What is handed out later is hashed again as it is read.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    PackFileAltered,
    PackFileMissing,
    PackFileUnlisted,
    PackLinkFound,
    PackNotFound,
    VectorsInvalid,
)
from ..result import MODALITIES, PackRef
from .manifest import FileEntry, Manifest
from .onnx_refs import external_data
from .reading import MAX_BYTES, read_manifest
from .rules import MANIFEST_NAME, check_path, graphs

_CHUNK = 1 << 20
_HELD = 64 << 20
"""Graphs up to this size are read as a whole to find their references."""
_UNIT_TOLERANCE = 1e-3
# Exactly what `numpy.save` writes for float32: a parser for more than that would be one more thing to trust.
_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)"
    rb"(?P<text>{'descr': '<f4', 'fortran_order': False, "
    rb"'shape': \((?P<shape>\d{1,9},(?: \d{1,9},?){0,2})\), } *\n)",
    re.DOTALL,
)
# Without O_NONBLOCK, opening a FIFO that was put in a file's place would wait for ever.
_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OPEN_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class VerifiedPack:
    """A pack that `verify` let through; the only way to its files."""

    folder: Path
    manifest: Manifest
    external: Mapping[str, tuple[str, ...]] = field(repr=False)
    """Graph -> the listed files that hold its external data."""

    @property
    def ref(self) -> PackRef:
        manifest = self.manifest
        calibrated = all(scoring.calibrated for scoring in manifest.scoring.values())
        return PackRef(manifest.id, manifest.version, manifest.digest, calibrated)

    def read(self, path: str) -> bytes:
        """A listed file's bytes: exactly those whose sha256 the manifest gives, or an error."""
        entry = self._entry(path)
        data = b"".join(chunks(self.folder, path, entry.bytes))
        _compare(path, entry, len(data), hashlib.sha256(data).hexdigest())
        return data

    def array(self, path: str) -> NDArray[np.float32]:
        """A listed .npy file, read-only."""
        return _array(path, self.read(path))

    def graph(self, path: str) -> bytes | Path:
        """What ONNX Runtime should load: the graph's bytes, or its path where its weights lie beside it.

        In the second case the graph and its weights are hashed again now, just before they are opened.
        """
        if not self.external[path]:
            return self.read(path)
        for part in (path, *self.external[path]):
            _hash(self.folder, part, self._entry(part))
        return self.folder / path

    def _entry(self, path: str) -> FileEntry:
        if path not in self.manifest.files:
            raise PackFileUnlisted(f"{path} is not a file of the pack {self.manifest.id}.")
        return self.manifest.files[path]


def verify(folder: Path, progress: Callable[[str], None] | None = None) -> VerifiedPack:
    """Check the manifest, every listed file, every graph's references and every vector; raises a `PackError`.

    `progress` is told each file's name before it is hashed.
    """
    folder = Path(os.path.realpath(folder))
    manifest = read_manifest(_manifest_bytes(folder))
    for path, entry in manifest.files.items():
        if progress is not None:
            progress(path)
        _hash(folder, path, entry)
    external = {path: _external(folder, path, manifest) for _, path in graphs(manifest)}
    pack = VerifiedPack(folder, manifest, MappingProxyType(external))
    _check_vectors(pack)
    return pack


def chunks(folder: Path, path: str, limit: int) -> Iterator[bytes]:
    """A file of the pack, piece by piece, and at most one piece more than `limit` bytes of it."""
    with _open_inside(folder, path) as file:
        size = 0
        while size <= limit:
            try:
                chunk = file.read(min(_CHUNK, limit + 1 - size))
            except OSError as error:
                raise PackFileMissing(f"{path}: {error.strerror}. Reinstall the pack.") from None
            if not chunk:
                return
            size += len(chunk)
            yield chunk


def _open_inside(folder: Path, path: str) -> BinaryIO:
    """Open a regular file below `folder`; a link anywhere on the way is an error."""
    *parents, name = path.split("/")
    opened: list[int] = []
    try:
        at = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        opened.append(at)
        for part in parents:
            _no_link(part, at, path)
            at = os.open(part, _OPEN_FOLDER, dir_fd=at)
            opened.append(at)
        _no_link(name, at, path)
        handle = os.open(name, _OPEN_FILE, dir_fd=at)
        opened.append(handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise PackFileMissing(f"{path} is no regular file. Reinstall the pack.")
        opened.remove(handle)
        return os.fdopen(handle, "rb", buffering=0)
    except OSError as error:
        raise PackFileMissing(f"{path}: {error.strerror}. Reinstall the pack.") from None
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _no_link(name: str, folder: int, path: str) -> None:
    if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise PackLinkFound(f"{path}: {name} is a link; a pack must hold its files itself. Reinstall the pack.")


def _manifest_bytes(folder: Path) -> bytes:
    try:
        return b"".join(chunks(folder, MANIFEST_NAME, MAX_BYTES))
    except PackFileMissing as error:
        raise PackNotFound(f"no pack at {folder}: {error}") from None


def _hash(folder: Path, path: str, entry: FileEntry) -> None:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks(folder, path, entry.bytes):
        digest.update(chunk)
        size += len(chunk)
    _compare(path, entry, size, digest.hexdigest())


def _compare(path: str, entry: FileEntry, size: int, sha256: str) -> None:
    if size != entry.bytes:
        raise PackFileAltered(f"{path} has {size} bytes where the manifest says {entry.bytes}. Reinstall the pack.")
    if sha256 != entry.sha256:
        raise PackFileAltered(f"{path} is not the file that the manifest describes (sha256). Reinstall the pack.")


def _external(folder: Path, path: str, manifest: Manifest) -> tuple[str, ...]:
    size = manifest.files[path].bytes
    if size <= _HELD:
        locations = external_data(path, b"".join(chunks(folder, path, size)))
    else:
        with _open_inside(folder, path) as file:
            # Mapped, so that weights are stepped over. Not closed by hand: views of it may still be alive.
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        locations = external_data(path, memoryview(whole))
    beside = path.rpartition("/")[0]
    found = []
    for location in locations:
        check_path(f"{path}: external data", location)
        target = f"{beside}/{location}" if beside else location
        if target not in manifest.files:
            raise PackFileUnlisted(f"{path} refers to {target}, which is not listed. Do not use this pack.")
        found.append(target)
    return tuple(found)


def _check_vectors(pack: VerifiedPack) -> None:
    manifest = pack.manifest
    conditions, modalities = len(manifest.conditions), len(MODALITIES)
    rejects = len(manifest.scoring[MODALITIES[0]].reject_bias)
    prompts = pack.array(manifest.vectors.prompts)
    _check_rows(manifest.vectors.prompts, prompts, (modalities, conditions, prompts.shape[-1]))
    dimensions = prompts.shape[-1]
    expected = [(manifest.vectors.rejects, (rejects, dimensions))]
    expected.append((manifest.vectors.modalities, (modalities, dimensions)))
    expected += [(photo.embeddings, (len(photo.boxes), dimensions)) for photo in manifest.golden.photos]
    for path, shape in expected:
        _check_rows(path, pack.array(path), shape)


def _check_rows(path: str, rows: NDArray[np.float32], shape: tuple[int, ...]) -> None:
    if rows.shape != shape:
        raise VectorsInvalid(f"{path} has the shape {rows.shape} where {shape} is expected. Do not use this pack.")
    lengths = np.linalg.norm(rows.astype(np.float64), axis=-1)
    # A NaN anywhere makes its row's length NaN, which no comparison lets through.
    if not bool(np.all(np.abs(lengths - 1) <= _UNIT_TOLERANCE)):
        raise VectorsInvalid(f"{path} holds a row that is not of length 1. Do not use this pack.")


def _array(path: str, data: bytes) -> NDArray[np.float32]:
    header = _NPY_HEADER.match(data)
    if header is None or int.from_bytes(header["length"], "little") != len(header["text"]):
        raise VectorsInvalid(f"{path} is no .npy file of float32 rows. Do not use this pack.")
    shape = tuple(int(side) for side in header["shape"].split(b",") if side)
    if math.prod(shape) * 4 != len(data) - header.end():
        raise VectorsInvalid(f"{path} does not hold as many numbers as its shape {shape}. Do not use this pack.")
    return np.frombuffer(data, "<f4", offset=header.end()).reshape(shape)
