"""`dermedge tui`: what was asked for on the command line, and the terminal that it runs in."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dermedge import UsageError

from . import charset
from .language import LANGUAGES, choose, of_environment
from .themes import COLOURLESS, THEMES, of_terminal

if TYPE_CHECKING:
    from dermedge import Scanner

    from .widgets.picture import Renderer


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    wanted = Parser(
        prog="dermedge tui",
        description="The full-screen application. A screening aid, not a diagnosis.",
        parents=[machine_parser(), serving_parser()],
    )
    wanted.add_argument("paths", nargs="*", metavar="PATH", help="photographs, or folders of them, to scan at once")
    wanted.add_argument("--folder", metavar="DIR", default=".", help="where the file list begins")
    wanted.add_argument("--watch", metavar="DIR", default="", help="scan the photographs that appear in this folder")
    wanted.add_argument("--language", choices=LANGUAGES, help="default: as last chosen, or the system's")
    wanted.add_argument("--theme", choices=THEMES, help="default: as last chosen, or what the terminal can show")
    wanted.add_argument("--debug", action="store_true", help="open each photograph with what every step saw of it")
    wanted.add_argument("--profile", metavar="NAME", help="judge by a calibration profile, not by the pack's numbers")
    return wanted


def machine_parser() -> Parser:
    """What it draws with and judges with, at a desk and at a kiosk alike."""
    wanted = Parser(add_help=False)
    wanted.add_argument(
        "--pictures",
        choices=("auto", "cells", "letters", "sixel", "kitty"),
        default="auto",
        help="how photographs are drawn; auto takes pixels where the terminal has them",
    )
    wanted.add_argument("--pack", metavar="P", help="a pack's folder, or the id of an installed one")
    wanted.add_argument("--provider", choices=("auto", "cpu", "cuda", "tensorrt", "openvino"), default="auto")
    wanted.add_argument("--threads", metavar="N", type=int)
    wanted.add_argument("--low-memory", action="store_true", help="for a box with 1 GB: slower, smaller")
    return wanted


def serving_parser() -> Parser:
    """What concerns the server; the rest is for the application behind each page."""
    wanted = Parser(prog="dermedge tui", add_help=False)
    wanted.add_argument("--serve", action="store_true", help="in a browser instead: pip install 'dermedge[tui,serve]'")
    wanted.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="with --serve (default: this computer)")
    wanted.add_argument("--port", metavar="N", type=int, default=8000, help="with --serve (default: 8000)")
    return wanted


def main(argv: Sequence[str]) -> int:
    try:
        arguments = parser().parse_args(list(argv))
    except SystemExit as finished:  # --help
        return int(finished.code or 0)
    if arguments.serve:
        return serve(arguments, argv)
    if not (served() or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("the full-screen application needs a terminal; `dermedge scan` does without")

    if arguments.watch and not Path(arguments.watch).is_dir():
        raise UsageError(f"{arguments.watch} is no folder that could be watched; name one that is there")

    from dermedge import Profile

    profile = Profile.load(arguments.profile) if arguments.profile is not None else None

    # Imported here: from here on it takes the terminal over, and asks it what it can do.
    from . import preferences
    from .app import DermedgeApp
    from .widgets.picture import Picture

    if served():
        from .serve.watch import end_with_server

        end_with_server()
    charset.listen()
    Picture.renderer = renderer(arguments.pictures)
    if colourless():
        os.environ["NO_COLOR"] = "1"  # the toolkit marks by reversing, then
    remembered = preferences.load(preferences.location())
    choose(language_of(arguments))
    theme = arguments.theme or remembered.theme
    application = DermedgeApp(
        partial(open_scanner, arguments),
        given=arguments.paths,
        folder=arguments.folder if Path(arguments.folder).is_dir() else ".",
        watch=arguments.watch,
        theme=theme if theme in THEMES else of_terminal(os.environ.get("TERM", "")),
        debug=arguments.debug,
        profile=profile,
    )
    return application.run() or application.return_code or 0


def serve(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    if not 0 <= arguments.port < 65536:
        raise UsageError(f"there is no port {arguments.port}; name one from 1 to 65535")
    try:
        from .serve.server import serve
    except ModuleNotFoundError as error:
        raise UsageError("the browser's part is not installed; pip install 'dermedge[tui,serve]'") from error
    choose(language_of(arguments))
    for_each = serving_parser().parse_known_args(list(argv))[1]
    return serve(for_each, arguments.host, arguments.port)


def language_of(arguments: argparse.Namespace) -> str:
    """As asked for, as last chosen, or the system's."""
    from . import preferences

    language = arguments.language or preferences.load(preferences.location()).language
    return language if language in LANGUAGES else of_environment()


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

    known = next((each for each in RENDERERS if each == asked), None)
    if known is None and served():
        known = "cells"  # the terminal in the page has no pixels for pictures
    if known is None and (colourless() or charset.encoding() != charset.UTF8):
        known = "letters"
    if known in ("cells", "letters"):
        with unasked():
            import_module("textual_image.renderable")
    if known is None or known in ("sixel", "kitty"):
        from textual_image.renderable import Image, SixelImage, TGPImage

        known = known or ("sixel" if Image is SixelImage else "kitty" if Image is TGPImage else "cells")
    from textual_image._terminal import get_cell_size

    # It keeps the answer, and would ask for it at the first photograph otherwise.
    with nullcontext() if known in ("sixel", "kitty") else unasked():
        get_cell_size()
    return known


@contextmanager
def unasked() -> Iterator[None]:
    """The library asks the terminal what it can do, and reads the answer from the keys: not while somebody types."""
    window, sys.__stdout__ = sys.__stdout__, io.StringIO()  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        sys.__stdout__ = window  # type: ignore[misc]


def served() -> bool:
    """Whether this is the application behind a page: `dermedge tui --serve` started it so."""
    return os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")


def colourless() -> bool:
    """Whether nothing may depend on a colour: the person's wish, or a terminal of old."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "") in COLOURLESS
