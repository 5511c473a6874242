"""Task alignment, the claim of the paper's Fig. 12, as numbers: does a higher target confidence mean a better box?

Spearman's rank correlation between target confidence c·q and the IoU of the box that goes with it, (a) over the cells
of search crops cut around the truth, where nothing but the network plays a part, and (b) over tracked frames, where
post-processing plays one too, up to the first frame in which the target is lost.
"""

from collections.abc import Sequence as Many
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from siamla.benchmark.metrics import overlap
from siamla.benchmark.onepass import read_image
from siamla.data.crop import crop, mean_colour, to_crop, to_index
from siamla.errors import UserError
from siamla.geometry import Array, centre, padded_size
from siamla.grid import SCORE, SEARCH, START, STRIDE, TEMPLATE
from siamla.model.siamla import SiamLA
from siamla.sequence import Sequence
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker

FEWEST = 5  # points below which a rank correlation is left out
SHIFT = 0.25  # of the crop's side, the largest shift of its centre along each axis
CENTRE_FRACTION = 0.4  # siamcar.md §2.3
SCALE = 0.1  # largest change of the logarithm of the crop's side

Image = NDArray[np.uint8]


class CropAlignment(NamedTuple):
    """One search crop; NaN where a correlation is not defined."""

    inside: float
    """Rank correlation of c·q and IoU over the cells inside the true box, the positives of LALS."""
    cells: float
    """The same over all cells."""
    chosen: float
    """IoU of the box at the cell of the highest c·q."""
    best: float
    """The highest IoU of all cells' boxes: best - chosen is what misalignment costs."""
    middle: float
    """IoU of the box at the cell nearest to the truth's centre: how good boxes are, whatever the confidence says."""
    border: float
    """Mean IoU of the boxes at boundary cells, those inside the true box and outside its central 40 %."""


def rank_correlation(score: Array, quality: Array) -> float:
    """Spearman's correlation of two columns (N,), ties sharing their mean rank; NaN for < 5 points or a constant."""
    if len(score) < FEWEST or np.ptp(score) == 0 or np.ptp(quality) == 0:
        return float("nan")
    return float(spearmanr(score, quality).statistic)


def crop_alignment(confidence: Array, ltrb: Array, box: Array) -> CropAlignment:
    """Alignment on one search crop from its maps: confidence c·q (25, 25) and offsets (4, 25, 25) in crop pixels.

    `box` (4,) is the truth, xywh in the crop's pixel-index coordinates (siamla.data.crop), those of the grid 31 + 8·i.
    """
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    left, top, right, bottom = np.asarray(ltrb, np.float64)
    boxes = np.stack([column - left, row - top, left + right, top + bottom], axis=-1).reshape(-1, 4)
    quality = overlap(np.broadcast_to(box, boxes.shape), boxes)
    x, y, w, h = box
    offset = np.stack([np.abs(column - x - w / 2) / w, np.abs(row - y - h / 2) / h]).reshape(2, -1)
    inside, central = (offset < 0.5).all(0), (offset < CENTRE_FRACTION / 2).all(0)
    border = quality[inside & ~central]
    distance = np.hypot(offset[0] * w, offset[1] * h)
    score = np.asarray(confidence, np.float64).ravel()
    return CropAlignment(
        rank_correlation(score[inside], quality[inside]),
        rank_correlation(score, quality),
        float(quality[score.argmax()]),
        float(quality.max()),
        float(quality[distance.argmin()]),
        float(border.mean()) if len(border) else float("nan"),
    )


def tracked_alignment(scores: Array, overlaps: Array) -> float:
    """Rank correlation of a track's scores (N,) and IoUs (N,), NaN where the truth is unknown, while IoU > 0."""
    lost = np.flatnonzero(overlaps == 0)
    until = lost[0] if len(lost) else len(overlaps)
    scores, overlaps = scores[:until], overlaps[:until]
    known = np.isfinite(overlaps)
    return rank_correlation(scores[known], overlaps[known])


def _known(sequence: Sequence) -> NDArray[np.bool_]:
    """The frames (N,) whose target is visible and has a box."""
    return np.asarray(sequence.visible & sequence.valid, bool)


def _template(image: Image, box: Array) -> Image:
    side = float(padded_size(box[2], box[3]))
    return crop(image, centre(box), side, TEMPLATE, mean_colour(image))


