"""The plug-in in the real GIMP 3: headless through the PDB, and in a window."""
