"""Kernels of our own, written in Triton: imported only where `Shortcuts.own_kernels` says so."""

import os

# Triton 3.9 warns where nothing is said, and will choose otherwise from 3.10 on.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
