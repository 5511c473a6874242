"""JPEGs of which a window is decoded alone: the coder starts afresh at a restart marker every few
blocks. Before a JPEG stand, as uint32, where its header ends, then each interval with its marker,
row by row, COLUMN pixels wide and ROW pixels high.

A window is decoded from the header, with another size in it, and the intervals that the window
touches: to any decoder a whole JPEG. Only the smoothed colour looks across an interval's border, by
one pixel, and so far the decoded part reaches beyond the window.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from simplejpeg import decode_jpeg

from siamla.data.crop import Image

Window = tuple[int, int, int, int]
"""Left, top, right and bottom edge in whole pixels; right and bottom are outside."""

ROW = 16  # pixels of a block of 4:2:0
COLUMN = 2 * ROW
_REACH = 1  # pixels that the smoothing of colour looks beyond one
_HEAD = 1024  # bytes that hold every header; OpenCV's have 623 and the marker's six
_END = 0xD9
# of the markers of as many intervals as there can be
_NUMBERS = (np.arange(2**16) % 8 + 0xD0).astype(np.uint8)
_FRAME = b"\xff\xc0\x00\x11\x08"  # begins the frame header; height and width follow


def _ends(jpeg: bytes) -> NDArray[np.uint32]:
    """Where the header and the intervals of a JPEG end."""
    scan = jpeg.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4])
    data = np.frombuffer(jpeg, np.uint8)
    behind = np.flatnonzero(data[start:-1] == 0xFF) + (start + 1)
    ends = behind[data[behind] > 0] + 1  # a zero follows where 0xFF is no marker
    return np.concatenate([[start], ends]).astype("<u4")


def encode(image: Image, quality: int) -> bytes:
    """A square image (size, size, 3): where the intervals of its JPEG end, and the JPEG."""
    below, right = -len(image) % ROW, -len(image) % COLUMN  # to whole intervals
    image = np.pad(image, ((0, below), (0, right), (0, 0)), "edge")
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        *(cv2.IMWRITE_JPEG_RST_INTERVAL, COLUMN // ROW),
    ]
    jpeg = cv2.imencode(".jpg", image, options)[1].tobytes()
    return _ends(jpeg).tobytes() + jpeg


def decode(read: Callable[[int, int], bytes], size: int, window: Window) -> Image:
    """The pixels of a window of a square image of `size` pixels, as decoding all of the JPEG would
    give them; ValueError where it is damaged. `read` gives so many bytes from a place in what
    `encode` made.
    """
    left, top, right, bottom = window
    columns, rows = -(-size // COLUMN), -(-size // ROW)
    first, end = max(left - _REACH, 0) // COLUMN, min(-(-(right + _REACH) // COLUMN), columns)
    above, last = max(top - _REACH, 0) // ROW, min(-(-(bottom + _REACH) // ROW), rows)

    table = 4 * (1 + columns * rows)
    head = read(table + _HEAD, 0)
    ends = np.frombuffer(head, "<u4", 1 + columns * rows)
    header = int(ends[0])
    frame = head.index(_FRAME, table, table + header) + len(_FRAME)
    begin, stop = int(ends[above * columns]), int(ends[last * columns])
    if not header <= begin < stop:
        raise ValueError("its intervals do not follow one another")
    body = read(stop - begin, table + begin)
    if len(body) != stop - begin:
        raise ValueError("it ends early")

    shape = ((last - above) * ROW << 16 | (end - first) * COLUMN).to_bytes(4)
    parts, length, moves = [head[table:frame], shape, head[frame + 4 : table + header]], header, []
    inside = ends[1:].reshape(rows, columns)[above:last, first:end]
    starts = ends[:-1].reshape(rows, columns)[above:last, first]
    for start, end_of_row in zip(starts.tolist(), inside[:, -1].tolist(), strict=True):
        parts.append(body[start - begin : end_of_row - begin])
        moves.append([length - start - 1])  # from where the row lies in the JPEG to where it goes
        length += end_of_row - start
    part = np.frombuffer(bytearray().join(parts), np.uint8)
    marks = inside + np.array(moves)
    if length != len(part) or marks.min() < header or marks.max() >= length:
        raise ValueError("its intervals do not follow one another")
    part[marks] = _NUMBERS[: marks.size].reshape(marks.shape)  # from 0 to 7 in turn
    part[-1] = _END

    # the pixels of OpenCV's decoder, from the same library, a fifth sooner; and damage is an error,
    # not a gray patch
    image: Image = decode_jpeg(part, "BGR")
    x, y = first * COLUMN, above * ROW
    return image[top - y : bottom - y, left - x : right - x]
