"""Pixels: a layer as it is painted, small for the screen, and a painting as a layer. Knows GIMP and GEGL."""
