"""Measurements against the goals, as ratios in one run: machines are shared and noisy. `make bench` runs them all."""
