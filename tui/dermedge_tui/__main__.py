"""`python -m dermedge_tui`; usually started as `dermedge tui`."""

import sys

from dermedge import DermedgeError

from .command import main

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except DermedgeError as error:
        print(f"dermedge: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
