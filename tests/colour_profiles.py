"""Colour profiles that nobody can take for sRGB: Pillow has no maker for AdobeRGB."""

from __future__ import annotations

from PIL import ImageCms


def red_and_blue_swapped() -> bytes:
    """sRGB with its red and its blue primary exchanged: what is orange in it is blue on a screen."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
