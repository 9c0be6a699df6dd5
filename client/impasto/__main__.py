"""`python -m impasto` is `impasto`."""

from impasto._cli import main

main()
