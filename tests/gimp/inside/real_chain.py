"""Runs inside GIMP: the whole chain, once for each kind of image; and what was painted before, recovered."""

import array
import glob
import hashlib
import time

from common import Babl, Gegl, Gimp, add_layer, case, difference, file_of, new_image, read, run_cases, stylize

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
    # Larger than what was painted: not its image.
    image = new_image(60, 40)
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


@case
def gradient_of_16_bits():
    width, height = 640, 40
    image = new_image(width, height, precision=Gimp.Precision.U16_NON_LINEAR)
    layer = add_layer(image, width, height)
    ramp = array.array("H", (value for x in range(width) for value in (x * 100, 65535 - x * 90, 20000 + x * 40)))
    layer.get_buffer().set(Gegl.Rectangle.new(0, 0, width, height), "R'G'B' u16", ramp.tobytes() * height)
    answer = stylize(image, layer, size=width, steps=1, strength=0, seed=4716)
    numbers = read(image.get_layers()[0], "R'G'B' u16")
    answer["tones"] = [len(set(memoryview(numbers).cast("H")[channel::3])) for channel in range(3)]
    answer["sha256"] = hashlib.sha256(numbers).hexdigest()
    return answer


@case
def recover_what_was_cut_out():
    image = new_image(120, 90, precision=Gimp.Precision.U16_NON_LINEAR)
    layer = add_layer(image, 120, 90, alpha=True)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 10, 60, 50)
    stylize(image, layer, style_file=file_of("/t/style.png"))
    painted = image.get_layers()[0]
    before = read(painted, "R'G'B' u8", 20, 10, 60, 50)
    image.remove_layer(painted)
    Gimp.Selection.none(image)
    answer = stylize(image, layer, name="python-fu-impasto-recover", plain=True)
    answer["difference"] = difference(read(image.get_layers()[0], "R'G'B' u8"), before)
    return answer


def timed(width, height, seed, precision):
    """When it was asked for and when the layer was there."""
    image = new_image(width, height, precision=precision)
    layer = Gimp.Layer.new(image, "large", width, height, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    layer.fill(Gimp.FillType.WHITE)
    started = time.time()
    answer = stylize(image, layer, size=64, steps=1, seed=seed)
    return answer | {"started": started, "ended": time.time()}


@case
def small():
    return timed(64, 48, 4717, Gimp.Precision.U8_NON_LINEAR)


@case
def large():
    return timed(4000, 3000, 4718, Gimp.Precision.U8_NON_LINEAR)


@case
def large_and_deep():
    return timed(4000, 3000, 4719, Gimp.Precision.U16_NON_LINEAR)


run_cases()
