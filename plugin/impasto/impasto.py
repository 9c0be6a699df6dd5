#!/usr/bin/env python3
"""Impasto in GIMP 3: registers the procedures and starts the one that GIMP asks for.

Only the standard library and gi are imported here and beside: GIMP's own Python has nothing else. All the rest
happens in a helper process (helper_link.py).
"""

import sys

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")

from gi.repository import Gimp  # noqa: E402 (the versions come first)

import procedures  # noqa: E402


class Impasto(Gimp.PlugIn):
    """What GIMP knows of us."""

    def do_query_procedures(self):
        """Names of our procedures."""
        return list(procedures.CREATE)

    def do_create_procedure(self, name):
        """One procedure with its arguments and its place in the menus."""
        return procedures.CREATE[name](self, name)


Gimp.main(Impasto.__gtype__, sys.argv)
