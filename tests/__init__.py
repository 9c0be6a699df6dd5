"""Tests by room; every one of them uses real parts."""
