"""From score maps to the next box: the paper's `topn` (eq. 12–13) and the public SiamCAR code's
`release`.

Maps are (25, 25) with rows first, offsets (4, 25, 25) l, t, r, b in crop pixels. The crop has 255
px, is centred on the target of the last frame, and has `State.scale` pixels for one of the image.
Cell i lies on the crop's pixel index 31 + 8·i and the middle on 127, whether pixels are counted by
index or by interval: only differences to the middle are used.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from siamla.geometry import Array, from_centre, padded_size
from siamla.geometry import centre as box_centre
from siamla.grid import MIDDLE, SCORE, START, STRIDE, TEMPLATE

UPSAMPLED = (SCORE - 1) * STRIDE + 1  # 193
REGION = (12, 55)  # int(0.1·127), int(0.44·127): limits of `release`'s region
MIN_SIZE = 1.0  # image pixels; a box of no area could never grow again
TINY = 1e-3  # crop pixels

Map = NDArray[np.floating]


class State(NamedTuple):
    """The target in the last frame, in image pixels."""

    centre: tuple[float, float]  # x, y, continuous
    size: tuple[float, float]  # w, h
    image_size: tuple[int, int]  # width, height
    widen: float = 1.0  # times the usual side that the search crop spans

    @property
    def scale(self) -> float:
        """Crop pixels of one image pixel: 127 / s_z, s_z = √((w+p)(h+p)), p = (w+h)/2; fewer
        where the crop is widened.
        """
        return float(TEMPLATE / (padded_size(*self.size) * self.widen))

    @property
    def size_in_crop(self) -> tuple[float, float]:
        """w, h in crop pixels."""
        return self.size[0] * self.scale, self.size[1] * self.scale


class Result(NamedTuple):
    """What a frame gives."""

    box: Array  # (4,) xywh in image pixels, continuous
    score: float  # target confidence in [0, 1]
    state: State  # for the next frame


def start(box: ArrayLike, image_size: tuple[int, int]) -> State:
    """The state of a first frame whose target is `box` (xywh); `image_size` is (width, height)."""
    box = np.asarray(box, np.float64)
    x, y = box_centre(box)
    return State((float(x), float(y)), (float(box[2]), float(box[3])), image_size)


def scale_penalty(w: ArrayLike, h: ArrayLike, size: tuple[float, float], k: float) -> Array:
    """Eq. 13: p = exp(-k·(max(r/r′, r′/r)·max(s/s′, s′/s) - 1)), r = w/h the ratio and s the padded
    size. `size` is the last frame's. The print lacks the sign and the -1 (SiamCAR has both).
    """
    w, h = np.asarray(w, np.float64), np.asarray(h, np.float64)
    ratio = (w / h) / (size[0] / size[1])
    growth = padded_size(w, h) / padded_size(*size)
    return np.exp(-k * (np.maximum(ratio, 1 / ratio) * np.maximum(growth, 1 / growth) - 1))


def penalised_score(confidence: Map, penalty: Map, window: float) -> Array:
    """Eq. 12: s = (1-w)·c·q·p + w·W for `confidence` c·q; W: a Hann window of the map's side."""
    hann = _hann(confidence.shape[0])
    return np.asarray((1 - window) * confidence * penalty + window * hann, np.float64)


@cache
def _hann(side: int) -> Array:
    hann = np.hanning(side)
    return np.outer(hann, hann)


def topn(
    cls: Map,
    ltrb: Map,
    loc: Map,
    state: State,
    n: int = 3,
    penalty_k: float = 0.04,
    window: float = 0.4,
    size_lr: float = 0.33,
) -> Result:
    """The paper's post-processing: the mean of the boxes at the n best cells by eq. 12, of `cls`
    (25, 25) c in [0, 1], `ltrb` (4, 25, 25) offsets in crop pixels and `loc` (25, 25) the logit of
    q.

    The centre stays inside the image; the size moves by size_lr·p·c, as in the baseline, between
    MIN_SIZE and the image's. The score is the mean c·q. Equal scores are taken in reading order.
    """
    logit = np.clip(np.asarray(loc, np.float64), -60, 60)
    confidence = np.asarray(cls, np.float64) / (1 + np.exp(-logit))
    left, top, right, bottom = np.asarray(ltrb, np.float64)
    width, height = left + right, top + bottom
    penalty = scale_penalty(width, height, state.size_in_crop, penalty_k)
    best = np.argsort(-penalised_score(confidence, penalty, window), axis=None, kind="stable")[:n]
    row, column = np.unravel_index(best, cls.shape)
    cell = row, column
    dx = START + STRIDE * column + (right - left)[cell] / 2 - MIDDLE
    dy = START + STRIDE * row + (bottom - top)[cell] / 2 - MIDDLE
    x = state.centre[0] + dx.mean() / state.scale
    y = state.centre[1] + dy.mean() / state.scale
    rate = size_lr * float((penalty * cls)[cell].mean())
    w = (1 - rate) * state.size[0] + rate * width[cell].mean() / state.scale
    h = (1 - rate) * state.size[1] + rate * height[cell].mean() / state.scale
    across, down = state.image_size
    centre = (float(np.clip(x, 0, across)), float(np.clip(y, 0, down)))
    size = (float(np.clip(w, MIN_SIZE, across)), float(np.clip(h, MIN_SIZE, down)))
    after = State(centre, size, state.image_size)
    return Result(from_centre(centre, size), float(confidence[cell].mean()), after)


