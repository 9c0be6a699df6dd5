"""Runs inside GIMP: a painting that takes long, so that something can be killed meanwhile."""

from common import add_layer, case, new_image, read, run_cases, stylize


@case
def killed():
    image = new_image(192, 128)
    layer = add_layer(image, 192, 128)
    before = read(layer)
    answer = stylize(image, layer, size=192, steps=120)
    answer["source_untouched"] = read(layer) == before
    return answer


run_cases()
