"""Installed packs: where they live, which one is current, and how that changes without ever breaking.

    <root>/<id>/<version>-<digest8>/     a pack
    <root>/<id>/current                  JSON: the folder in use, and the one before it

A pack becomes current by one rename of that small file, after everything it points to is on the disk.
Whatever stops an install, the old or the new pack is current afterwards; leftovers are cleared by the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import PackError, PackNotFound, PackStoreError
from .reading import MAX_BYTES
from .rules import MANIFEST_NAME, PACK_NAME
from .verify import VerifiedPack, chunks, verify

DEFAULT_ID = "compact"
MARKER = "current"

Step = Callable[[str], None]
"""Told what is about to happen before each step that reaches the disk."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One pack of the store."""

    id: str
    name: str
    """Its folder's: version and the digest's first eight digits."""
    path: Path
    current: bool


@dataclass(frozen=True, slots=True)
class _Marker:
    current: str
    previous: str | None


def root() -> Path:
    """Where packs are installed."""
    if chosen := os.environ.get("DERMEDGE_PACKS"):
        return Path(chosen).expanduser().absolute()
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    # The XDG rules say that a relative path there counts as none.
    return (data if data.is_absolute() else Path.home() / ".local" / "share") / "dermedge" / "packs"


def find(wanted: str | Path | None = None) -> Path:
    """The folder of a pack: by an installed id, by a path, or the default one.

    The default is the installed `compact`, else the one that came with dermedge; its id means the same.
    """
    if wanted is None or wanted == DEFAULT_ID:
        found = _current(DEFAULT_ID) or embedded()
        if found is None:
            raise PackNotFound("no pack is installed and none came with dermedge: dermedge pack install FOLDER")
        return found
    if isinstance(wanted, str) and PACK_NAME.fullmatch(wanted) and (found := _current(wanted)):
        return found
    path = Path(wanted).expanduser()
    path = path.parent if path.name == MANIFEST_NAME else path
    if (path / MANIFEST_NAME).is_file():
        return path
    raise PackNotFound(f"{wanted} is neither an installed pack nor a folder with a {MANIFEST_NAME}: dermedge pack list")


def embedded() -> Path | None:
    """The pack that came with dermedge: inside the installed package, or in the source checkout."""
    package = Path(__file__).parents[1]
    checkout = package.parent.parent
    places = [package / "packs" / DEFAULT_ID]
    if (checkout / "pyproject.toml").is_file():
        places.append(checkout / "artifacts" / DEFAULT_ID)
    return next((place for place in places if (place / MANIFEST_NAME).is_file()), None)


def listing() -> tuple[Installed, ...]:
    """Everything installed, by id, the current one of each first."""
    found = []
    for home in sorted(_homes()):
        marker = _read_marker(home)
        for name in (marker.current, marker.previous) if marker else ():
            if name is not None:
                found.append(Installed(home.name, name, home / name, name == marker.current if marker else False))
    return tuple(found)


def install(folder: Path, *, selftest: Callable[[Path], None] | None = None, step: Step | None = None) -> Path:
    """Copy a pack into the store and make it current; the one before it is kept for `rollback`.

    `selftest` is given the verified copy before it becomes current, and may raise.
    """
    source = verify(folder)
    step = step or _no_step
    with _locked(), _reported(f"installing {source.manifest.id}"):
        home = root() / source.manifest.id
        home.mkdir(exist_ok=True)
        marker = _read_marker(home)
        _clear(home, marker)
        name = f"{source.manifest.version}-{source.manifest.digest[:8]}"
        try:
            _sync(root(), step)
            present = _healthy(home, name, marker, source)
            if present is None:
                present = _copy(source, home, _free_name(home, name), selftest, step)
            if marker is None or present != marker.current:
                _switch(home, _Marker(present, _kept(home, name, marker)), step)
        except BaseException:
            # A full disk is not left fuller than it was.
            _clear(home, _read_marker(home))
            raise
        return home / present


def rollback(id: str) -> Path:
    """Make the previous version current again, and the current one the previous."""
    with _locked(), _reported(f"rolling back {id}"):
        home = _home(id)
        marker = _read_marker(home)
        if marker is None or marker.previous is None:
            raise PackStoreError(f"{id} has no previous version to go back to.")
        verify(home / marker.previous)
        _switch(home, _Marker(marker.previous, marker.current), _no_step)
        return home / marker.previous


def remove(id: str) -> None:
    """Take a pack, and the version kept before it, out of the store."""
    with _locked(), _reported(f"removing {id}"):
        home = _home(id)
        # Without its marker a pack is gone; the rest is only clearing up.
        (home / MARKER).unlink(missing_ok=True)
        _sync(home, _no_step)
        shutil.rmtree(home)


