"""The style gallery: eight paintings of our own, shipped with the server as JPEGs and ready to be used as styles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["GALLERY", "GalleryStyle"]


@dataclass(frozen=True, slots=True)
class GalleryStyle:
    """One painting: the name that a painter types, a title, and a line on how it was made."""

    name: str
    title: str
    description: str

    @property
    def path(self) -> Path:
        """The picture: a JPEG, 768 px on its long side."""
        return Path(__file__).with_name(f"{self.name}.jpg")


GALLERY: tuple[GalleryStyle, ...] = (
    GalleryStyle("night-swirl", "Night over the wheat", "Oil: short loaded strokes that wheel around moon and stars."),
    GalleryStyle("sunset-knife", "Coming home", "Palette knife: thick slabs of oil, sails against a fiery sky."),
    GalleryStyle("meadow-dots", "Noon by the river", "Pointillism: dabs of pure colour that mix in the eye."),
    GalleryStyle("lagoon-wash", "Morning on the lagoon", "Watercolour: wet washes, blooms and dried edges."),
    GalleryStyle("mist-ink", "Pine above the mist", "Ink: wash and dry brush on warm paper, with one red sun."),
    GalleryStyle("wave-woodcut", "The light in the storm", "Woodcut: carved indigo lines over blocks of colour."),
    GalleryStyle("sea-mosaic", "Two leaping fish", "Mosaic: tesserae of glass and gold, laid along the forms."),
    GalleryStyle("garden-glass", "The tree in blossom", "Stained glass: glowing panes held by dark lead."),
)
