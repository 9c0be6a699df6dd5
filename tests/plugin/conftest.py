"""The plug-in's rooms as its own script finds them: beside each other, not as a package."""

from __future__ import annotations

import sys

from tools.gimp.translations import PLUG_IN

# At the end: the plug-in's script is called like the client's package.
sys.path.append(str(PLUG_IN))
