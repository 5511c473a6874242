"""Augmented views: ranges, the box that follows the pixels, determinism."""

import numpy as np
import pytest

from siamla.data.augment import augment, colour_table, gray_image, motion_blur, region
from siamla.data.settings import Jitter

SIZE = 511
BOX = np.array([255.5 - 30, 255.5 - 20, 60, 40])


def cached_crop() -> np.ndarray:
    image = np.full((SIZE, SIZE, 3), 40, np.uint8)
    image[236:276, 226:286] = 220  # pixels that the box [225.5, 285.5) × [235.5, 275.5) covers, rounded
    return image


def bright_box(image: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero((image[..., 0] > 130).any(1)), np.flatnonzero((image[..., 0] > 130).any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]], float)


def test_without_jitter_the_view_is_the_middle() -> None:
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    view = augment(image, BOX, 255, Jitter(), np.random.default_rng(0))
    assert np.array_equal(view.image, image[128:383, 128:383])
    assert view.box.tolist() == [127.5 - 30, 127.5 - 20, 60, 40]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_box_follows_the_pixels(seed: int, flip: bool) -> None:
    view = augment(cached_crop(), BOX, 255, Jitter(shift=60, scale=0.18), np.random.default_rng(seed), flip=flip)
    assert np.abs(view.box - bright_box(view.image)).max() < 1.6


def test_flip_mirrors_the_unflipped_view() -> None:
    image = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    jitter = Jitter(shift=20)
    plain = augment(image, BOX, 255, jitter, np.random.default_rng(5))
    flipped = augment(image, BOX, 255, jitter, np.random.default_rng(5), flip=True)
    difference = np.abs(flipped.image[:, ::-1].astype(int) - plain.image)
    assert np.percentile(difference, 99) <= 16  # OpenCV's weights have 5 bits; noise is the worst case
    assert flipped.box[0] == pytest.approx(255 - plain.box[0] - plain.box[2])


def test_region_is_uniform_in_its_range_and_apart_for_both_axes() -> None:
    rng = np.random.default_rng(0)
    draws = [region(Jitter(shift=64, scale=0.18), 255, rng) for _ in range(2000)]
    shifts, sides = (np.array(values) for values in zip(*draws, strict=True))
    assert np.abs(shifts).max() <= 64
    assert np.abs(shifts).max() > 62
    assert sides.min() >= 255 * 0.82
    assert sides.max() <= 255 * 1.18
    assert np.std(shifts) == pytest.approx(64 / np.sqrt(3), rel=0.05)
    assert abs(np.corrcoef(sides.T)[0, 1]) < 0.1


def test_same_state_same_view() -> None:
    jitter = Jitter(shift=30, scale=0.1, blur=0.5, colour=1)
    image = cached_crop()
    first, second, other = (augment(image, BOX, 127, jitter, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.box, second.box)
    assert not np.array_equal(first.image, other.image)
    assert np.array_equal(image, cached_crop())  # the input is left alone


def test_colour_moves_all_pixels_alike_and_saturates() -> None:
    rng = np.random.default_rng(0)
    offsets = []
    for _ in range(3000):
        table = colour_table(rng)[0].astype(int)
        middle = table[60:200] - np.arange(60, 200)[:, None]
        assert np.ptp(middle, axis=0).max() == 0
        offsets.append(middle[0])
        assert table.min() >= 0
        assert table.max() <= 255
    spread = np.linalg.eigvalsh(np.cov(np.array(offsets).T)) ** 0.5
    assert spread == pytest.approx([1.2, 2.52, 8.24], rel=0.1)


def test_blur_keeps_the_mean_and_smooths() -> None:
    image = np.random.default_rng(0).integers(0, 256, (255, 255, 3), dtype=np.uint8)
    blurred = motion_blur(image, np.random.default_rng(0))
    assert blurred.mean() == pytest.approx(image.mean(), abs=1)
    assert blurred.std() < 0.6 * image.std()


def test_gray_has_three_equal_channels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.ptp(gray_image(image), axis=2).max() == 0


def test_beyond_a_small_cached_crop_is_its_mean_colour() -> None:
    image = np.full((200, 200, 3), 90, np.uint8)
    view = augment(image, np.array([90.0, 90, 20, 20]), 255, Jitter(), np.random.default_rng(0))
    assert np.unique(view.image).tolist() == [90]
