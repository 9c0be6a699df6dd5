"""Runs measurements, prints their tables, writes build/bench/, and says at the end what was missed.

`python -m bench` runs the quick ones, `python -m bench faults` (half an hour) or any other name just that.
"""

from __future__ import annotations

import sys

from bench import faults, report, startup, streaming

MEASUREMENTS = {"startup": startup.measure, "streaming": streaming.measure, "faults": faults.measure}
QUICK = ("startup", "streaming")


def main() -> int:
    wanted = sys.argv[1:] or QUICK
    missed = 0
    for name in wanted:
        missed += report.publish(name, MEASUREMENTS[name]())
    print(f"\n{missed} goals missed" if missed else "\nall goals met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
