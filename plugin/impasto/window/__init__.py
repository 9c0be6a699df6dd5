"""What a painter sees and presses. Everything that can wait for somebody is in other rooms."""

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
