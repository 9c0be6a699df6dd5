"""The check that a worker makes when it starts: its seconds, and what it doesn't trust the device with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

from bench.clock import synchronise
from bench.gpu.ledger import Finding
from bench.gpu.setting import Setting
from bench.report import Found, Row, at_most
from impasto_server import nst

MOST_S = {"cuda": 1.0}


def measure(setting: Setting) -> Iterator[Found | Finding]:
    """A first time, which warms up, and a second time; the network is loaded before."""
    vgg = setting.vgg
    for what in ("first time in a process", "second time"):
        began = time.perf_counter()
        trusted, notices = nst.check_shortcuts(vgg)
        synchronise(setting.device)
        seconds, most = time.perf_counter() - began, MOST_S.get(setting.device.type)
        yield at_most(what, seconds, most, "s") if most else Row(what, seconds, "s")
    wanted = asdict(vgg.shortcuts)
    for name, kept in asdict(trusted).items():
        agrees = kept == wanted[name]
        yield Finding(what=name, state="passed" if agrees else "failed", note=f"{kept}, wanted {wanted[name]}")
    for notice in notices:
        yield Finding(what="notice", state="failed", note=notice)