def _search(image: Image, box: Array, rng: np.random.Generator) -> tuple[Image, Array]:
    """A search crop shifted and scaled at random, and the box in its pixel-index coordinates."""
    side = float(padded_size(box[2], box[3])) * SEARCH / TEMPLATE * float(np.exp(rng.uniform(-SCALE, SCALE)))
    middle = centre(box) + rng.uniform(-SHIFT, SHIFT, 2) * side
    pixels = crop(image, middle, side, SEARCH, mean_colour(image))
    return pixels, to_index(to_crop(box, middle, side, SEARCH))


def on_crops(tracker: SiamTracker, sequence: Sequence, crops: int, seed: Many[int]) -> list[CropAlignment]:
    """Alignment on `crops` search crops around the truth, of frames evenly spaced after the first (the template's)."""
    chosen = np.flatnonzero(_known(sequence))
    chosen = chosen[chosen > 0]
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(crops, len(chosen))).round().astype(int))]
    rng = np.random.default_rng(seed)
    pairs = [_search(read_image(sequence.frames[index]), sequence.boxes[index], rng) for index in chosen]
    state = tracker.network.embed(_template(read_image(sequence.frames[0]), sequence.boxes[0])[None])
    found = []
    for pixels, box in pairs:
        maps = tracker.network.search(state, pixels[None])
        confidence = maps.cls[0].astype(np.float64) / (1 + np.exp(-maps.loc[0].astype(np.float64)))
        found.append(crop_alignment(confidence, maps.ltrb[0].astype(np.float64), box))
    return found


def track_scores(tracker: SiamTracker, sequence: Sequence) -> tuple[Array, Array]:
    """The tracker's scores (N - 1,) and IoUs (N - 1,) after the first frame; IoU is NaN where the truth is unknown."""
    tracker.init(read_image(sequence.frames[0]), sequence.boxes[0])
    boxes, scores = [], []
    for path in sequence.frames[1:]:
        boxes.append(tracker.update(read_image(path)))
        scores.append(tracker.score)
    if not boxes:
        return np.empty(0), np.empty(0)
    found = np.where(_known(sequence)[1:], overlap(sequence.boxes[1:], np.array(boxes)), np.nan)
    return np.array(scores), found


def _mean(values: list[float]) -> float:
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")


def alignment(
    model: SiamLA, sequences: Many[Sequence], settings: TrackerSettings, seed: int, crops: int = 20
) -> dict[str, float]:
    """How well the target confidence ranks the boxes of a model, on sequences with boxes for all frames.

    Args:
        settings: how frames are tracked; crops use its precision alone.
        seed: draws the crops' shifts (up to a quarter of the crop along each axis) and scales (up to 10 %).
        crops: search crops a sequence.

    Returns "inside" and "cells", the mean rank correlations over crops (see CropAlignment), "chosen", "best", "middle"
    and "border", mean IoUs over crops; "tracked", the mean rank correlation over sequences while IoU > 0, and
    "overlap", the mean IoU of all tracked frames with known truth, averaged over sequences; "crops" and "sequences",
    how many of each had a defined "inside" or "tracked". Means leave undefined values out and are NaN when all are.
    UserError where boxes are missing or nothing is given.
    """
    if not sequences:
        raise UserError("alignment: no sequences")
    for sequence in sequences:
        if len(sequence.boxes) != len(sequence):
            raise UserError(
                f"{sequence.name}: {len(sequence.boxes)} boxes for {len(sequence)} frames; alignment needs all"
            )
    tracker = SiamTracker(model, settings)
    on_crop: list[CropAlignment] = []
    tracked, overlaps = [], []
    for index, sequence in enumerate(sequences):
        on_crop += on_crops(tracker, sequence, crops, (seed, index))
        scores, quality = track_scores(tracker, sequence)
        tracked.append(tracked_alignment(scores, quality))
        overlaps.append(_mean(quality.tolist()))
    columns = {field: [float(getattr(item, field)) for item in on_crop] for field in CropAlignment._fields}
    return {
        **{field: _mean(values) for field, values in columns.items()},
        "tracked": _mean(tracked),
        "overlap": _mean(overlaps),
        "crops": float(np.isfinite(columns["inside"]).sum()),
        "sequences": float(np.isfinite(tracked).sum()),
    }