def _copy(source: VerifiedPack, home: Path, name: str, selftest: Callable[[Path], None] | None, step: Step) -> str:
    manifest = source.manifest
    needed = sum(entry.bytes for entry in manifest.files.values()) + MAX_BYTES
    free = shutil.disk_usage(home).free
    if free < needed:
        raise PackStoreError(f"{needed >> 20} MB are needed in {home} and {free >> 20} MB are free. Make room.")
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
    for path in (*manifest.files, MANIFEST_NAME):
        limit = manifest.files[path].bytes if path in manifest.files else MAX_BYTES
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for chunk in chunks(source.folder, path, limit):
                step(f"write {path}")
                file.write(chunk)
            file.flush()
            step(f"fsync {path}")
            os.fsync(file.fileno())
    for inner, _, _ in os.walk(fresh):
        _sync(Path(inner), step)
    if verify(fresh).manifest.digest != manifest.digest:
        raise PackStoreError("the pack changed while it was copied. Try again.")
    if selftest is not None:
        selftest(fresh)
    fresh.chmod(0o755)
    step(f"rename {name}")
    fresh.rename(home / name)
    _sync(home, step)
    return name


def _switch(home: Path, marker: _Marker, step: Step) -> None:
    """Make `marker` the truth by one rename, then clear what it no longer names."""
    handle, fresh = tempfile.mkstemp(prefix=".new-", dir=home)
    with os.fdopen(handle, "w") as file:
        step("write marker")
        file.write(json.dumps({"current": marker.current, "previous": marker.previous}))
        file.flush()
        step("fsync marker")
        os.fsync(file.fileno())
    step("rename marker")
    Path(fresh).replace(home / MARKER)
    try:
        _sync(home, step)
    except OSError as error:
        raise PackStoreError(
            f"{marker.current} is current now, but the disk did not confirm it: {error.strerror}. Check the disk."
        ) from None
    step("clear")
    _clear(home, marker)


def _healthy(home: Path, name: str, marker: _Marker | None, source: VerifiedPack) -> str | None:
    """The folder in which this very pack already is, unharmed."""
    for there in (marker.current, marker.previous) if marker else ():
        if there is not None and there.partition("~")[0] == name:
            try:
                if verify(home / there).manifest.digest == source.manifest.digest:
                    return there
            except PackError:
                continue
    return None


def _free_name(home: Path, name: str) -> str:
    # A damaged copy of the same pack may be current: it is replaced by switching, never by overwriting.
    return f"{name}~2" if (home / name).exists() else name


def _kept(home: Path, name: str, marker: _Marker | None) -> str | None:
    """What `rollback` goes back to: the current one, unless that is a damaged copy of what comes."""
    if marker is None:
        return None
    return marker.current if marker.current.partition("~")[0] != name else marker.previous


def _clear(home: Path, marker: _Marker | None) -> None:
    """Remove what killed installs and older versions left; failing at that harms nothing."""
    named = {MARKER, marker.current, marker.previous} if marker else {MARKER}
    for left in home.iterdir():
        if left.name not in named:
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()


def _current(id: str) -> Path | None:
    home = root() / id
    marker = _read_marker(home)
    return home / marker.current if marker else None


def _home(id: str) -> Path:
    home = root() / id
    if not PACK_NAME.fullmatch(id) or not home.is_dir():
        raise PackNotFound(f"no pack {id} is installed: dermedge pack list")
    return home


def _homes() -> list[Path]:
    return [home for home in root().iterdir() if PACK_NAME.fullmatch(home.name)] if root().is_dir() else []


def _read_marker(home: Path) -> _Marker | None:
    try:
        written = json.loads((home / MARKER).read_text())
        marker = _Marker(written["current"], written["previous"])
        for name in (marker.current, marker.previous or marker.current):
            if "/" in name or name.startswith("."):
                raise ValueError(name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise PackStoreError(
            f"{home / MARKER} is damaged: dermedge pack remove {home.name}, then install it again."
        ) from None
    return marker


def _sync(folder: Path, step: Step) -> None:
    step(f"fsync {folder.name}/")
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked() -> Iterator[None]:
    """One change of the store at a time; a killed process's lock is released by the kernel."""
    try:
        root().mkdir(parents=True, exist_ok=True)
        handle = os.open(root() / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise PackStoreError(f"{root()}: {error.strerror}. Set DERMEDGE_PACKS to a folder of yours.") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _reported(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PackStoreError(f"{doing} failed: {error.strerror}. What was installed before is unchanged.") from None


def _no_step(_: str) -> None:
    pass
