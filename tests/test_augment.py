"""Augmented views: ranges, the box that follows the pixels, determinism."""

import numpy as np
import pytest

from siamla.data.augment import (
    Draw,
    augment,
    colour_offset,
    degrade,
    motion_blur,
    move_colour,
    view_window,
)
from siamla.data.settings import Jitter, PairSettings

SIZE = 431
BOX = (185.5, 195.5, 60.0, 40.0)


def cached_crop() -> np.ndarray:
    """Its bright pixels are those that the box [185.5, 245.5) × [195.5, 235.5) covers, rounded."""
    image = np.full((SIZE, SIZE, 3), 40, np.uint8)
    image[196:236, 186:246] = 220
    return image


def noise(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def bright_box(image: np.ndarray) -> np.ndarray:
    bright = image[..., 0] > 130
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    low = np.array([columns[0], rows[0]], float)
    return np.concatenate([low, (columns[-1] + 1, rows[-1] + 1) - low])


def view(
    image: np.ndarray, size: int, jitter: Jitter, seed: int, flip: bool = False, gray: bool = False
) -> tuple[np.ndarray, list[float]]:
    """A view of a whole cached crop and the box in it."""
    rng = np.random.default_rng(seed)
    left, top, right, bottom = view_window(jitter, size, SIZE, rng.random(4).tolist())
    out = np.empty((size, size, 3), np.uint8)
    box = (BOX[0] - left, BOX[1] - top, *BOX[2:])
    draw = Draw(rng.random(4).tolist(), rng.standard_normal(3).tolist(), flip=flip, gray=gray)
    return out, augment(image[top:bottom, left:right], box, out, jitter, draw)


def test_without_jitter_the_view_is_the_middle() -> None:
    image = noise(SIZE)
    seen, box = view(image, 255, Jitter(), 0)
    assert np.array_equal(seen, image[88:343, 88:343])
    assert box == [127.5 - 30, 127.5 - 20, 60, 40]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_box_follows_the_pixels(seed: int, flip: bool) -> None:
    seen, box = view(cached_crop(), 255, Jitter(shift=60, scale=0.18), seed, flip=flip)
    assert np.abs(box - bright_box(seen)).max() < 1.6


def test_windows_are_uniform_in_their_range_and_apart_for_both_axes() -> None:
    rng = np.random.default_rng(0)
    jitter = Jitter(shift=64, scale=0.18)
    windows = np.array([view_window(jitter, 255, SIZE, rng.random(4)) for _ in range(4000)])
    sides, shifts = windows[:, 2:] - windows[:, :2], windows.reshape(-1, 2, 2).mean(1) - SIZE / 2
    assert 63 < np.abs(shifts).max() <= 64.5
    assert 255 * 0.82 - 1 <= sides.min() <= 255 * 0.82 + 1
    assert 255 * 1.18 - 1 <= sides.max() <= 255 * 1.18 + 1
    assert np.std(shifts) == pytest.approx(64 / np.sqrt(3), rel=0.05)
    assert np.abs(shifts.mean(0)).max() < 2
    assert abs(np.corrcoef(sides.T)[0, 1]) < 0.1


def test_the_utmost_windows_lie_in_a_crop_of_the_reach() -> None:
    settings = PairSettings(dataset="x")
    for drawn in ([0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1]):
        window = view_window(settings.search, 255, settings.reach, drawn)
        assert 0 <= min(window) <= max(window) <= settings.reach


def test_colour_moves_all_pixels_alike_and_saturates() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    for offset in ([3, -4, 0], [-20, 30, 255]):
        moved = ramp.copy()
        move_colour(moved, offset)
        assert np.array_equal(moved, np.clip(ramp.astype(int) + offset, 0, 255))
    rng = np.random.default_rng(0)
    offsets = np.array([colour_offset(rng.standard_normal(3).tolist()) for _ in range(3000)])
    spread = np.linalg.eigvalsh(np.cov(offsets.T)) ** 0.5
    assert spread == pytest.approx([1.2, 2.52, 8.24], rel=0.1)


def test_a_blur_is_a_cross_of_two_lines() -> None:
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 250
    motion_blur(image, 5, 0.8)
    assert image[20, 18:23, 0].tolist() == [40, 40, 50, 40, 40]
    assert image[18:23, 20, 0].tolist() == [10, 10, 50, 10, 10]
    assert np.count_nonzero(image[..., 0]) == 9


@pytest.mark.parametrize("kind", range(3))
def test_a_degraded_view_has_bounds_and_stays_in_place(kind: int) -> None:
    image = cached_crop()[88:343, 88:343]
    errors = []
    for amount in (0.0, 0.999):
        spoiled, again = image.copy(), image.copy()
        degrade(spoiled, ((kind + 0.5) / 3, amount, 0.7))
        degrade(again, ((kind + 0.5) / 3, amount, 0.7))
        assert np.array_equal(spoiled, again)
        errors.append(np.abs(spoiled.astype(int) - image).mean())
        assert abs(spoiled.mean() - image.mean()) < 4  # a coarse JPEG rounds the mean of a block
        assert np.abs(bright_box(spoiled) - bright_box(image)).max() <= 2
    assert 0 < errors[0] < errors[1] < 16
