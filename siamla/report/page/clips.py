"""Short looping clips with the boxes of trackers: animated WebP, which a page can hold and any
browser shows.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from siamla.benchmark.onepass import read_image
from siamla.sequence import Sequence as Video

FRAMES = 14
WIDTH = 300  # pixels
PACE = 160  # milliseconds a frame
MOST = 150_000  # bytes of a clip


class Clip(NamedTuple):
    """A clip as data URLs, moving and still, and its size."""

    moving: str
    still: str
    width: int
    height: int


def _url(data: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def _frame(
    video: Video, index: int, boxes: Mapping[str, NDArray[np.float64]], colours: Mapping[str, str]
) -> Image.Image:
    image = Image.fromarray(read_image(video.frames[index])[..., ::-1])
    scale = min(1.0, WIDTH / image.width)
    image = image.resize(
        (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
    )
    draw = ImageDraw.Draw(image)
    truth = video.boxes[index] if index < len(video.boxes) else np.full(4, np.nan)
    for colour, box in [
        ("#FFFFFF", truth),
        *((colours[name], own[index]) for name, own in boxes.items()),
    ]:
        if np.isfinite(box).all():
            x, y, w, h = box * scale
            draw.rectangle((x, y, x + max(w, 1), y + max(h, 1)), outline=colour, width=2)
    return image


def clip(
    video: Video, boxes: Mapping[str, NDArray[np.float64]], colours: Mapping[str, str]
) -> Clip:
    """The whole sequence in a few frames, with the boxes (N, 4) of trackers and the white truth."""
    count = min([len(video.frames), *(len(own) for own in boxes.values())])
    chosen = np.unique(np.linspace(0, count - 1, FRAMES).round().astype(int))
    images = [_frame(video, int(index), boxes, colours) for index in chosen]
    for quality in (70, 50, 30, 10):
        moving = _webp(images, quality)
        if len(moving) <= MOST:
            break
    return Clip(_url(moving), _url(_webp(images[len(images) // 2 :][:1], 60)), *images[0].size)


def _webp(images: Sequence[Image.Image], quality: int) -> bytes:
    held = io.BytesIO()
    images[0].save(
        held,
        "WEBP",
        save_all=len(images) > 1,
        append_images=images[1:],
        duration=PACE,
        loop=0,
        quality=quality,
        method=4,
    )
    return held.getvalue()
