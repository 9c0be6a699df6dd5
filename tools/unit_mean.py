"""Measure the mean activations that `nst.unit_mean` scales VGG-19 by, and write them to its data file.

Run from the repository's root: python tools/unit_mean.py
"""

import json
from pathlib import Path

import skimage.data
import torch

from impasto_server.nst.pictures import normalised, resized
from impasto_server.nst.unit_mean import dead_leaves, mean_activations
from impasto_server.nst.weights import read_convolutions

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "grass", "gravel", "rocket")
"""Free of rights (CC0 or public domain) and shipped inside scikit-image."""
LONG_SIDE_PX = 512
TARGET = Path(__file__).parents[1] / "server/impasto_server/nst/unit_mean.json"


def main() -> None:
    convolutions = read_convolutions("original")
    over_photographs = [mean_activations(convolutions, _photograph(name)) for name in PHOTOGRAPHS]
    tables = {
        "photographs": {
            name: sum(means[name] for means in over_photographs) / len(PHOTOGRAPHS) for name in convolutions
        },
        "dead leaves": mean_activations(convolutions, dead_leaves()),
    }
    rounded = {images: {name: float(f"{mean:.6g}") for name, mean in means.items()} for images, means in tables.items()}
    TARGET.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")


def _photograph(name: str) -> torch.Tensor:
    pixels = torch.from_numpy(getattr(skimage.data, name)())
    colours = pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels.expand(3, -1, -1)
    height, width = colours.shape[1:]
    zoom = LONG_SIDE_PX / max(height, width)
    return normalised(resized(colours / 255, round(height * zoom), round(width * zoom)))


if __name__ == "__main__":
    main()
