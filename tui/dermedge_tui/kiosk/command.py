"""`dermedge kiosk`: what was asked for on the command line, and the operator's PIN."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from dermedge import UsageError

from .. import charset
from ..command import Parser, colourless, machine_parser, open_scanner, renderer
from ..themes import THEMES
from . import settings
from .pin import LONGEST, SHORTEST, acceptable, hashed
from .settings import IDLE, Files, Settings


def parser() -> Parser:
    wanted = Parser(
        prog="dermedge kiosk",
        description="The application for strangers at a public box: nobody leaves it without the operator's PIN, and "
        "nothing outlives a person's session. A screening aid, not a diagnosis.",
        parents=[machine_parser()],
    )
    wanted.add_argument("--set-pin", action="store_true", help="ask for the operator's PIN, keep its hash, and end")
    wanted.add_argument("--settings", metavar="FILE", type=Path, help=f"default: {settings.SYSTEM}, or your own")
    wanted.add_argument("--camera", metavar="ID", help="such as /dev/video0 (default: the first found)")
    wanted.add_argument("--idle", metavar="SECONDS", type=int, help="without a touch until the countdown (default: 60)")
    wanted.add_argument("--theme", choices=THEMES, help="default: as in the settings, or dark")
    return wanted


def main(argv: Sequence[str]) -> int:
    try:
        arguments = parser().parse_args(list(argv))
    except SystemExit as finished:  # --help
        return int(finished.code or 0)
    files = Files(arguments.settings or settings.location())
    found = settings.load(files.settings)
    if arguments.set_pin:
        return set_pin(found, files)
    if found.pin is None:
        again = f" --settings {files.settings}" if arguments.settings else ""
        raise UsageError(f"the kiosk has no PIN, and nobody could leave it; set one: dermedge kiosk --set-pin{again}")
    found = with_wishes(found, arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the kiosk needs a terminal")

    # Imported here: from here on it takes the terminal over, and asks it what it can do.
    from ..widgets.picture import Picture
    from .app import KioskApp
    from .attend import attend, deaf
    from .station import Model, Station

    deaf()
    charset.listen()
    if colourless():
        os.environ["NO_COLOR"] = "1"  # the toolkit marks by reversing, then
    Picture.renderer = renderer(arguments.pictures)
    return attend(Station(found, files, Model(partial(open_scanner, arguments)), arguments.pack), KioskApp)


def with_wishes(found: Settings, arguments: argparse.Namespace) -> Settings:
    """The command line goes before the file."""
    if arguments.idle is not None and arguments.idle not in IDLE:
        raise UsageError(f"--idle takes {IDLE[0]} to {IDLE[-1]} seconds")
    return replace(
        found,
        camera=arguments.camera or found.camera,
        idle=arguments.idle or found.idle,
        theme=arguments.theme or found.theme,
    )


def set_pin(found: Settings, files: Files) -> int:
    """Asked twice at a terminal, without showing it; an installer hands it over as one line of stdin."""
    asked = sys.stdin.isatty()
    if asked:
        pin = getpass.getpass(f"New PIN of the operator ({SHORTEST} to {LONGEST} digits): ")
    else:
        pin = sys.stdin.readline().strip()
    if not acceptable(pin):
        raise UsageError(f"a PIN has {SHORTEST} to {LONGEST} digits, to be touched on a screen; nothing was changed")
    if asked and getpass.getpass("The same again: ") != pin:
        raise UsageError("these were two different PINs; nothing was changed")
    settings.save(replace(found, pin=hashed(pin)), files.settings)
    # A new one opens the lock: whoever may write this file needs no guessing.
    files.attempts.unlink(missing_ok=True)
    print(f"the PIN is kept, as a hash, in {files.settings}", file=sys.stderr)
    return os.EX_OK
