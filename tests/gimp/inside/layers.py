"""Runs inside GIMP with the stand-in: what becomes of layers, selections, masks, groups, formats; and of mistakes."""

import glob
import time

from common import (
    Babl,
    Gegl,
    Gimp,
    add_layer,
    case,
    difference,
    file_of,
    gradient,
    new_image,
    read,
    run_cases,
    stylize,
)

WIDE = glob.glob("/usr/share/ghostscript/*/iccprofiles/a98.icc")[0]
PRECISIONS = [name for name in dir(Gimp.Precision) if name[0] in "UHFD" and name.endswith(("LINEAR", "PERCEPTUAL"))]


def echo(image, layer, **arguments):
    return stylize(image, layer, server="echo", **arguments)


def back_as_it_was(base, precision, alpha, profile=None):
    """The echo of a layer of this kind, compared with the layer, and a 16-bit ramp compared with what was sent."""
    image = new_image(base=getattr(Gimp.ImageBaseType, base), precision=getattr(Gimp.Precision, precision))
    if profile:
        image.set_color_profile(Gimp.ColorProfile.new_from_file(file_of(profile)))
    layer = add_layer(image, alpha=alpha)
    if profile:
        # The corners of this space, which sRGB does not hold.
        kind = Babl.get_name(Babl.format_with_space("R'G'B'A u8", Babl.format_get_space(layer.get_format())))
        layer.get_buffer().set(Gegl.Rectangle.new(0, 0, 48, 32), kind, gradient(48, 32, 4))
    before = read(layer)
    answer = echo(image, layer)
    answer["source_untouched"] = read(layer) == before
    if answer["status"] != "success":
        return answer
    result = image.get_layers()[0]
    space = layer.get_format()

    def numbers(drawable, kind):
        return read(drawable, Babl.get_name(Babl.format_with_space(kind, Babl.format_get_space(space))))

    answer["difference"] = difference(numbers(layer, "R'G'B'A u8"), numbers(result, "R'G'B'A u8"))
    answer["same_format"] = Babl.get_name(layer.get_format()) == Babl.get_name(result.get_format())
    answer["profile_kept"] = not profile or image.get_color_profile() is not None
    return answer


def add_kind(name, *arguments):
    def one():
        return back_as_it_was(*arguments)

    one.__name__ = name
    case(one)


for precision in PRECISIONS:
    for base in ("RGB", "GRAY"):
        for alpha in (False, True):
            add_kind(f"kind-{base}-{precision}-{'alpha' if alpha else 'opaque'}", base, precision, alpha)
for precision in ("U8_NON_LINEAR", "U16_NON_LINEAR", "U8_LINEAR", "FLOAT_LINEAR"):
    add_kind(f"wide-gamut-{precision}", "RGB", precision, True, WIDE)


@case
def precisions():
    return PRECISIONS


@case
def sixteen_bits_of_tone():
    image = new_image(precision=Gimp.Precision.U16_NON_LINEAR)
    answer = stylize(image, add_layer(image), server="ramp")
    sent = b"".join(((index * 5) % 65536).to_bytes(2, "little") for index in range(48 * 32 * 3))
    answer["exact"] = read(image.get_layers()[0], "R'G'B' u16") == sent
    return answer


def selected(feather):
    image = new_image()
    layer = add_layer(image, alpha=True, pixels=bytes((200, 100, 50, 255)) * (48 * 32))
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 8, 20, 12)
    if feather:
        Gimp.Selection.feather(image, 6)
    answer = echo(image, layer)
    mask = image.get_selection()
    answer["alpha_is_selection"] = difference(read(image.get_layers()[0], "A u8"), read(mask, "Y u8"))
    answer["levels"] = len(set(read(mask, "Y u8")))
    answer["selection_kept"] = not Gimp.Selection.is_empty(image)
    answer["colour"] = list(read(image.get_layers()[0], "R'G'B' u8", 20, 14, 1, 1))
    return answer


@case
def selection():
    return selected(False)


@case
def feathered_selection():
    return selected(True)


@case
def selection_on_an_opaque_layer():
    image = new_image()
    layer = add_layer(image)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 10, 8, 20, 12)
    answer = echo(image, layer)
    answer["alpha_is_selection"] = difference(read(image.get_layers()[0], "A u8"), read(image.get_selection(), "Y u8"))
    return answer


@case
def selection_beside_the_layer():
    image = new_image()
    layer = add_layer(image, 10, 10)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 30, 20, 10, 10)
    return echo(image, layer)


@case
def larger_than_the_image():
    image = new_image()
    layer = add_layer(image, 90, 70, offsets=(-20, -15))
    answer = echo(image, layer)
    answer["difference"] = difference(read(layer, "R'G'B' u8"), read(image.get_layers()[0], "R'G'B' u8"))
    return answer


@case
def larger_than_the_image_with_a_selection():
    image = new_image()
    layer = add_layer(image, 90, 70, offsets=(-20, -15), alpha=True, pixels=bytes((9, 99, 199, 255)) * (90 * 70))
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 30, 20)
    answer = echo(image, layer)
    result = read(image.get_layers()[0], "A u8")
    answer["painted"] = result.count(255)
    answer["corner"] = [result[15 * 90 + 20], result[15 * 90 + 19], result[14 * 90 + 20]]
    return answer


