"""Rooms of the GIMP plug-in that need no GIMP: what a painting does, what is remembered, what is said."""