def release(
    cls: Map,
    ltrb: Map,
    loc: Map,
    state: State,
    penalty_k: float = 0.04,
    window: float = 0.4,
    size_lr: float = 0.33,
) -> Result:
    """The public SiamCAR code's two-stage search on bicubically upsampled maps, to the digit. Its
    crops are siamla.data.crop.whole_pixels.

    Arguments as for `topn`; `loc` is min-max normalised over the frame instead of squashed. Kept as
    they are:
    - upsampling 25 cells to 193 px makes a cell 7.72 px wide where 8 are meant: displacements are
      3.5 % short;
    - the regression never moves the centre;
    - the size's own penalty compares a size in image pixels with the last one in crop pixels;
    - the box is half a pixel up and left: the centre starts as x + (w-1)/2, an index, and is read
      back as x + w/2;
    - width and height have no lower limit.

    Repaired: a peak on the last rows or columns (190 to 192), where that code fails with an
    IndexError, takes the last cell. Flat `loc` maps give a normalised map of zeros, and extents
    that bicubic overshoot made negative are taken as TINY, where that code goes on with NaN. The
    score is c·(normalised loc) at the result.
    """
    cls, ltrb, loc = (np.asarray(values, np.float32) for values in (cls, ltrb, loc))
    spread = float(loc.max() - loc.min())
    quality = (loc - loc.min()) / (spread if spread > 0 else 1.0)
    last = state.size_in_crop
    penalty = scale_penalty(ltrb[0] + ltrb[2], ltrb[1] + ltrb[3], last, penalty_k)
    confidence = cls * quality
    windowed = penalised_score(confidence, penalty, window)
    row, column = _two_stages(windowed, penalty * confidence, ltrb)
    left, top, right, bottom = (float(_upsample(side)[row, column]) for side in ltrb)
    w, h = max(left + right, TINY) / state.scale, max(top + bottom, TINY) / state.scale
    own_penalty = float(scale_penalty(w, h, last, penalty_k))
    rate = own_penalty * float(_upsample(cls)[row, column]) * size_lr
    across, down = state.image_size
    x = float(np.clip(state.centre[0] - 0.5 + (column + START - MIDDLE) / state.scale, 0, across))
    y = float(np.clip(state.centre[1] - 0.5 + (row + START - MIDDLE) / state.scale, 0, down))
    w = float(np.clip((1 - rate) * state.size[0] + rate * w, 0, across))
    h = float(np.clip((1 - rate) * state.size[1] + rate * h, 0, down))
    score = float(np.clip(_upsample(confidence)[row, column], 0, 1))
    after = State((x + 0.5, y + 0.5), (w, h), state.image_size)
    return Result(from_centre((x, y), (w, h)), score, after)


def _upsample(values: Map) -> Map:
    return np.asarray(cv2.resize(values, (UPSAMPLED, UPSAMPLED), interpolation=cv2.INTER_CUBIC))


def _peak(values: Map) -> tuple[int, int]:
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return int(row), int(column)


def _two_stages(windowed: Map, plain: Map, ltrb: Map) -> tuple[int, int]:
    """Row and column of the best plain score around the best windowed score, both upsampled."""
    region = _region(*_peak(_upsample(windowed)), ltrb)
    plain = _upsample(plain)
    inside = np.zeros_like(plain)
    inside[region] = plain[region]
    return _peak(inside)


def _region(row: int, column: int, ltrb: Map) -> tuple[slice, slice]:
    """Rows and columns around the peak: half the nearest cell's box, limited to REGION."""
    cell = [min(round(index * SCORE / UPSAMPLED), SCORE - 1) for index in (row, column)]
    extents = np.clip(ltrb[:, cell[0], cell[1]], *REGION)
    room = (column, row, UPSAMPLED - column, UPSAMPLED - row)
    left, top, right, bottom = (
        int(min(float(e), r) / 2) for e, r in zip(extents, room, strict=True)
    )
    return slice(row - top, row + bottom + 1), slice(column - left, column + right + 1)
