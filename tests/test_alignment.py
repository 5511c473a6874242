"""Task alignment on hand-made maps, on tracks, and of whole models."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import moving_square
from tiny import MODEL

from siamla.benchmark.alignment import (
    CropAlignment,
    crop_alignment,
    cut,
    measure,
    rank_correlation,
    summary,
)
from siamla.errors import UserError
from siamla.model.siamla import build_model
from siamla.sequence import Sequence
from siamla.tracker.settings import TrackerSettings

FP32 = TrackerSettings(precision="fp32")
INDEX = np.arange(625.0).reshape(25, 25)  # of cells in reading order


def test_rank_correlation() -> None:
    five = np.arange(5.0)
    assert rank_correlation(five, five**3) == pytest.approx(1)
    assert rank_correlation(five, -five) == pytest.approx(-1)
    # Ranks 1 2 3 4 5 against 2 1 4 3 5: 1 - 6·(1+1+1+1+0)/(5·24) = 0.8
    assert rank_correlation(five, np.array([1.0, 0, 3, 2, 4])) == pytest.approx(0.8)
    assert np.isnan(rank_correlation(five[:4], five[:4]))
    assert np.isnan(rank_correlation(five, np.ones(5)))


def shrinking(box: np.ndarray) -> np.ndarray:
    """Offsets (4, 25, 25): the box at cell k is the truth, its width cut to 1/(1+k/625), which is
    its IoU.
    """
    row, column = np.mgrid[:25, :25] * 8.0 + 31
    x, y, w, h = box
    return np.stack([column - x, row - y, x + w / (1 + INDEX / 625) - column, y + h - row])


def test_crop_alignment_of_boxes_that_shrink() -> None:
    """Their IoU falls with k."""
    truth = np.array([95.0, 95, 64, 64])
    rising = (INDEX + 1) / 1000
    good = crop_alignment(1 - rising, shrinking(truth), truth)
    bad = crop_alignment(rising, shrinking(truth), truth)
    assert (good.inside, good.cells) == pytest.approx((1, 1))
    assert (bad.inside, bad.cells) == pytest.approx((-1, -1))
    assert (good.chosen, good.best) == pytest.approx((1, 1))
    assert bad.chosen == pytest.approx(1 / (1 + 624 / 625))


def test_only_cells_inside_the_box_are_inside() -> None:
    """Cells at 119, 127, 135 lie in (118, 136): 9 cells. Ranks agree there and are reversed
    everywhere else.
    """
    truth = np.array([118.0, 118, 18, 18])
    score = INDEX / 1000
    score[11:14, 11:14] = 1 - score[11:14, 11:14]
    alignment = crop_alignment(score, shrinking(truth), truth)
    assert alignment.inside == pytest.approx(1)
    assert alignment.cells < -0.9
    # no cell at all inside
    empty = crop_alignment(score, shrinking(truth), np.array([120.0, 120, 6, 6]))
    assert np.isnan(empty.inside)
    assert np.isfinite(empty.cells)
    # Boundary cells: the nine but for the middle one (12, 12), number 12·25 + 12 = 312
    numbers = INDEX[11:14, 11:14].ravel()
    ious = 1 / (1 + numbers / 625)
    assert alignment.middle == pytest.approx(ious[4])
    assert alignment.border == pytest.approx(ious[numbers != 312].mean())
    assert np.isnan(empty.border)


def test_a_summary_by_hand() -> None:
    """Chosen .05, .5 and .7: one of three is lost; what is not defined is left out."""
    nan = float("nan")
    crops = [CropAlignment(nan, nan, chosen, 0.8, 0.6, nan) for chosen in (0.05, 0.5, 0.7)]
    crops[0] = crops[0]._replace(inside=0.2)
    means = {"chosen": 1.25 / 3, "lost": 1 / 3, "rest": 0.6, "best": 0.8, "middle": 0.6}
    unknown = {"cells": None, "border": None}
    assert summary(crops) == pytest.approx({**means, "inside": 0.2, **unknown})
    assert summary([crops[0]])["rest"] is None


@pytest.fixture
def video(tmp_path: Path) -> Sequence:
    """8 frames; the target is hidden in frame 4."""
    return replace(moving_square(tmp_path, "square", 8), visible=np.arange(8) != 4)


def test_alignment_of_a_model(video: Sequence) -> None:
    model = build_model(MODEL, seed=0)
    first, again, other = (measure(model, [video], 4, seed, FP32)["square"] for seed in (3, 3, 4))
    assert first == again
    assert other["cells"] != first["cells"]
    numbers = {name: value for name, value in first.items() if value is not None}
    assert -1 <= numbers["inside"] <= 1
    assert 0 <= numbers["chosen"] <= numbers["best"] <= 1


def test_crops_are_those_of_visible_frames(video: Sequence) -> None:
    part = cut(video, 20, (0,))
    assert part.searches.shape == (6, 255, 255, 3)  # 8 frames without the first and the hidden one
    assert part.template.shape == (127, 127, 3)
    centres = part.boxes[:, :2] + part.boxes[:, 2:] / 2
    assert (np.abs(centres - 127) <= 0.25 * 255 + 1).all()


def test_missing_boxes_are_refused(video: Sequence) -> None:
    hidden = Sequence("hidden", video.frames, video.boxes[:1], video.visible[:1])
    with pytest.raises(UserError, match="hidden: 1 boxes for 8 frames"):
        cut(hidden, 4, (0,))
    one = Sequence("one", video.frames[:1], video.boxes[:1], video.visible[:1])
    with pytest.raises(UserError, match="no frame after a first one"):
        measure(build_model(MODEL, seed=0), [one], 4, 0, FP32)
