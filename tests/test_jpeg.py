"""JPEGs of which a window is decoded alone: the pixels are those of the whole, to any decoder."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamla.data.jpeg import COLUMN, ROW, decode, encode


def textured(size: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(
        0, 256, (size // 6 + 2, size // 6 + 2, 3), dtype=np.uint8
    )
    return cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda count, start: data[start : start + count]


def whole(data: bytes, size: int) -> np.ndarray:
    """The pixels of the JPEG by OpenCV, which knows nothing of windows."""
    jpeg = np.frombuffer(data[data.index(b"\xff\xd8\xff") :], np.uint8)
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[:size, :size]


@settings(deadline=None, max_examples=150)
@given(
    size=st.sampled_from([127, 255, 313, 431]),
    quality=st.sampled_from([50, 92, 100]),
    edges=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_a_window_has_the_pixels_of_the_whole(size: int, quality: int, edges: list[float]) -> None:
    data = encode(textured(size), quality)
    left, top = (int(edge * (size - 1)) for edge in edges[:2])
    right, bottom = (
        low + 1 + int(edge * (size - 1 - low))
        for low, edge in zip((left, top), edges[2:], strict=True)
    )
    window = decode(reader(data), size, (left, top, right, bottom))
    assert np.array_equal(window, whole(data, size)[top:bottom, left:right])


@pytest.mark.parametrize("place", range(-2, 3))
def test_also_at_every_border_of_an_interval(place: int) -> None:
    data = encode(textured(431), 95)
    full = whole(data, 431)
    for left, top in ((COLUMN, ROW), (5 * COLUMN, 9 * ROW)):
        for right, bottom in ((6 * COLUMN, 10 * ROW), (13 * COLUMN, 26 * ROW)):
            window = left + place, top - place, right - place, bottom + place
            cut = full[window[1] : window[3], window[0] : window[2]]
            assert np.array_equal(decode(reader(data), 431, window), cut)


def test_only_what_a_window_needs_is_read() -> None:
    data, asked = encode(textured(431), 95), []

    def read(count: int, start: int) -> bytes:
        asked.append(len(data[start : start + count]))
        return data[start : start + count]

    decode(read, 431, (152, 152, 279, 279))
    assert len(asked) == 2
    assert sum(asked) < 0.45 * len(data)


EXPECTED = {
    "cut": "ends early",
    "table": "found",
    "header": "found",
    "inside": "restart|[Cc]orrupt",
}


@pytest.mark.parametrize("damage", EXPECTED)
def test_damage_is_an_error(damage: str) -> None:
    data = bytearray(encode(textured(255), 90))
    start = data.index(b"\xff\xd8\xff")
    if damage == "cut":
        del data[-200:]
    elif damage == "table":
        data[:start] = bytes(start)
    elif damage == "header":
        data[start : start + 600] = bytes(600)
    else:
        data[start + 3000 : start + 3300] = b"\xff\xd3" * 150
    with pytest.raises(ValueError, match=EXPECTED[damage]):
        decode(reader(bytes(data)), 255, (0, 0, 255, 255))
