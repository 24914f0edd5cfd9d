"""`dermedge-export`: makes packs and measures them; none of its commands loads what another one needs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from . import card, evaluate
from .compact import about, assemble
from .siglip import about as zero_shot
from .siglip import command as siglip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dermedge-export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    evaluate.add_arguments(commands.add_parser("evaluate", help="measure a pack on labelled photographs"))
    card.add_arguments(commands.add_parser("card", help="print a pack's model card, or check it"))
    assemble.add_arguments(commands.add_parser("compact-assemble", help="put the compact pack together"))
    siglip.add_arguments(commands.add_parser("medsiglip", help="turn a SigLIP checkpoint into a pack"))
    siglip.add_prompts_arguments(commands.add_parser("prompts", help="lint the prompts, and say what each is worth"))
    siglip.add_distill_arguments(commands.add_parser("distill", help="teach a small tower what a SigLIP tower sees"))
    siglip.add_bench_arguments(commands.add_parser("medsiglip-bench", help="measure the full-size tower's graphs"))
    options = parser.parse_args(arguments)
    if options.command == "distill":
        return siglip.run_distill(options)
    if options.command == "medsiglip-bench":
        return siglip.run_bench(options)
    if options.command == "medsiglip":
        return siglip.run(options)
    if options.command == "prompts":
        return siglip.run_prompts(options)
    if options.command == "evaluate":
        return evaluate.run(options)
    if options.command == "card":
        return card.run(options, {about.PACK_ID: about.PROSE, **zero_shot.PROSE_BY_PACK})
    return assemble.run(options)


if __name__ == "__main__":
    raise SystemExit(main())
