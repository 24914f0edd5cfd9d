"""`python -m dermedge_export.peers`: this project beside what people would use instead."""

from __future__ import annotations

import argparse
import sys

from dermedge import DermedgeError

from . import command


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dermedge_export.peers", description=__doc__)
    command.add_arguments(parser)
    try:
        return command.run(parser.parse_args())
    except DermedgeError as error:
        print(f"bench-peers: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    raise SystemExit(main())
