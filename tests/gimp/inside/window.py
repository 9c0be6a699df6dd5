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
    if GIVEN.get("photo"):
        image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file_of(GIVEN["photo"]))
        layer = image.get_layers()[0]
    else:
        image = new_image(240, 160)
        layer = add_layer(image, 240, 160)
    if GIVEN.get("indexed"):
        image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    image.clean_all()
    Gimp.Display.new(image)
    answer = state(image)
    if GIVEN.get("procedure"):
        answer = opened(image, layer, GIVEN["procedure"])
    if GIVEN.get("looks"):
        watched(image)
    return answer


def opened(image, layer, name):
    """The dialog of a procedure, to its end."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
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
    """The image to the last bit."""
    digests = [hashlib.sha256(read(layer)).hexdigest() for layer in image.get_layers()]
    modes = [[layer.get_mode().value_nick, layer.get_opacity()] for layer in image.get_layers()]
    return {"layers": tree(image.get_layers()), "digests": digests, "modes": modes}


def watched(image):
    """Says how the image is as often as the test asks, until it has seen enough."""
    while not SEEN.exists():
        if LOOK.exists():
            LOOK.unlink()
            LOOKED.with_suffix(".half").write_text(json.dumps(state(image)))
            os.replace(LOOKED.with_suffix(".half"), LOOKED)
        time.sleep(0.05)


run_cases()
