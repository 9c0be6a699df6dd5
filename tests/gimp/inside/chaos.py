"""Plays a painter, a bad day and somebody with a kill switch in the dialog: random things, one after the other.

Main thread only; how long the window was not to be used is measured meanwhile.
"""

import os
import random
import signal
import time

from gi.repository import Gimp, GLib

PAUSES_S = (0.01, 0.3)
LOOK_MS = 10
SERVERS = ("echo", "slow", "silent", "refuse", "verbose", "die", "babble", "stopped")


class Chaos:
    """`done(longest_s)` is called after so many things, with the longest time that the window did not answer."""

    def __init__(self, dialog, count, seed, done):
        self._dialog = dialog
        self._left = count
        self._chance = random.Random(seed)
        self._done = done
        self._looked = time.monotonic()
        self._longest_s = 0.0
        self._look = GLib.timeout_add(LOOK_MS, self._look_at_clock)
        self._actions = (
            [self._generate] * 5
            + [self._cancel, self._keep, self._steer, self._choose_server, self._choose_server, self._start_again]
            + [self._kill, self._stop, self._ask, self._move, self._select, self._select_nothing, self._rename]
        )
        self._next()

    def _look_at_clock(self):
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self._looked - LOOK_MS / 1000)
        self._looked = now
        return GLib.SOURCE_CONTINUE

    def _next(self):
        GLib.timeout_add(int(1000 * self._chance.uniform(*PAUSES_S)), self._act)

    def _act(self):
        if self._left:
            self._left -= 1
            self._chance.choice(self._actions)()
            self._next()
        else:
            GLib.source_remove(self._look)
            self._dialog._cancel()
            self._dialog._config.set_property("server", "echo")
            self._dialog._start_again()
            self._done(self._longest_s)
        return GLib.SOURCE_REMOVE

    # The painter.

    def _generate(self):
        self._dialog._generate()

    def _cancel(self):
        self._dialog._cancel()

    def _keep(self):
        self._dialog._keep()

    def _steer(self):
        self._dialog._config.set_property("strength", float(self._chance.randint(0, 100)))

    def _choose_server(self):
        self._dialog._config.set_property("server", self._chance.choice(SERVERS))

    def _ask(self):
        self._dialog._look_at_server()

    def _start_again(self):
        self._dialog._start_again()

    # Whoever works in the image meanwhile.

    def _layer(self):
        return self._dialog._layers[0]

    def _move(self):
        self._layer().set_offsets(self._chance.randint(-20, 20), self._chance.randint(-20, 20))

    def _select(self):
        x, y = self._chance.randint(0, 100), self._chance.randint(0, 60)
        self._layer().get_image().select_rectangle(Gimp.ChannelOps.REPLACE, x, y, 60, 40)

    def _select_nothing(self):
        Gimp.Selection.none(self._layer().get_image())

    def _rename(self):
        self._layer().set_name(f"photo {self._chance.randint(0, 9)}")

    # The kill switch.

    def _signal(self, number):
        link = self._dialog._connection._link
        if link is not None:
            os.kill(link._helper._process.pid, number)

    def _kill(self):
        self._signal(signal.SIGKILL)

    def _stop(self):
        self._signal(signal.SIGSTOP)
