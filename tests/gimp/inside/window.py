"""Runs inside GIMP with a window: an image, the dialog on it if it is asked for, and looks at what became of it."""

import hashlib
import json
import os
import time
from pathlib import Path

from common import GIVEN, Gimp, add_layer, case, file_of, new_image, read, run_cases, tree

LOOK, LOOKED, SEEN = Path("/t/look"), Path("/t/looked.json"), Path("/t/seen")


@case
def dialog():
    for path in GIVEN.get("others", []):
        Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file_of(path))
    if GIVEN.get("saved"):
        image = saved(GIVEN["saved"])
        layer = image.get_layers()[0]
    elif GIVEN.get("photo"):
        image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file_of(GIVEN["photo"]))
        layer = image.get_layers()[0]
    else:
        image = new_image(240, 160)
        layer = add_layer(image, 240, 160)
    if GIVEN.get("second_layer"):
        add_layer(image, 240, 160, name="second")
    if GIVEN.get("indexed"):
        image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    image.clean_all()
    Gimp.Display.new(image)
    answer = state(image)
    if GIVEN.get("procedure"):
        image.set_selected_layers([layer])
        answer = opened(image, layer, GIVEN["procedure"])
    if GIVEN.get("again"):
        answer = {**answer, "again": opened(image, layer, GIVEN["procedure"], Gimp.RunMode.WITH_LAST_VALS)}
    if GIVEN.get("looks"):
        watched(image)
    return answer


def saved(path):
    """An image with a file of its own; the first time it is made."""
    if not Path(path).exists():
        image = new_image(240, 160)
        add_layer(image, 240, 160)
        Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file_of(path), None)
        image.delete()
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file_of(path))


def opened(image, layer, name, run_mode=Gimp.RunMode.INTERACTIVE):
    """The dialog of a procedure, to its end."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", image.get_layers() if GIVEN.get("second_layer") else [layer])
    config.set_property("run-mode", run_mode)
    started = time.time()
    result = procedure.run(config)
    error = result.index(1) if result.length() > 1 else ""
    return {
        "status": Gimp.PDBStatusType(result.index(0)).value_nick,
        "error": error if isinstance(error, str) else "",
        "started": started,
        **state(image),
    }


def state(image):
    """The image to the last bit; of one that was closed, what is open instead."""
    if not image.is_valid():
        return {"images": [state(other) for other in Gimp.get_images()]}
    digests = [hashlib.sha256(read(layer)).hexdigest() for layer in image.get_layers()]
    modes = [[layer.get_mode().value_nick, layer.get_opacity()] for layer in image.get_layers()]
    selected = [layer.get_name() for layer in image.get_selected_layers()]
    alpha = [sum(read(layer, "A u8")) for layer in image.get_layers()]
    return {
        "layers": tree(image.get_layers()),
        "digests": digests,
        "modes": modes,
        "selected": selected,
        "alpha": alpha,
    }


def watched(image):
    """Says how the image is as often as the test asks, until it has seen enough."""
    while not SEEN.exists():
        if LOOK.exists():
            LOOK.unlink()
            LOOKED.with_suffix(".half").write_text(json.dumps(state(image)))
            os.replace(LOOKED.with_suffix(".half"), LOOKED)
        time.sleep(0.05)


run_cases()
