"""What can be chosen by a word, with its label; shared by the procedures and the window."""

from texts import _

LARGEST_PX = 16384


def initial_images():
    """What a painting can begin with: values and labels."""
    return [("recipe", _("automatic")), ("layer", _("the layer")), ("noise", _("noise"))]


def layer_modes():
    """What a painting can be used as: values and labels."""
    return [
        ("painting", _("normal layer")),
        ("light", _("light and shade only")),
        ("colours", _("colours only")),
        ("soft-light", _("soft light")),
        ("overlay", _("overlay")),
    ]


def recipe_title(name):
    """What a recipe is called, with what it is good for."""
    titles = {
        "painterly": _("Painterly – the best-looking"),
        "classic": _("Classic – the textbook's, small"),
        "fast-classic": _("Classic, fast"),
        "draft": _("Draft – within seconds"),
    }
    return titles.get(name, name)


def recipe_name(name):
    """What a recipe is called, no more."""
    return recipe_title(name).partition(" – ")[0]
