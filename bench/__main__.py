"""Runs every measurement, prints its table, writes build/bench/, and says at the end what was missed."""

from __future__ import annotations

import sys

from bench import report, startup, streaming

MEASUREMENTS = {"startup": startup.measure, "streaming": streaming.measure}


def main() -> int:
    wanted = sys.argv[1:] or list(MEASUREMENTS)
    missed = 0
    for name in wanted:
        rows = MEASUREMENTS[name]()
        report.publish(name, rows)
        missed += sum(row.met is False for row in rows)
    print(f"\n{missed} goals missed" if missed else "\nall goals met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
