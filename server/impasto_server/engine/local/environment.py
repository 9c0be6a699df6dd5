"""What a process that paints wants to find in its environment; it is too late for it once torch is loaded."""

from collections.abc import Mapping
from types import MappingProxyType

PAINTING: Mapping[str, str] = MappingProxyType(
    {
        # OpenMP's threads wait for each other by spinning. Beside a busy program, such as the editor that wants the
        # picture, a spinning thread takes the core from the one it waits for: steps take three times as long.
        "GOMP_SPINCOUNT": "1000",
        "KMP_BLOCKTIME": "1",
        # Maps of large pictures come and go at every layer. In pages of 4 KiB, asking the system for them takes a
        # fifth of a step; torch can ask for huge pages (Linux).
        "THP_MEM_ALLOC_ENABLE": "1",
    }
)
"""Numbers are in docs/performance.md. Whoever starts the server may set each of them otherwise."""
