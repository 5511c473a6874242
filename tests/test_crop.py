"""The crop function: exact pixel-centre algebra, both coordinate conventions, the border."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamla.data.crop import (
    crop,
    mean_colour,
    tile,
    to_continuous,
    to_crop,
    to_image,
    to_index,
    whole_pixels,
)


def gradient(width: int = 200, height: int = 160) -> np.ndarray:
    """Blue is the pixel's continuous x, green its continuous y (both + 0.5), exact in uint8 up to
    the half.
    """
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width)
    image[..., 1] = np.arange(height)[:, None]
    return image


def blob(x: float, y: float) -> np.ndarray:
    """A smooth bright spot whose centre of mass is at continuous (x, y)."""
    grid = np.arange(200) + 0.5
    spot = 250 * np.exp(-((grid[None, :] - x) ** 2 + (grid[:, None] - y) ** 2) / (2 * 5.0**2))
    return np.repeat(np.rint(spot).astype(np.uint8)[..., None], 3, axis=2)


def centre_of_mass(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(np.float64)
    middle = np.arange(image.shape[0]) + 0.5
    return np.array([(weight.sum(0) * middle).sum(), (weight.sum(1) * middle).sum()]) / weight.sum()


def test_a_crop_at_scale_one_is_a_slice() -> None:
    image = gradient()
    assert np.array_equal(crop(image, (60.5, 70.5), 31, 31, (0, 0, 0)), image[55:86, 45:76])
    assert np.array_equal(crop(image, (60.0, 70.0), 20, 20, (0, 0, 0)), image[60:80, 50:70])


def test_the_public_codes_crop_is_up_and_left_of_ours() -> None:
    """Box 100, 100, 50, 50 has the index centre 124.5: 100 px start at 74, ours at 75; 101 px start
    at 74, too.
    """
    image = gradient(240, 240)
    pixels, middle = whole_pixels(image, (125, 125), 100, 100, (0, 0, 0))
    assert np.array_equal(pixels, image[74:174, 74:174])
    assert middle.tolist() == [124, 124]
    ours = crop(image, (125, 125), 100, 100, (0, 0, 0))
    assert np.array_equal(ours, image[75:175, 75:175])
    pixels, middle = whole_pixels(image, (125, 125), 101, 101, (0, 0, 0))
    assert np.array_equal(pixels, image[74:175, 74:175])
    assert middle.tolist() == [124.5, 124.5]


def test_the_public_codes_crop_beyond_the_border() -> None:
    """Columns −11 to 9 and rows 229 to 249 of 240; the colour is cut, not rounded."""
    image = gradient(240, 240)
    pixels, _ = whole_pixels(image, (0.5, 240), 21, 21, (10.9, 20, 30.5))
    assert np.array_equal(pixels[:11, 11:], image[229:, :10])
    assert (pixels[11:] == (10, 20, 30)).all()
    assert (pixels[:, :11] == (10, 20, 30)).all()
    outside, _ = whole_pixels(image, (0.5, 0.5), 1, 5, (1, 2, 3))  # the pixel −1, −1
    assert (outside == (1, 2, 3)).all()


@pytest.mark.parametrize(("side", "size"), [(100.0, 255), (61.7, 127), (90.0, 90), (150.0, 127)])
@pytest.mark.parametrize("centre", [(110.25, 92.5), (100.0, 98.0)])
def test_a_box_maps_to_where_its_pixels_go(
    centre: tuple[float, float], side: float, size: int
) -> None:
    """The crop's own centre lands on its middle."""
    view = crop(blob(110.25, 92.5), centre, side, size, (0, 0, 0))
    expected = to_crop([105.25, 87.5, 10, 10], centre, side, size)
    assert np.abs(centre_of_mass(view) - (expected[:2] + expected[2:] / 2)).max() < 0.05


def test_box_by_hand() -> None:
    box = to_crop([90, 80, 20, 40], (100, 100), 51, 255)
    assert box.tolist() == [127.5 - 50, 127.5 - 100, 100, 200]
    assert to_index(box).tolist() == [77, 27, 100, 200]
    assert to_continuous(to_index(box)).tolist() == box.tolist()


numbers = st.floats(-500, 500)
lengths = st.floats(1, 500)


@given(
    st.tuples(numbers, numbers, lengths, lengths),
    st.tuples(numbers, numbers),
    lengths,
    st.sampled_from([127, 255]),
)
def test_to_crop_is_undone_by_to_image(box: tuple, middle: tuple, side: float, size: int) -> None:
    there = to_crop(box, middle, side, size)
    assert np.allclose(to_image(there, middle, side, size), box, atol=1e-6)


def smooth(width: int = 320, height: int = 240) -> np.ndarray:
    """Waves long enough that half a pixel shows little, and every place differs."""
    x, y = np.meshgrid(np.arange(width) / 19, np.arange(height) / 23)
    waves = np.stack([np.sin(x + y / 3), np.cos(y), np.sin(x / 2) * np.cos(y / 2)], 2)
    return np.rint(128 + 100 * waves).astype(np.uint8)


@settings(deadline=None)
@given(
    x=st.floats(-20, 340),
    y=st.floats(-20, 260),
    side=st.floats(20, 700),
    size=st.sampled_from([127, 255, 431]),
)
def test_a_tile_is_a_crop(x: float, y: float, side: float, size: int) -> None:
    image = smooth()
    view, has = tile(image, (x, y), side, size)
    assert view.shape == (size, size, 3)
    assert np.abs(has - (x, y)).max() <= 0.5 * side / size + 1e-9
    expected = crop(image, has, side, size, mean_colour(image[::8]))
    difference = np.abs(view.astype(int) - expected).max(2)
    assert np.percentile(difference, 90) <= 2  # at the image's border the crop fades into its fill
    inside = crop(np.full_like(image, 255), has, side, size, (0, 0, 0))[..., 0] == 255
    assert difference[inside].max(initial=0) <= 6


@pytest.mark.parametrize("centre", [(-900.0, 50.0), (50.0, -900.0), (2000.0, 50.0), (50.0, 2000.0)])
def test_a_tile_wholly_beyond_the_image_is_its_mean_colour(centre: tuple[float, float]) -> None:
    view, _ = tile(np.full((60, 80, 3), 90, np.uint8), centre, 100.0, 255)
    assert np.unique(view).tolist() == [90]
