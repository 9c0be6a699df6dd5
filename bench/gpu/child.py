"""The process that measures: `python -m bench.gpu.child DEVICE SIZES FOLDER`, told the parts one by one.

A line of JSON on stdin names a part and when it is to be over, by `time.monotonic`, which a machine's processes share;
findings go out on stdout, a line each, as they are found. It ends when its stdin does, so it never outlives the
command, and with `DEVICE_LOST` when the device does nothing any more for this process: the command starts another one
for what is left.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench.gpu import setting
from bench.gpu.ledger import Finding
from bench.gpu.parts import PARTS
from bench.report import Chart, machine
from impasto_server import nst

DEVICE_LOST = 3
SPARE_S = 3.0
"""How long before its end a part is told to be over."""


def main() -> None:
    # Answers move to a descriptor of their own, so that a stray print lands in the log and not between them.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(message: Mapping[str, object]) -> None:
        answers.write(json.dumps(message, allow_nan=False) + "\n")
        answers.flush()

    name, sizes, folder = sys.argv[1:4]
    orders = _orders()
    try:
        device = nst.pick_device(name)
    except nst.DeviceError as error:
        answer({"refused": str(error)})
        return
    nst.set_up(device)
    answer({"machine": dict(machine())})
    while True:
        order = orders.get()
        given = setting.Setting(device, getattr(setting, sizes), Path(folder), order["until"] - SPARE_S)
        try:
            for found in PARTS[order["part"]](given):
                if not isinstance(found, Chart):
                    answer({"finding": asdict(found if isinstance(found, Finding) else Finding.of(found))})
        except Exception as error:
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
            answer({"finding": asdict(Finding(what=order["part"], state="failed", note=text))})
            if not nst.is_alive(device):
                os._exit(DEVICE_LOST)  # an orderly exit would wait for the device
        answer({"ended": order["part"]})


def _orders() -> queue.SimpleQueue[dict[str, object]]:
    orders: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()

    def read_forever() -> None:
        for line in sys.stdin:
            orders.put(json.loads(line))
        os._exit(0)  # whoever asked is gone

    threading.Thread(target=read_forever, name="orders", daemon=True).start()
    return orders


if __name__ == "__main__":
    main()
