"""The procedures that GIMP and other plug-ins can call, with all their arguments, and how they end."""

from gi.repository import Gimp, GLib, GObject

from painting import windowless
from texts import Cancelled, Refusal, _
from words import LARGEST_PX, initial_images, layer_modes

STYLIZE = "python-fu-impasto-stylize"
RECOVER = "python-fu-impasto-recover"
MENU = "<Image>/Filters/Artistic"


def create_stylize(plug_in, name):
    """Filters → Artistic → Neural Style…"""
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, stylize, None)
    # Indexed images have too few colours for a painting; the menu entry is insensitive there.
    procedure.set_image_types("RGB*, GRAY*")
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
    procedure.set_menu_label(_("Neural St_yle..."))
    procedure.add_menu_path(MENU)
    procedure.set_documentation(
        _("Paint this layer in the manner of another picture"),
        _(
            "Paints the layer, or what is selected of it, in the manner of a style from the gallery, a file or "
            "another layer. The result is a new layer directly above; the layer itself stays as it is."
        ),
        None,
    )
    procedure.set_attribution("Impasto", "Impasto", "2026")
    flags = GObject.ParamFlags.READWRITE
    procedure.add_string_argument(
        "style", _("_Style"), _("Name of a style of the server's gallery"), "night-swirl", flags
    )
    procedure.add_file_argument(
        "style-file",
        _("Style _file"),
        _("A picture to take the style from, instead of the gallery"),
        Gimp.FileChooserAction.OPEN,
        True,
        None,
        flags,
    )
    procedure.add_drawable_argument(
        "style-drawable",
        _("Style _layer"),
        _("A layer to take the style from, instead of gallery and file"),
        True,
        flags,
    )
    procedure.add_string_argument(
        "style-part",
        _("Part of the style"),
        _("Which part of the style's file or layer: x, y, width and height, 0 to 1 (0.25 0.25 0.5 0.5); empty is all"),
        "",
        flags,
    )
    procedure.add_string_argument(
        "mixture",
        _("Mixture"),
        _('Further styles, as JSON: [{"weight": 0.5, "gallery": "wave-woodcut"}]; the first one weighs 1'),
        "",
        flags,
    )
    procedure.add_string_argument(
        "recipe",
        _("Rec_ipe"),
        _("How it is painted: painterly, classic, fast-classic or draft; empty is the server's choice"),
        "",
        flags,
    )
    procedure.add_double_argument(
        "strength",
        _("Str_ength"),
        _("How much of the style: to the left the layer shows through, to the right it dissolves"),
        0,
        100,
        50,
        flags,
    )
    procedure.add_double_argument(
        "smoothness",
        _("S_moothness"),
        _("How even the paint lies: to the left rough, to the right smooth"),
        0,
        100,
        50,
        flags,
    )
    procedure.add_int_argument(
        "size",
        _("Si_ze"),
        _("Long side that is painted, in pixels; the painting is enlarged to the layer. 0 is automatic"),
        0,
        LARGEST_PX,
        0,
        flags,
    )
    procedure.add_int_argument(
        "steps", _("_Number of steps"), _("How long to paint; 0 is automatic"), 0, 10000, 0, flags
    )
    procedure.add_int_argument(
        "seed", _("_Variation"), _("Another number gives another painting of the same kind"), 0, 2**31 - 1, 0, flags
    )
    procedure.add_choice_argument(
        "initial-image",
        _("_Begin with"),
        _("What the painting starts from: the layer keeps its shapes, noise invents more freely"),
        choices(initial_images()),
        "recipe",
        flags,
    )
    procedure.add_double_argument(
        "learning-rate",
        _("Bol_dness"),
        _("How far each step goes: larger is bolder and rougher; 0 is automatic"),
        0,
        10,
        0,
        flags,
    )
    procedure.add_string_argument(
        "weights",
        _("Trained net_work"),
        _("Which network compares the pictures: original or torchvision see them differently; empty is automatic"),
        "",
        flags,
    )
    procedure.add_choice_argument(
        "layer-mode",
        _("_Use as"),
        _("What the new layer gives to those below: light and shade keep their colours, colours their drawing"),
        choices(layer_modes()),
        "painting",
        flags,
    )
    procedure.add_double_argument("opacity", _("Opacit_y"), _("Of the new layer, in percent"), 0, 100, 100, flags)
    add_server_argument(procedure)
    # GIMP can't write layers down: see painting/style_layer.py.
    procedure.add_string_aux_argument("style-layer", _("Style layer of the last time"), None, "", flags)
    return procedure


def stylize(procedure, run_mode, _image, drawables, config, _data):
    """Runs in all three modes: with a dialog, with given arguments, with the last ones."""

    def work():
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from window import dialog

            dialog.paint(procedure, config, drawables)
        else:
            windowless.paint(config, drawables)

    return finished(procedure, work)


def create_recover(plug_in, name):
    """Filters → Artistic → Neural Style: Recover…"""
    procedure = Gimp.ImageProcedure.new(plug_in, name, Gimp.PDBProcType.PLUGIN, recover, None)
    procedure.set_image_types("RGB*, GRAY*")
    procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.NO_DRAWABLES)
    procedure.set_menu_label(_("Neural St_yle: Recover..."))
    procedure.add_menu_path(MENU)
    procedure.set_documentation(
        _("Insert a picture that was painted earlier"),
        _("Lists the finished jobs of a server and inserts the picture of one as a new layer."),
        None,
    )
    procedure.set_attribution("Impasto", "Impasto", "2026")
    flags = GObject.ParamFlags.READWRITE
    procedure.add_string_argument("job", _("_Job"), _("jobs/UUID; empty is the newest that has a picture"), "", flags)
    add_server_argument(procedure)
    return procedure


def recover(procedure, run_mode, image, drawables, config, _data):
    """Runs in all three modes."""

    def work():
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from window import recover_dialog

            recover_dialog.recover(procedure, config, image, drawables)
        else:
            windowless.recover(config, image, drawables)

    return finished(procedure, work)


def choices(values_and_labels):
    """As GIMP wants to know them."""
    choice = Gimp.Choice.new()
    for number, (value, label) in enumerate(values_and_labels):
        choice.add(value, number, label, "")
    return choice


def add_server_argument(procedure):
    """Which server paints."""
    procedure.add_string_argument(
        "server",
        _("Ser_ver"),
        _("HOST:PORT, or local for this computer; empty is the configured one"),
        "",
        GObject.ParamFlags.READWRITE,
    )


def finished(procedure, work):
    """Does the work and says how it went, in the way GIMP wants to be told."""
    try:
        work()
    except Cancelled:
        return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, GLib.Error())
    except Refusal as refusal:
        error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), str(refusal), 0)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, error)
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())


CREATE = {STYLIZE: create_stylize, RECOVER: create_recover}
"""Our procedures by name."""
