"""A painting, or an earlier one's picture, without a window: GIMP's own progress bar shows how it goes."""

from gi.repository import Gimp, GLib

from connection.connection import Connection
from painting.order import order
from painting.painting import CancelledByPainter, Failed, Finished, Painting
from picture import insertion
from picture.content import check_colours, chosen_layers, depth_of, layer_of
from texts import Cancelled, Refusal, _, stage_text, told


def paint(config, drawables):
    """Paints the layers one after the other, with a procedure's arguments. Raises Refusal; the rest is as it was."""
    orders = [order(config, layer) for layer in chosen_layers(drawables)]
    connection = Connection()
    try:
        for asked in orders:
            painting = Painting(connection, "paint", asked.fields, asked.parts)
            watch_to_the_end(painting)
            insert(asked, picture_of(painting), told(painting.title) or asked.look.name)
    finally:
        connection.close()


def insert(asked, finished, name):
    """The new layer of an order. Raises Refusal if its image is gone."""
    if not insertion.is_open(asked.content.image, asked.content.display):
        raise Refusal(
            _(
                "The image was closed meanwhile. Its painting is kept: Filters → Artistic → Neural Style: Recover… "
                "fetches it."
            )
        )
    look = insertion.Look(name, asked.look.mode, asked.look.opacity)
    return insertion.insert_painting(asked.content, finished.head, finished.parts, look)


def announce(asked, name):
    """Says in GIMP's own window where a painting is to be found, if it may be in an image that nobody sees."""
    content = asked.content
    if insertion.may_be_unseen(content.image, content.display):
        sentence = _("{name} is painted. If its image was closed, Recover… has it.")
        Gimp.message(sentence.format(name=name))


def recover(config, image, drawables):
    """Inserts a finished job's picture as a new layer and returns it. Raises Refusal."""
    check_colours(image)
    connection = Connection()
    try:
        return insert_job(connection, config, image, drawables, is_running=False)
    finally:
        connection.close()


def insert_job(connection, config, image, drawables, *, is_running):
    """The picture of a job as a new layer; one that is still painted is followed to its end. Raises Refusal."""
    layer = layer_of(drawables[0]) if len(drawables) == 1 else None
    fields = {"job": config.get_property("job") or "", "server": config.get_property("server") or ""}
    fields["depth"] = depth_of(image)
    if layer is not None:
        fields |= {"fit_width": layer.get_width(), "fit_height": layer.get_height()}
    painting = Painting(connection, "watch" if is_running else "fetch", fields, {})
    watch_to_the_end(painting)
    finished = picture_of(painting)
    if not insertion.is_open(image):
        raise Refusal(_("The image was closed meanwhile."))
    look = insertion.Look(name_of(finished.head))
    return insertion.insert_recovered(image, layer, finished.head, finished.parts, look)


def watch_to_the_end(painting):
    """Runs until a painting has ended, with GIMP's progress bar. It always ends: a helper that dies says so."""
    Gimp.progress_init(_("Impasto"))
    loop = GLib.MainLoop()

    def changed(head, _parts):
        show_progress(head)
        if painting.has_ended:
            loop.quit()

    painting.changed = changed
    if not painting.has_ended:
        loop.run()
    Gimp.progress_end()


def show_progress(head):
    """In GIMP's status bar."""
    if head["event"] in ("stage", "progress"):
        Gimp.progress_set_text(stage_text(head))
    if head["event"] == "progress":
        Gimp.progress_update(head["step"] / head["steps"])


def picture_of(painting):
    """The picture that a painting ended with. Raises Refusal or Cancelled."""
    match painting.outcome:
        case Finished():
            return painting.outcome
        case Failed(sentence, details):
            raise Refusal(f"{sentence} {last_line(details)}".strip())
        case CancelledByPainter():
            raise Cancelled


def last_line(details):
    """The end of what was said: without a window there is nowhere else to read it."""
    return details.strip().splitlines()[-1] if details.strip() else ""


def name_of(head):
    """What a fetched picture's layer is called."""
    return (head.get("note") or {}).get("style") or told(head.get("title")) or head["style"] or _("Painting")
