"""Runs inside GIMP with a window: opens the dialog on an image, and says what became of it."""

import time

from common import GIVEN, Gimp, add_layer, case, file_of, new_image, run_cases, tree


@case
def dialog():
    if GIVEN.get("photo"):
        image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file_of(GIVEN["photo"]))
        layer = image.get_layers()[0]
    else:
        image = new_image(240, 160)
        layer = add_layer(image, 240, 160)
    Gimp.Display.new(image)
    procedure = Gimp.get_pdb().lookup_procedure(GIVEN.get("procedure", "python-fu-impasto-stylize"))
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
        "layers": tree(image.get_layers()),
        "started": started,
    }


run_cases()
