"""`dermedge tui`: what was asked for on the command line, and the terminal that it runs in."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dermedge import UsageError

from .language import LANGUAGES, choose, of_environment
from .themes import THEMES, of_terminal

if TYPE_CHECKING:
    from dermedge import Scanner

    from .widgets.picture import Renderer


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    wanted = Parser(
        prog="dermedge tui", description="The full-screen application. A screening aid, not a diagnosis."
    )
    wanted.add_argument("paths", nargs="*", metavar="PATH", help="photographs, or folders of them, to scan at once")
    wanted.add_argument("--folder", metavar="DIR", default=".", help="where the file list begins")
    wanted.add_argument("--pack", metavar="P", help="a pack's folder, or the id of an installed one")
    wanted.add_argument("--language", choices=LANGUAGES, help="default: as last chosen, or the system's")
    wanted.add_argument("--theme", choices=THEMES, help="default: as last chosen, or what the terminal can show")
    wanted.add_argument(
        "--pictures",
        choices=("auto", "cells", "letters", "sixel", "kitty"),
        default="auto",
        help="how photographs are drawn; auto takes pixels where the terminal has them",
    )
    wanted.add_argument("--provider", choices=("auto", "cpu", "cuda", "tensorrt", "openvino"), default="auto")
    wanted.add_argument("--threads", metavar="N", type=int)
    wanted.add_argument("--low-memory", action="store_true", help="for a box with 1 GB: slower, smaller")
    return wanted


def main(argv: Sequence[str]) -> int:
    try:
        arguments = parser().parse_args(list(argv))
    except SystemExit as finished:  # --help
        return int(finished.code or 0)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the full-screen application needs a terminal; `dermedge scan` does without")

    # Imported here: from here on it takes the terminal over, and asks it what it can do.
    from . import preferences
    from .app import DermedgeApp
    from .widgets.picture import Picture

    Picture.renderer = renderer(arguments.pictures)
    remembered = preferences.load(preferences.location())
    language = arguments.language or remembered.language
    choose(language if language in LANGUAGES else of_environment())
    theme = arguments.theme or remembered.theme
    application = DermedgeApp(
        partial(open_scanner, arguments),
        given=arguments.paths,
        folder=arguments.folder if Path(arguments.folder).is_dir() else ".",
        theme=theme if theme in THEMES else of_terminal(os.environ.get("TERM", "")),
    )
    return application.run() or application.return_code or 0


def open_scanner(arguments: argparse.Namespace) -> Scanner:
    from dermedge import Scanner

    return Scanner.open(
        arguments.pack,
        provider=arguments.provider,
        threads=arguments.threads,
        low_memory=arguments.low_memory,
    )


def renderer(asked: str) -> Renderer:
    """What was asked for, or the best that the terminal says it can do."""
    from .widgets.picture import RENDERERS

    for known in RENDERERS:
        if asked == known:
            return known
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "") in ("dumb", "vt100", "vt102", "vt220"):
        return "letters"
    from textual_image.renderable import Image, SixelImage, TGPImage

    if Image is SixelImage:
        return "sixel"
    return "kitty" if Image is TGPImage else "cells"
