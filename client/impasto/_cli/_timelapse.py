"""Previews, collected into an animation."""

from pathlib import Path

from PIL import Image

from impasto._cli._output import TIMELAPSE_FORMATS, save_whole

MOST_FRAMES = 120
FRAME_MS = 80
LAST_FRAME_MS = 2500


class Timelapse:
    """Frames as they come. When there are too many, every other one goes, so that memory stays bounded."""

    def __init__(self) -> None:
        self.frames: list[Image.Image] = []
        self._stride = 1
        self._seen = 0

    def add(self, image: Image.Image) -> None:
        """One more frame."""
        if self._seen % self._stride == 0:
            self.frames.append(image.convert("RGB"))
            if len(self.frames) > MOST_FRAMES:
                del self.frames[1::2]
                self._stride *= 2
        self._seen += 1

    def write(self, path: Path, last: Image.Image | None = None) -> None:
        """Writes an endless animation that rests on its last frame; coarse scales are enlarged."""
        frames = [*self.frames, last.convert("RGB")] if last is not None else self.frames
        if not frames:
            return
        size = max((frame.size for frame in self.frames or frames), key=lambda s: s[0] * s[1])
        frames = [frame.resize(size, Image.Resampling.LANCZOS) for frame in frames]
        format_name = TIMELAPSE_FORMATS[path.suffix.lower()]
        if format_name == "GIF":
            # One palette for all frames: the last one has all the colours, and frames don't flicker.
            palette = frames[-1].quantize(255, dither=Image.Dither.NONE)
            frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
        save_whole(
            frames[0],
            path,
            format_name,
            save_all=True,
            append_images=frames[1:],
            duration=[FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS],
            loop=0,
        )
