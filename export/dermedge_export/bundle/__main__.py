"""`python -m dermedge_export.bundle`: the offline bundle for one architecture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .build import BundleError, build
from .lock import ARCHITECTURES, PYTHONS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dermedge_export.bundle", description=__doc__)
    parser.add_argument("--arch", required=True, choices=ARCHITECTURES)
    parser.add_argument("--python", action="append", choices=PYTHONS, help="may be repeated; otherwise all of them")
    parser.add_argument("--pack", action="append", type=Path, default=[], help="another pack to bring along")
    parser.add_argument("--checkout", type=Path, default=Path())
    parser.add_argument("--output", type=Path, default=Path("dist"))
    options = parser.parse_args()
    try:
        target = build(options.checkout, options.arch, options.python or PYTHONS, options.pack, options.output)
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    print(f"{target}  {target.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
