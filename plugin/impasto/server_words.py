"""What servers say of recipes and styles, in English, so that it gets translated: `told` looks words up, here they are
collected. Words of a server that are not here stay English."""

from texts import _

WORDS = (
    _("Coarse to fine: broad colours first, brushwork last. The best-looking."),
    _("The textbook algorithm (Gatys et al. 2016, Dive into Deep Learning 14.12), to the digit."),
    _("The textbook's objective, reached in a fraction of its time by a better optimiser."),
    _("The textbook's objective, reached in a fraction of its time by a better optimiser."),
    _("A first look within seconds: painterly with a quarter of the steps, most of them on small pictures."),
    _("Night over the wheat"),
    _("Oil: short loaded strokes that wheel around moon and stars."),
    _("Coming home"),
    _("Palette knife: thick slabs of oil, sails against a fiery sky."),
    _("Noon by the river"),
    _("Pointillism: dabs of pure colour that mix in the eye."),
    _("Morning on the lagoon"),
    _("Watercolour: wet washes, blooms and dried edges."),
    _("Pine above the mist"),
    _("Ink: wash and dry brush on warm paper, with one red sun."),
    _("The light in the storm"),
    _("Woodcut: carved indigo lines over blocks of colour."),
    _("Two leaping fish"),
    _("Mosaic: tesserae of glass and gold, laid along the forms."),
    _("The tree in blossom"),
    _("Stained glass: glowing panes held by dark lead."),
)
