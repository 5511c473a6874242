"""Score maps to boxes: eq. 12–13 by hand, `release` against a second implementation of what the
public code does and, where they are, its own results; peaks anywhere.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamla.tracker import postprocess
from siamla.tracker.postprocess import State, penalised_score, release, scale_penalty, start, topn

CASES = Path(__file__).parents[2] / "shared" / "reference" / "siamcar_postprocess.npz"


def test_equation_13_by_hand() -> None:
    """From 20×20 to 40×10: r = 4, r′ = 1; s = √(65·35), s′ = 40; p = exp(-k·(4·1.1924 - 1))."""
    growth = math.sqrt(65 * 35) / 40
    assert growth == pytest.approx(1.19242, abs=1e-5)
    p = scale_penalty([40.0, 20.0], [10.0, 20.0], (20.0, 20.0), 0.1)
    assert p == pytest.approx([math.exp(-0.1 * (4 * growth - 1)), 1.0])
    assert p[0] == pytest.approx(0.68594, abs=1e-5)


def test_equation_12_by_hand() -> None:
    """On 3×3 cells the Hann window is 1 in the middle and 0 around: s = 0.6·c·q·p, plus 0.4 in the
    middle.
    """
    confidence = np.array([[0.5, 0, 0], [0, 0.25, 0], [0, 0, 1.0]])
    penalty = np.array([[1.0, 1, 1], [1, 0.8, 1], [1, 1, 0.5]])
    expected = [[0.3, 0, 0], [0, 0.6 * 0.2 + 0.4, 0], [0, 0, 0.3]]
    assert penalised_score(confidence, penalty, 0.4) == pytest.approx(np.array(expected))


def maps(width: float, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat score, offsets of a centred box at every cell, and logits of q = 1/2."""
    half = np.array([width, height, width, height]) / 2
    offsets = np.tile(half[:, None, None], (1, 25, 25))
    return np.full((25, 25), 0.2), offsets, np.zeros((25, 25))


def test_topn_by_hand() -> None:
    """Two cells in row 12 with boxes at 127+8 and 127+16: the mean box is 12 crop px to the
    right. A 40×40 target has s_z = 80, scale 127/80: 63.5 crop px.
    """
    cls, ltrb, loc = maps(64, 64)
    cls[12, 13], cls[12, 14] = 1.0, 0.9
    state = State((100.0, 50.0), (40.0, 40.0), (640, 480))
    result = topn(cls, ltrb, loc, state, n=2, penalty_k=0.0, window=0.0, size_lr=0.5)
    assert state.scale == pytest.approx(127 / 80)
    rate = 0.5 * 0.95
    size = (1 - rate) * 40 + rate * 64 * 80 / 127
    centre = 100 + 12 * 80 / 127
    assert result.box == pytest.approx([centre - size / 2, 50 - size / 2, size, size])
    assert result.score == pytest.approx(0.475)
    assert result.state.centre == pytest.approx((centre, 50.0))


def test_topn_uses_the_box_not_the_cell() -> None:
    cls, ltrb, loc = maps(60, 60)
    cls[12, 12] = 1.0
    ltrb[:, 12, 12] = (20, 30, 40, 30)  # centre 10 px right of the cell
    result = topn(cls, ltrb, loc, State((0.0, 0.0), (127 / 2, 127 / 2), (640, 480)), n=1)
    assert result.state.centre == pytest.approx((10.0, 0.0))


def cubic(values: np.ndarray) -> np.ndarray:
    """25×25 cells as 193×193, by Keys' cubic with a = −3/4 at half-pixel centres."""
    weights = np.zeros((193, 25))
    for index in range(193):
        at = (index + 0.5) * 25 / 193 - 0.5
        for cell in range(math.floor(at) - 1, math.floor(at) + 3):
            d = abs(at - cell)
            near = 1.25 * d**3 - 2.25 * d**2 + 1
            far = -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            weights[index, min(max(cell, 0), 24)] += near if d <= 1 else far
    return np.asarray(weights @ values @ weights.T)


