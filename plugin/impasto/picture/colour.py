"""In which numbers pixels travel: gamma-encoded values of the image's own colour space."""

from dataclasses import dataclass

from gi.repository import Babl, Gimp


@dataclass(frozen=True)
class Space:
    """The colour space of pixels."""

    profile: bytes
    """ICC; empty for sRGB."""
    babl: object
    """None for sRGB."""

    def format(self, components, kind):
        """Name of a babl format."""
        name = f"{components} {kind}"
        return name if self.babl is None else Babl.get_name(Babl.format_with_space(name, self.babl))


SRGB = Space(b"", None)


def space_of(image):
    """The colour space that pixels of an image travel in."""
    profile = image.get_color_profile()
    # Gray needs none: its axis is the same in every RGB space, and a gray profile doesn't fit RGB pixels.
    if profile is None or image.get_base_type() != Gimp.ImageBaseType.RGB or not profile.is_rgb():
        return SRGB
    if profile.is_linear():
        # Images of linear precision carry a linear profile. 8 bits of that would lose the shadows.
        profile = profile.new_srgb_trc_from_color_profile()
    return Space(bytes(profile.get_icc_profile()), profile.get_space(Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC))


def space_of_profile(icc_profile):
    """The colour space of a picture that brings its own profile; sRGB without one."""
    if not icc_profile:
        return SRGB
    profile = Gimp.ColorProfile.new_from_icc_profile(icc_profile)
    return Space(icc_profile, profile.get_space(Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC))
