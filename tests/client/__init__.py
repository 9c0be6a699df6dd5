"""The library, against real and scripted servers."""
