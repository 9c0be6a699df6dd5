"""Runs inside GIMP: images to paint, the call of the plug-in, and a register of cases whose answers tests read."""

import json
import os
import traceback
from pathlib import Path

from gi.repository import Babl, Gegl, Gimp, Gio

GIVEN = json.loads(Path("/t/given.json").read_text())
ANSWERS = {}
CASES = []


def case(function):
    CASES.append(function)
    return function


def run_cases():
    only = GIVEN.get("only")
    for function in CASES:
        if only and function.__name__ not in only:
            continue
        try:
            ANSWERS[function.__name__] = function()
        except Exception:
            ANSWERS[function.__name__] = {"traceback": traceback.format_exc()}
    Path("/t/answers.tmp").write_text(json.dumps(ANSWERS))
    os.replace("/t/answers.tmp", "/t/answers.json")


def gradient(width, height, channels=3, steps=256):
    """Colours that change in both directions, saturated at the corners."""
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes((x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), 128))
            if channels == 4:
                pixels.append((x + y) * 255 // max(1, width + height - 2))
    return bytes(pixels)


def new_image(width=48, height=32, base=None, precision=None):
    base = Gimp.ImageBaseType.RGB if base is None else base
    precision = Gimp.Precision.U8_NON_LINEAR if precision is None else precision
    return Gimp.Image.new_with_precision(width, height, base, precision)


def add_layer(image, width=48, height=32, alpha=False, offsets=(0, 0), parent=None, name="photo", pixels=None):
    gray = image.get_base_type() == Gimp.ImageBaseType.GRAY
    kinds = {
        (False, False): Gimp.ImageType.RGB_IMAGE,
        (False, True): Gimp.ImageType.RGBA_IMAGE,
        (True, False): Gimp.ImageType.GRAY_IMAGE,
        (True, True): Gimp.ImageType.GRAYA_IMAGE,
    }
    layer = Gimp.Layer.new(image, name, width, height, kinds[gray, alpha], 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, parent, 0)
    layer.set_offsets(*offsets)
    data = pixels or gradient(width, height, 4 if alpha else 3)
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), "R'G'B'A u8" if alpha else "R'G'B' u8", data)
    buffer.flush()
    return layer


def read(drawable, kind=None, x=0, y=0, width=None, height=None):
    """Raw bytes in the drawable's own format, or another."""
    rectangle = Gegl.Rectangle.new(x, y, width or drawable.get_width(), height or drawable.get_height())
    kind = kind or Babl.get_name(drawable.get_format())
    return drawable.get_buffer().get(rectangle, 1.0, kind, Gegl.AbyssPolicy.NONE)


def stylize(image, drawable, name="python-fu-impasto-stylize", **arguments):
    """Calls the plug-in as another plug-in would. Status, error text, and the tree of layers afterwards."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("image", image)
    drawables = drawable if isinstance(drawable, list) else [drawable]
    if drawables:
        config.set_core_object_array("drawables", drawables)
    arguments = {"server": GIVEN.get("server", ""), **arguments}
    if not arguments.pop("plain", False):
        arguments = {"recipe": "draft", "size": 48, "steps": 4, **arguments}
    for key, value in arguments.items():
        config.set_property(key.replace("_", "-"), value)
    result = procedure.run(config)
    error = result.index(1) if result.length() > 1 else ""
    return {
        "status": Gimp.PDBStatusType(result.index(0)).value_nick,
        "error": error if isinstance(error, str) else "",
        "layers": tree(image.get_layers()),
    }


def tree(layers):
    return [
        {
            "name": layer.get_name(),
            "offsets": list(layer.get_offsets())[1:],
            "size": [layer.get_width(), layer.get_height()],
            "type": int(layer.type()),
            "children": tree(layer.get_children()) if layer.is_group() else [],
        }
        for layer in layers
    ]


def difference(one, other):
    """Largest and mean difference of two byte strings."""
    if len(one) != len(other):
        return [999, 999]
    gaps = [abs(a - b) for a, b in zip(one, other, strict=True)]
    return [max(gaps), sum(gaps) / len(gaps)]


def file_of(path):
    return Gio.File.new_for_path(path)
