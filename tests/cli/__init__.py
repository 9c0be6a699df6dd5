"""`impasto` from the command line, as a user runs it."""
