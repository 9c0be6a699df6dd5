"""The way in without a terminal: reaching the helper from any GIMP, and setting this computer up. Knows no image."""
