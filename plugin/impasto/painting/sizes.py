"""How large is painted, told before it is painted: what a recipe takes by itself, and what that costs here."""

PATIENCE_S = 90.0
"""So long a painting may take before it is painted smaller than the layer, if nobody has chosen a size."""
SMALLEST_PX = 32
EXACT = frozenset({"classic", "draft"})
"""Recipes that are what they are by their size: the textbook's, and a first look."""


def painted_px(chosen_px, recipe, longest_px, limit_px, rate):
    """Long side that is painted. `chosen_px` 0: the layer's own where this device is quick enough, else the recipe's.

    `recipe` is what the server says of it, `rate` what a megapixel of it took here lately in seconds, or None.
    """
    most = max(SMALLEST_PX, min(longest_px, limit_px))
    if chosen_px:
        return max(SMALLEST_PX, min(chosen_px, most))
    own = min(int(recipe.get("size_px") or 512), most)
    is_quick = bool(rate) and rate * most**2 / 1e6 <= PATIENCE_S
    return most if is_quick and recipe["name"] not in EXACT else own


def painted_size(long_px, width, height):
    """Width and height of a picture with these proportions."""
    zoom = long_px / max(width, height)
    return max(1, round(width * zoom)), max(1, round(height * zoom))


def seconds_here(rate, size):
    """What a painting of this size takes, after what others took; None if none were painted here."""
    return rate * size[0] * size[1] / 1e6 if rate else None
