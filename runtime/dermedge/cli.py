"""The command line: what was asked for, handed to the part that does it, and one exit status.

0 all answered, 2 wrong usage, 3 some photograph could not be answered, 4 a bad pack, 70 a bug,
130 interrupted, 141 nobody reads the answers any more.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from . import __version__
from .errors import DermedgeError, UsageError
from .report import complain, print_json

BUG = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

Command = Callable[[argparse.Namespace], int]

SCREENS = {"tui": "the full-screen application", "kiosk": "the same for strangers at a public box"}
"""Commands of the terminal interface: another package, behind an extra."""


class Parser(argparse.ArgumentParser):
    """One line for wrong usage instead of a page."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is spelled out rather than a crash.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _dispatch(list(sys.argv[1:] if argv is None else argv))
        # Here and not at interpreter exit, where a reader that went away would be a traceback.
        sys.stdout.flush()
        return status
    except DermedgeError as error:
        complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except MemoryError:
        complain("out of memory; close other programs, or scan with --low-memory")
        return DermedgeError.exit_status
    except Exception as error:
        if os.environ.get("DERMEDGE_DEBUG") == "1":
            import traceback

            traceback.print_exc()
        what = " ".join(str(error).split())
        complain(f"this is a bug: {type(error).__name__}: {what}; set DERMEDGE_DEBUG=1 for the details to report")
        return BUG


def _dispatch(argv: list[str]) -> int:
    if argv[:1] and argv[0] in SCREENS:
        return _screens(argv[0], argv[1:])
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as finished:  # --help and --version
        return int(finished.code or 0)
    command: Command = arguments.command
    return command(arguments)


def _parser() -> Parser:
    parser = Parser(
        prog="dermedge",
        description="Screens skin lesions in photographs, offline. A screening aid, not a diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"dermedge {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    scan = commands.add_parser("scan", help="judge the lesions in photographs")
    scan.set_defaults(command=_scan)
    scan.add_argument("paths", nargs="+", metavar="PATH", help="a photograph, a folder of them, or - for stdin")
    scan.add_argument("--modality", choices=("auto", "dermoscopy", "phone"), default="auto")
    scan.add_argument("--overlay", metavar="DIR", type=Path, help="write a picture with boxes and heat map to DIR")
    scan.add_argument("--top", metavar="N", type=_positive, help="show the N likeliest conditions only")
    scan.add_argument("--box", metavar="X,Y,W,H", type=_box, help="where the lesion is, in the photograph's pixels")
    scan.add_argument("--whole", action="store_true", help="the whole photograph is the lesion")
    scan.add_argument("--mask", action="store_true", help="outline each lesion too (slower)")
    scan.add_argument("--age", metavar="N", type=int, help="the person's age in years")
    scan.add_argument("--sex", metavar="S", help="female or male")
    scan.add_argument("--site", metavar="S", help="where on the body, such as face or back")
    scan.add_argument(
        "--flag",
        metavar="NAME",
        action="append",
        default=[],
        dest="flags",
        help="a red flag that the person states, such as bleeding; may be repeated",
    )
    scan.add_argument("--profile", metavar="NAME", help="judge by a calibration profile instead of the pack's numbers")
    scan.add_argument("--explain", choices=("occlusion",), help="check the heat map by covering parts (slow)")
    _common(scan)
    _execution(scan)

    pack = commands.add_parser("pack", help="verify, show, install and remove packs")
    actions = pack.add_subparsers(metavar="ACTION", required=True)
    for name, about in (
        ("verify", "check every byte of a pack"),
        ("show", "what a pack is and how well it does"),
        ("list", "the installed packs"),
        ("install", "install a pack from a folder"),
        ("remove", "remove an installed pack"),
        ("rollback", "go back to the version before"),
    ):
        action = actions.add_parser(name, help=about)
        action.set_defaults(command=_pack, action=name)
        if name != "list":
            optional = name in ("verify", "show")
            action.add_argument(
                "pack",
                metavar="PACK",
                nargs="?" if optional else None,
                help="a folder" if name == "install" else "an id" + " or a folder" * optional,
            )
        action.add_argument("--json", action="store_true", help="print JSON")

    doctor = commands.add_parser("doctor", help="check this installation and say what to do about each failure")
    doctor.set_defaults(command=_doctor)
    _common(doctor)
    _provider(doctor)

    bench = commands.add_parser("bench", help="measure time and memory on this machine")
    bench.set_defaults(command=_bench)
    bench.add_argument("--photo", metavar="F", type=Path, help="a JPEG to measure on, instead of a generated one")
    bench.add_argument("--repeat", metavar="N", type=_positive, default=20, help="how many scans (default 20)")
    bench.add_argument("--submit-file", metavar="F", type=Path, help="also write a JSON to hand back, without names")
    _common(bench)
    _execution(bench)

    for name, about in SCREENS.items():
        commands.add_parser(name, help=about, add_help=False)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pack", metavar="P", help="a pack's folder, or the id of an installed one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _execution(parser: argparse.ArgumentParser) -> None:
    _provider(parser)
    parser.add_argument("--threads", metavar="N", type=_positive)
    parser.add_argument("--low-memory", action="store_true", help="for a box with 1 GB: slower, smaller")


def _provider(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--provider", choices=("auto", "cpu", "cuda", "tensorrt", "openvino"), default="auto")


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return number


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,width,height in pixels") from None
    # Written so that NaN fails too.
    if not (abs(x) < 1e6 and abs(y) < 1e6 and 0 < width < 1e6 and 0 < height < 1e6):
        raise argparse.ArgumentTypeError(f"{text!r} is no box: width and height must be above 0")
    return x, y, width, height


def _scan(arguments: argparse.Namespace) -> int:
    from .scan_command import scan

    return scan(arguments)


def _pack(arguments: argparse.Namespace) -> int:
    from .pack_command import manage

    return manage(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import examine, table

    checks = examine(arguments.pack, arguments.provider)
    if arguments.json:
        print_json({"checks": [check.as_json() for check in checks]})
    else:
        from .report import Style

        print(table(checks, Style.of(sys.stdout)))
    return max((check.exit_status for check in checks), default=0)


def _bench(arguments: argparse.Namespace) -> int:
    from .bench import measure, require_folder, table, write_submission

    if arguments.submit_file:
        require_folder(arguments.submit_file)
    measured = measure(
        pack=arguments.pack,
        photo=arguments.photo,
        repeat=arguments.repeat,
        provider=arguments.provider,
        threads=arguments.threads,
        low_memory=arguments.low_memory,
    )
    if arguments.submit_file:
        write_submission(measured, arguments.submit_file)
    if arguments.json:
        print_json(measured.as_json())
    else:
        print(table(measured))
    return 0


def _screens(name: str, argv: list[str]) -> int:
    from importlib.metadata import entry_points

    missing = UsageError("the full-screen application is not installed; pip install dermedge[tui]")
    for entry in entry_points(group="dermedge.commands"):
        if entry.name == name:
            try:
                command = entry.load()
            except ModuleNotFoundError as error:  # the wheel carries its code, the extra what that needs
                raise missing from error
            status: int = command(argv)
            return status
    raise missing
