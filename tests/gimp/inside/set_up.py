"""Runs an installation as the plug-in does, with no widget: PLUG_IN FOLDER [PLAN [INVITATION]]; prints how it goes."""

import sys
from pathlib import Path

plug_in, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(plug_in))

from texts import Refusal  # noqa: E402
from way_in import installing, plan  # noqa: E402
from way_in.supplies import supplies_of  # noqa: E402

PLANS = {"light": plan.LIGHT, "processor": plan.PROCESSOR, "cuda": plan.CUDA}


def told(progress):
    print(f"{progress.fraction:.2f} {progress.sentence}", flush=True)


# Nobody waits for half a minute here.
installing.PAUSES_S = (0.2, 0.2)
chosen = PLANS[sys.argv[3] if len(sys.argv) > 3 else "light"]
invitation = sys.argv[4] if len(sys.argv) > 4 else ""
try:
    installing.Installation(
        plug_in, folder, supplies_of(plug_in), chosen, told=told, logged=lambda line: None, invitation=invitation
    ).run()
except Refusal as refusal:
    sys.exit(str(refusal))
