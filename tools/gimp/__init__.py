"""A real GIMP to test against, in a folder of its own."""