def step_by_step(
    cls: np.ndarray,
    ltrb: np.ndarray,
    loc: np.ndarray,
    box: list[float],
    image: tuple[int, int],
    penalty_k: float,
    window: float,
    rate: float,
) -> list[float]:
    """The box that the public tracker gives after its first, by what its code does."""
    x, y, w, h = box
    middle = (x + (w - 1) / 2, y + (h - 1) / 2)

    def padded(w: float, h: float) -> float:
        return math.sqrt((w + (w + h) / 2) * (h + (w + h) / 2))

    scale = 127 / padded(w, h)

    def penalty(wide: float, tall: float) -> float:
        size = padded(wide, tall) / padded(w * scale, h * scale)
        shape = (w / h) / (wide / tall)
        return math.exp(-(max(size, 1 / size) * max(shape, 1 / shape) - 1) * penalty_k)

    left, top, right, bottom = ltrb
    plain, windowed = np.zeros((25, 25)), np.zeros((25, 25))
    hann = [(1 - math.cos(2 * math.pi * cell / 24)) / 2 for cell in range(25)]
    for i, j in np.ndindex(25, 25):
        quality = (loc[i, j] - loc.min()) / (loc.max() - loc.min())
        own = penalty(left[i, j] + right[i, j], top[i, j] + bottom[i, j])
        plain[i, j] = own * cls[i, j] * quality
        windowed[i, j] = plain[i, j] * (1 - window) + hann[i] * hann[j] * window
    row, column = np.unravel_index(cubic(windowed).argmax(), (193, 193))
    cell = [min(round(int(index) * 25 / 193), 24) for index in (row, column)]
    room = (column, row, 193 - column, 193 - row)
    reach = []
    for side, most in zip(ltrb, room, strict=True):
        reach.append(int(min(min(max(side[cell[0], cell[1]], 12), 55), most) / 2))
    best, fine = -math.inf, cubic(plain)
    for i in range(row - reach[1], row + reach[3] + 1):
        for j in range(column - reach[0], column + reach[2] + 1):
            if fine[i, j] > best:
                best, found = fine[i, j], (i, j)
    wide, tall = (
        float((cubic(a) + cubic(b))[found]) / scale for a, b in ((left, right), (top, bottom))
    )
    moved = penalty(wide, tall) * float(cubic(cls)[found]) * rate
    centre = []
    for old, index, most in zip(middle, reversed(found), image, strict=True):
        centre.append(min(max(old + (index + 31 - 127) / scale, 0), most))
    size = []
    for old, new, most in zip((w, h), (wide, tall), image, strict=True):
        size.append(min(max((1 - moved) * old + moved * new, 0), most))
    return [centre[0] - size[0] / 2, centre[1] - size[1] / 2, *size]


@pytest.mark.parametrize("seed", range(12))
def test_release_matches_a_second_implementation(seed: int) -> None:
    """Random maps of broad hills, images and boxes; the hyper-parameters of OTB100 and GOT-10k."""
    rng = np.random.default_rng(seed)

    def hills(low: float, high: float) -> np.ndarray:
        coarse = rng.uniform(low, high, (25, 25)).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(coarse, (5, 5), 0.8), np.float64)

    cls, ltrb, loc = hills(0, 1), np.stack([hills(8, 120) for _ in range(4)]), hills(-4, 4)
    image = (int(rng.integers(200, 900)), int(rng.integers(200, 700)))
    w, h = rng.uniform(12, 150, 2)
    box = [*(rng.uniform(0, 1, 2) * (np.array(image) - [w, h])), w, h]
    rates = ((0.2, 0.45, 0.35), (0.06, 0.1, 0.7))[seed % 2]
    expected = step_by_step(cls, ltrb, loc, box, image, *rates)
    result = release(cls, ltrb, loc, start(np.array(box), image), *rates)
    assert result.box == pytest.approx(expected, abs=1e-3)


@pytest.mark.skipif(not CASES.exists(), reason="the reference vectors are not here")
def test_release_matches_the_public_code() -> None:
    data = np.load(CASES)
    for i in range(len(data["box"])):
        logits = data["cls"][i, 0].astype(np.float64)
        cls = 1 / (1 + np.exp(logits[0] - logits[1]))
        height, width = (int(side) for side in data["image_hw"][i])
        parameters = [float(data[name][i]) for name in ("penalty_k", "window_lr", "lr")]
        state = start(data["init_box"][i], (width, height))
        result = release(cls, data["loc"][i, 0], data["cen"][i, 0, 0], state, *parameters)
        assert result.box == pytest.approx(data["box"][i], abs=1e-3)
        assert 0 <= result.score <= 1


def test_release_works_for_a_peak_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public code fails with an IndexError when the coarse peak is on rows or columns 190 to
    192.
    """
    cls, ltrb, loc = maps(50, 30)
    state = State((320.0, 240.0), (50.0, 30.0), (640, 480))
    original = postprocess._peak
    for row, column in np.ndindex(193, 193):
        rows, columns = postprocess._region(row, column, ltrb)
        assert 0 <= rows.start <= row < rows.stop
        assert 0 <= columns.start <= column < columns.stop
    peaks: list[tuple[int, int]] = []

    def first(values: np.ndarray) -> tuple[int, int]:
        return peaks.pop() if peaks else original(values)

    monkeypatch.setattr(postprocess, "_peak", first)
    for corner in ((0, 0), (0, 192), (190, 3), (191, 191), (192, 192)):
        peaks.append(corner)
        assert np.isfinite(release(cls, ltrb, loc, state).box).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1, 3000), st.floats(1, 3000), st.integers(1, 625))
def test_boxes_stay_finite_and_in_reach(seed: int, w: float, h: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    cls, loc = rng.uniform(size=(25, 25)), rng.normal(0, 200, (25, 25))
    ltrb = np.exp(rng.uniform(-8, 8, (4, 25, 25)))
    state = State((rng.uniform(0, 1280), rng.uniform(0, 720)), (w, h), (1280, 720))
    for result in (topn(cls, ltrb, loc, state, n), release(cls, ltrb, loc, state)):
        assert np.isfinite(result.box).all()
        assert 0 <= result.score <= 1
        assert result.box[2] <= 1280
        assert result.box[3] <= 720
        assert 0 <= result.state.centre[0] <= 1280.5
    assert release(cls, ltrb, np.zeros((25, 25)), state).score == 0
