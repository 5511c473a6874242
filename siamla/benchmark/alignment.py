"""Task alignment, the claim of the paper's Fig. 12, as numbers, on search crops cut around the
truth: does a higher target confidence mean a better box? The box that the network would choose, how
often it is not on the target, how good boxes are whatever the confidence says, and Spearman's rank
correlation between c·q and IoU.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Many
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from siamla.data.crop import crop, mean_colour, to_crop, to_index
from siamla.data.images import read_image
from siamla.engine.engines import Network, prepare, resolve_engine
from siamla.errors import UserError
from siamla.geometry import Array, centre, iou, padded_size
from siamla.grid import SCORE, SEARCH, START, STRIDE, TEMPLATE
from siamla.model.siamla import SiamLA
from siamla.sequence import Sequence
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import tracking_hardware

FEWEST = 5  # points below which a rank correlation is left out
SHIFT = 0.25  # of the crop's side, the largest shift of its centre along each axis
# of a box's sides: where SiamCAR's public code has its positives (loss_car.py)
CENTRE_FRACTION = 0.4
SCALE = 0.1  # largest change of the logarithm of the crop's side
LOST = 0.1  # IoU below which the chosen box is not on the target
ROWS = 32  # crops at once on a GPU; on a CPU one alone is as fast

Image = NDArray[np.uint8]


class Cut(NamedTuple):
    """What is cut out of one sequence."""

    template: Image  # (127, 127, 3) BGR, of the first frame
    searches: Image  # (N, 255, 255, 3) BGR
    boxes: Array  # (N, 4) the truth, xywh in the crops' pixel-index coordinates


class CropAlignment(NamedTuple):
    """One search crop; NaN where a correlation is not defined."""

    inside: float  # rank correlation of c·q and IoU over cells in the true box, LALS's positives
    cells: float  # the same over all cells
    chosen: float  # IoU of the box at the cell of the highest c·q
    best: float  # the highest IoU of all boxes: best - chosen is what misalignment costs
    middle: float  # IoU of the box at the cell nearest to the truth's centre
    border: float  # mean IoU at cells inside the true box and outside its central 40 %


def rank_correlation(score: Array, quality: Array) -> float:
    """Spearman's correlation of two columns (N,); NaN for < 5 points or a constant."""
    if len(score) < FEWEST or np.ptp(score) == 0 or np.ptp(quality) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(score), rankdata(quality))[0, 1])


def crop_alignment(confidence: Array, ltrb: Array, box: Array) -> CropAlignment:
    """Alignment on one search crop: confidence c·q (25, 25), offsets (4, 25, 25) in crop pixels,
    and the true `box` (4,), xywh in the crop's pixel-index coordinates (siamla.data.crop).
    """
    row, column = np.mgrid[:SCORE, :SCORE] * STRIDE + START
    left, top, right, bottom = np.asarray(ltrb, np.float64)
    boxes = np.stack([column - left, row - top, left + right, top + bottom], axis=-1).reshape(-1, 4)
    quality = iou(box, boxes)
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


def cut(sequence: Sequence, crops: int, seed: Many[int]) -> Cut:
    """`crops` search crops around the truth, of frames evenly spaced after the first, the
    template's; fewer where the target is visible in fewer. seed: draws their shifts and scales.
    """
    if len(sequence.boxes) != len(sequence):
        raise UserError(f"{sequence.name}: {len(sequence.boxes)} boxes for {len(sequence)} frames")
    chosen = np.flatnonzero(np.asarray(sequence.visible & sequence.valid, bool))
    chosen = chosen[chosen > 0]
    evenly = np.linspace(0, len(chosen) - 1, min(crops, len(chosen)))
    chosen = chosen[np.unique(evenly.round().astype(int))]
    rng = np.random.default_rng(seed)
    sides = padded_size(sequence.boxes[:, 2], sequence.boxes[:, 3]).tolist()
    searches = np.empty((len(chosen), SEARCH, SEARCH, 3), np.uint8)
    boxes = np.empty((len(chosen), 4))
    for number, index in enumerate(chosen):
        image, box = read_image(sequence.frames[index]), sequence.boxes[index]
        side = sides[index] * SEARCH / TEMPLATE * float(np.exp(rng.uniform(-SCALE, SCALE)))
        middle = centre(box) + rng.uniform(-SHIFT, SHIFT, 2) * side
        searches[number] = crop(image, middle, side, SEARCH, mean_colour(image))
        boxes[number] = to_index(to_crop(box, middle, side, SEARCH))
    image, middle = read_image(sequence.frames[0]), centre(sequence.boxes[0])
    return Cut(crop(image, middle, sides[0], TEMPLATE, mean_colour(image)), searches, boxes)


def on_crops(network: Network, part: Cut) -> list[CropAlignment]:
    """The alignment on each crop of a sequence."""
    if not len(part.searches):
        return []
    maps = network.search(network.embed(part.template[None]), part.searches)
    confidence = maps.cls.astype(np.float64) / (1 + np.exp(-maps.loc.astype(np.float64)))
    offsets = maps.ltrb.astype(np.float64)
    return list(map(crop_alignment, confidence, offsets, part.boxes))


def _mean(values: Iterable[float]) -> float | None:
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else None


def summary(crops: Many[CropAlignment]) -> dict[str, float | None]:
    """Of some crops "chosen", the mean IoU of the chosen box; "lost", the share in which it is
    below .1; "rest", the mean of the others; and the means of all other fields. None where nothing
    is defined.
    """
    columns = {
        field: np.array(values)
        for field, values in zip(CropAlignment._fields, zip(*crops, strict=True), strict=True)
    }
    chosen = columns["chosen"]
    columns |= {"lost": chosen < LOST, "rest": chosen[chosen >= LOST]}
    return {field: _mean(values.tolist()) for field, values in columns.items()}


def measure(
    model: SiamLA, sequences: Iterable[Sequence], crops: int, seed: int, settings: TrackerSettings
) -> dict[str, dict[str, float | None]]:
    """Sequence → `summary` of so many crops of it, drawn by seed and the sequence's place;
    UserError where there is no crop at all. Of settings precision and engine are read.
    """
    hardware = tracking_hardware(settings)
    rows = 1 if hardware.torch_device.type == "cpu" else ROWS
    network = prepare(resolve_engine(settings.engine, hardware.torch_device), model, hardware, rows)
    summaries = {}
    for number, sequence in enumerate(sequences):
        if results := on_crops(network, cut(sequence, crops, (seed, number))):
            summaries[sequence.name] = summary(results)
    if not summaries:
        raise UserError("alignment: no frame after a first one whose target is visible")
    return summaries