def filtered(is_visible):
    """A layer with a filter on it, and what the painter got of it."""
    image = new_image()
    layer = add_layer(image, alpha=True, pixels=bytes((200, 100, 50, 255)) * (48 * 32))
    seen = Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "invert")
    seen.set_visible(is_visible)
    layer.append_filter(seen)
    images = len(Gimp.get_images())
    answer = echo(image, layer)
    answer["colour"] = list(read(image.get_layers()[0], "R'G'B' u8", 20, 14, 1, 1))
    answer["source"] = list(read(layer, "R'G'B' u8", 20, 14, 1, 1))
    answer["filters"] = len(layer.get_filters())
    answer["images_left"] = len(Gimp.get_images()) - images
    return answer


@case
def filters_on_the_layer():
    return filtered(True)


@case
def hidden_filters_on_the_layer():
    return filtered(False)


@case
def the_layer_stays_chosen():
    image = new_image()
    layer = add_layer(image)
    image.set_selected_layers([layer])
    answer = echo(image, layer)
    answer["selected"] = [one.get_name() for one in image.get_selected_layers()]
    return answer


@case
def outside_the_image():
    image = new_image()
    return echo(image, add_layer(image, 20, 20, offsets=(100, 100)))


@case
def one_pixel():
    image = new_image()
    return echo(image, add_layer(image, 1, 1))


@case
def thin():
    image = new_image()
    return echo(image, add_layer(image, 40, 4))


@case
def in_a_group():
    image = new_image()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    add_layer(image, parent=group, name="below")
    layer = add_layer(image, 20, 10, parent=group, offsets=(7, 5))
    add_layer(image, parent=group, name="above")
    return echo(image, layer)


@case
def a_whole_group():
    image = new_image()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    add_layer(image, 20, 10, parent=group, offsets=(7, 5))
    return echo(image, group)


@case
def with_a_layer_mask():
    image = new_image()
    layer = add_layer(image)
    mask = layer.create_mask(Gimp.AddMaskType.BLACK)
    layer.add_mask(mask)
    ramp = bytes(x * 5 for _y in range(32) for x in range(48))
    mask.get_buffer().set(Gegl.Rectangle.new(0, 0, 48, 32), "Y u8", ramp)
    mask.get_buffer().flush()
    answer = echo(image, layer)
    copy = image.get_layers()[0].get_mask()
    answer["mask"] = difference(read(copy, "Y u8"), ramp) if copy else None
    answer["pixels"] = difference(read(layer, "R'G'B' u8"), read(image.get_layers()[0], "R'G'B' u8"))
    answer["with_the_mask_chosen"] = echo(image, mask)["status"]
    return answer


@case
def a_channel():
    image = new_image()
    add_layer(image)
    channel = Gimp.Channel.new(image, "channel", 48, 32, 50.0, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    return echo(image, channel)


@case
def two_layers():
    image = new_image()
    return echo(image, [add_layer(image), add_layer(image)])


@case
def indexed():
    image = new_image()
    layer = add_layer(image)
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    before = read(layer, "R'G'B' u8")
    answer = echo(image, layer)
    answer["source_untouched"] = read(layer, "R'G'B' u8") == before
    answer["types"] = Gimp.get_pdb().lookup_procedure("python-fu-impasto-stylize").get_image_types()
    return answer


@case
def used_as():
    modes = {}
    for mode in ("painting", "light", "colours", "soft-light", "overlay"):
        image = new_image()
        echo(image, add_layer(image), layer_mode=mode, opacity=40.0)
        layer = image.get_layers()[0]
        modes[mode] = [layer.get_mode().value_nick, layer.get_opacity()]
    return modes


@case
def style_of_another_image():
    other = new_image(40, 30)
    style = add_layer(other, 40, 30, name="tapestry", alpha=True)
    image = new_image()
    return echo(image, add_layer(image), style_drawable=style)


@case
def style_of_a_file():
    image = new_image()
    return echo(image, add_layer(image), style_file=file_of("/t/common.py"))


def mistake(server):
    image = new_image()
    layer = add_layer(image)
    before = read(layer)
    answer = stylize(image, layer, server=server)
    answer["source_untouched"] = read(layer) == before
    return answer


for server in ("refuse", "die", "babble"):

    def one(server=server):
        return mistake(server)

    one.__name__ = server
    case(one)


@case
def last_values():
    procedure = Gimp.get_pdb().lookup_procedure("python-fu-impasto-stylize")
    image = new_image()
    layer = add_layer(image)
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    config.set_property("run-mode", Gimp.RunMode.WITH_LAST_VALS)
    result = procedure.run(config)
    return {
        "status": Gimp.PDBStatusType(result.index(0)).value_nick,
        "error": result.index(1) if result.length() > 1 else "",
    }


@case
def large():
    image = new_image(4000, 3000)
    layer = Gimp.Layer.new(image, "large", 4000, 3000, Gimp.ImageType.RGBA_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    started = time.monotonic()
    answer = echo(image, layer)
    return {"status": answer["status"], "seconds": time.monotonic() - started}


run_cases()
