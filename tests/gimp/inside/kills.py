"""Runs inside GIMP with a window: the dialog on a new image, again and again, while the test kills what it likes.

Each line of /t/sessions.jsonl says how one dialog ended, and how its image was then.
"""

import hashlib
import json
from pathlib import Path

from common import Gimp, add_layer, case, new_image, read, run_cases, tree

SESSIONS, ENOUGH = Path("/t/sessions.jsonl"), Path("/t/enough")
MOST_DISPLAYS = 1000


@case
def kills():
    sessions = 0
    while not ENOUGH.exists():
        sessions += 1
        session()
    return sessions


def session():
    """One image and one dialog, to its end, whatever that is."""
    image = new_image(240, 160)
    layer = add_layer(image, 240, 160, alpha=True)
    before = digest(layer)
    image.clean_all()
    Gimp.Display.new(image)
    procedure = Gimp.get_pdb().lookup_procedure("python-fu-impasto-stylize")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    config.set_property("run-mode", Gimp.RunMode.INTERACTIVE)
    result = procedure.run(config)
    error = result.index(1) if result.length() > 1 else ""
    is_open = image.is_valid()
    with SESSIONS.open("a") as sessions:
        said = {
            "status": Gimp.PDBStatusType(result.index(0)).value_nick,
            "error": error if isinstance(error, str) else "",
            "layers": tree(image.get_layers()) if is_open else [],
            "source": digest(layer) == before if is_open and Gimp.Item.id_is_valid(layer.get_id()) else None,
            "images": [tree(other.get_layers()) for other in Gimp.get_images()],
        }
        sessions.write(json.dumps(said) + "\n")
    for number in range(1, MOST_DISPLAYS):
        # Without an image there is but the window that GIMP keeps, and it complains of being asked to close that.
        if Gimp.get_images() and Gimp.Display.id_is_valid(number):
            Gimp.Display.get_by_id(number).delete()
    for other in Gimp.get_images():
        other.delete()


def digest(layer):
    return hashlib.sha256(read(layer)).hexdigest()


run_cases()
