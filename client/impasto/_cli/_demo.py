"""`impasto demo`: two photos, two styles, one sheet to look at, all over the same road as everything else."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from impasto._cli._display import choose_display
from impasto._cli._follow import follow
from impasto._cli._options import server_option
from impasto._cli._output import save_whole, write_whole
from impasto._cli._timelapse import Timelapse
from impasto._client import Client
from impasto._events import JobEvent, Preview
from impasto._images import decode
from impasto._requests import PreviewOptions

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE_PX = 512
PREVIEWS = PreviewOptions(max_size_px=320, max_per_second=4, quality=92)
PAINTINGS = (("chelsea", "night-swirl"), ("coffee", "garden-glass"))
"""Photo of scikit-image (CC0, shipped inside its wheel) and style of the gallery."""


@dataclass(frozen=True, slots=True)
class Painting:
    """One row of the sheet."""

    photo_name: str
    style_title: str
    photo: "Image"
    style: "Image"
    painted: "Image"


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/demo"),
    show_default=True,
    help="Folder for the pictures; made if it isn't there.",
)
@server_option
def demo(output: Path, server: str | None) -> int:
    """Paint two photos in two styles, and compose a sheet and a timelapse of them."""
    photos = [load_photo(name) for name, _ in PAINTINGS]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{output} can't be made: {error.strerror}.", param_hint="'--output'") from None
    paintings, timelapse = [], Timelapse()

    def film(event: JobEvent) -> None:
        if isinstance(event, Preview):
            timelapse.add(event.image)

    with Client(server) as client:
        gallery = {style.name: style for style in client.styles()}
        # Both are queued at once, so that a server with two devices paints them side by side.
        jobs = [
            client.submit(photo, style, size_px=SIZE_PX) for photo, (_, style) in zip(photos, PAINTINGS, strict=True)
        ]
        for job, photo, (name, style) in zip(jobs, photos, PAINTINGS, strict=True):
            first = job is jobs[0]
            with choose_display(False, f"{name} × {style}") as display:
                interrupted = follow(job, display, PREVIEWS if first else None, film)
            if interrupted:
                for other in jobs:
                    other.cancel()
                click.echo("impasto: interrupted; what was finished is there.", err=True)
                return 130
            data = job.result_bytes()
            path = output / f"{name}-{style}.png"
            write_whole(path, data)
            click.echo(str(path))
            style_picture = decode(client.download(gallery[style].image))
            paintings.append(Painting(name, gallery[style].title, photo, style_picture, decode(data)))
    timelapse.write(output / "timelapse.gif", paintings[0].painted)
    click.echo(str(output / "timelapse.gif"))
    save_whole(compose_sheet(paintings), output / "sheet.png", "PNG")
    click.echo(str(output / "sheet.png"))
    return 0


def load_photo(name: str) -> "Image":
    """One of scikit-image's photos."""
    from PIL import Image

    try:
        import skimage.data
    except ImportError:
        raise click.ClickException(
            "the demo paints two photos that come with scikit-image, which is not installed: pip install scikit-image"
        ) from None
    array: Any = getattr(skimage.data, name)()
    return Image.fromarray(array)


PAPER = (244, 241, 235)
INK = (58, 54, 48)
FAINT = (140, 133, 122)
CELL_PX = (460, 345)
GAP_PX = 28
MARGIN_PX = 56
CAPTION_PX = 52
HEADER_PX = 96


def compose_sheet(paintings: list[Painting]) -> "Image":
    """Photo, style and painting of each row on quiet paper, with captions."""
    from PIL import Image, ImageDraw, ImageFont

    width = 2 * MARGIN_PX + 3 * CELL_PX[0] + 2 * GAP_PX
    row_px = CELL_PX[1] + CAPTION_PX
    height = MARGIN_PX + HEADER_PX + len(paintings) * row_px + (len(paintings) - 1) * GAP_PX + MARGIN_PX // 2
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    title, caption = ImageFont.load_default(34), ImageFont.load_default(18)
    draw.text((MARGIN_PX, MARGIN_PX), "Impasto", INK, font=title)
    for row, painting in enumerate(paintings):
        top = MARGIN_PX + HEADER_PX + row * (row_px + GAP_PX)
        cells = (
            (painting.photo, painting.photo_name.capitalize(), "photo"),
            (painting.style, painting.style_title, "style"),
            (painting.painted, f"{painting.photo_name.capitalize()} + {painting.style_title}", "painted"),
        )
        for column, (picture, text, role) in enumerate(cells):
            left = MARGIN_PX + column * (CELL_PX[0] + GAP_PX)
            fitted = fill(picture, CELL_PX)
            sheet.paste(fitted, (left, top))
            baseline = top + CELL_PX[1] + 14
            draw.text((left, baseline), text, INK, font=caption)
            draw.text((left + CELL_PX[0], baseline), role, FAINT, font=caption, anchor="ra")
    return sheet


def fill(picture: "Image", size: tuple[int, int]) -> "Image":
    """The middle of the picture at exactly this size."""
    from PIL import Image, ImageOps

    return ImageOps.fit(picture.convert("RGB"), size, Image.Resampling.LANCZOS)
