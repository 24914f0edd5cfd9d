"""`dermedge pack`: what is installed, what a pack says about itself, and changing either."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import UsageError
from .pack import VerifiedPack, document_of, find, store, verify
from .report import Style, pack_summary, print_json, printable

Answer = tuple[dict[str, Any], str]
"""The same for `--json` and for a person."""


def manage(arguments: argparse.Namespace) -> int:
    actions: dict[str, Callable[[argparse.Namespace], Answer]] = {
        "verify": _verify,
        "show": _show,
        "list": _list,
        "install": _install,
        "remove": _remove,
        "rollback": _rollback,
    }
    value, text = actions[arguments.action](arguments)
    if arguments.json:
        print_json(value)
    else:
        print(text)
    return 0


def _verify(arguments: argparse.Namespace) -> Answer:
    pack = verify(find(arguments.pack))
    count = len(pack.manifest.files)
    return (
        {**_identity(pack), "files": count, "folder": str(pack.folder)},
        f"{pack.ref.id} {pack.ref.version}: {count} files as listed, digest {pack.ref.digest}",
    )


def _show(arguments: argparse.Namespace) -> Answer:
    pack = verify(find(arguments.pack))
    return document_of(pack.manifest), pack_summary(pack.manifest, Style.of(sys.stdout))


def _list(arguments: argparse.Namespace) -> Answer:
    rows = [
        {"id": one.id, "name": one.name, "folder": str(one.path), "current": one.current, "embedded": False}
        for one in store.listing()
    ]
    embedded = store.embedded()
    if embedded is not None:
        pack = verify(embedded)
        rows.append(
            {
                "id": pack.ref.id,
                "name": f"{pack.ref.version}-{pack.ref.digest[:8]}",
                "folder": str(embedded),
                "current": all(row["id"] != pack.ref.id for row in rows),
                "embedded": True,
            }
        )
    lines = [
        f"{'*' if row['current'] else ' '} {row['id']:20} {row['name']:24} "
        f"{'came with dermedge' if row['embedded'] else printable(str(row['folder']))}"
        for row in rows
    ]
    return {"packs": rows}, "\n".join(lines) or "no pack is installed: dermedge pack install FOLDER"


def _install(arguments: argparse.Namespace) -> Answer:
    folder = Path(arguments.pack)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder; give the folder that holds the pack.json")
    place = store.install(folder, selftest=_self_test)
    pack = verify(place)
    return (
        {**_identity(pack), "folder": str(place)},
        f"{pack.ref.id} {pack.ref.version} is installed in {printable(str(place))} and answers as it should",
    )


def _self_test(folder: Path) -> None:
    from .golden import require_golden
    from .scanner import Scanner

    with Scanner.open(folder) as scanner:
        require_golden(scanner)


def _remove(arguments: argparse.Namespace) -> Answer:
    store.remove(arguments.pack)
    return {"removed": arguments.pack}, f"{arguments.pack} is removed"


def _rollback(arguments: argparse.Namespace) -> Answer:
    place = store.rollback(arguments.pack)
    pack = verify(place)
    return {**_identity(pack), "folder": str(place)}, f"{pack.ref.id} {pack.ref.version} is current again"


def _identity(pack: VerifiedPack) -> dict[str, Any]:
    return {
        "id": pack.ref.id,
        "version": pack.ref.version,
        "digest": pack.ref.digest,
        "calibrated": pack.ref.calibrated,
    }
