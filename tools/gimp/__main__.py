"""`python -m tools.gimp 3.0` prints the folder of a GIMP 3 root, and builds it first if need be."""

from __future__ import annotations

import argparse
import sys

from tools.gimp.provision import RELEASES, CannotProvisionError, provision


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.gimp", description=__doc__)
    parser.add_argument("version", nargs="?", choices=sorted(RELEASES), default="3.0")
    arguments = parser.parse_args()
    try:
        print(provision(arguments.version))
    except CannotProvisionError as error:
        print(f"NOTICE: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
