"""`dermedge-export`: makes packs and measures them; none of its commands loads what another one needs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial

from dermedge import DermedgeError

from . import card, evaluate
from .compact import about, assemble, build, left_out
from .siglip import about as zero_shot
from .siglip import command as siglip

Run = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dermedge-export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prose = {about.PACK_ID: about.PROSE, **zero_shot.PROSE_BY_PACK}
    table: tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None], Run], ...] = (
        ("compact", "train, measure and write the compact pack", build.add_arguments, build.run),
        ("compact-assemble", "put the compact pack together", assemble.add_arguments, assemble.run),
        ("compact-reopen", "take a compact pack apart, to train on", build.add_reopen_arguments, build.run_reopen),
        ("compact-left-out", "measure a tower on cameras it never saw", left_out.add_arguments, left_out.run),
        ("evaluate", "measure a pack on labelled photographs", evaluate.add_arguments, evaluate.run),
        ("card", "print a pack's model card, or check it", card.add_arguments, partial(card.run, prose_by_pack=prose)),
        ("medsiglip", "turn a SigLIP checkpoint into a pack", siglip.add_arguments, siglip.run),
        ("medsiglip-bench", "measure the full-size tower's graphs", siglip.add_bench_arguments, siglip.run_bench),
        ("prompts", "lint the prompts, and say what each is worth", siglip.add_prompts_arguments, siglip.run_prompts),
        ("distill", "teach a small tower what a SigLIP tower sees", siglip.add_distill_arguments, siglip.run_distill),
    )
    runs: dict[str, Run] = {}
    for name, about_it, add_arguments, run in table:
        add_arguments(commands.add_parser(name, help=about_it))
        runs[name] = run
    options = parser.parse_args(arguments)
    try:
        return runs[options.command](options)
    except DermedgeError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    raise SystemExit(main())
