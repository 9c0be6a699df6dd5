"""Runs inside GIMP: the whole chain, once for each kind of image; and what was painted before, recovered."""

import glob

from common import Babl, Gimp, add_layer, case, difference, file_of, new_image, read, run_cases, stylize

WIDE = glob.glob("/usr/share/ghostscript/*/iccprofiles/a98.icc")[0]
KINDS = {
    "rgb_8": ("RGB", "U8_NON_LINEAR", False, None),
    "rgba_8": ("RGB", "U8_NON_LINEAR", True, None),
    "rgb_8_linear": ("RGB", "U8_LINEAR", False, None),
    "gray_8": ("GRAY", "U8_NON_LINEAR", False, None),
    "gray_alpha_16": ("GRAY", "U16_NON_LINEAR", True, None),
    "rgba_16": ("RGB", "U16_NON_LINEAR", True, None),
    "rgb_32": ("RGB", "U32_LINEAR", False, None),
    "rgba_half": ("RGB", "HALF_LINEAR", True, None),
    "rgb_float": ("RGB", "FLOAT_LINEAR", False, None),
    "wide_gamut_8": ("RGB", "U8_NON_LINEAR", True, WIDE),
    "wide_gamut_float": ("RGB", "FLOAT_LINEAR", False, WIDE),
}


def paint_kind(base, precision, alpha, profile):
    image = new_image(base=getattr(Gimp.ImageBaseType, base), precision=getattr(Gimp.Precision, precision))
    if profile:
        image.set_color_profile(Gimp.ColorProfile.new_from_file(file_of(profile)))
    layer = add_layer(image, alpha=alpha)
    before = read(layer)
    # One step from the content: what comes back is the layer but for a brush's width, if nothing shifts.
    answer = stylize(image, layer, steps=1, strength=0)
    answer["source_untouched"] = read(layer) == before
    if answer["status"] == "success":
        result = image.get_layers()[0]
        space = Babl.format_get_space(layer.get_format())
        kind = Babl.get_name(Babl.format_with_space("R'G'B' u8", space))
        answer["difference"] = difference(read(layer, kind), read(result, kind))
        answer["means"] = [mean(read(layer, kind)), mean(read(result, kind))]
        answer["alpha"] = difference(read(layer, "A u16"), read(result, "A u16"))
        answer["same_format"] = Babl.get_name(layer.get_format()) == Babl.get_name(result.get_format())
        answer["tones"] = len(set(memoryview(read(result, "R'G'B' u16")).cast("H")))
    return answer


def mean(pixels):
    return [sum(pixels[channel::3]) * 3 / len(pixels) for channel in range(3)]


for kind, arguments in KINDS.items():

    def one(arguments=arguments):
        return paint_kind(*arguments)

    one.__name__ = kind
    case(one)


@case
def recover():
    image = new_image(48, 32)
    layer = add_layer(image, 48, 32, offsets=(5, 6))
    return stylize(image, layer, name="python-fu-impasto-recover", plain=True)


@case
def recover_into_an_empty_image():
    image = new_image(48, 32)
    return stylize(image, [], name="python-fu-impasto-recover", plain=True)


@case
def no_such_style():
    image = new_image()
    return stylize(image, add_layer(image), style="nihgt-swirl")


@case
def nobody_there():
    image = new_image()
    return stylize(image, add_layer(image), server="127.0.0.1:9")


run_cases()
