"""Label assignment against a plain reading of the rule, cell by cell."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamla.training.settings import Labels
from siamla.training.targets import assign, grid

COORDINATE = st.floats(-40, 260, width=32)
SIDE = st.floats(1, 220, width=32)


def test_grid_is_centred_on_the_crop() -> None:
    assert grid().tolist() == [31 + 8 * i for i in range(25)]
    assert grid()[12] == 127


def test_positives_of_a_square_target() -> None:
    """SiamCAR's public code: the central 40 % of a centred 64 px square; |x - 127| < 12.8 holds for
    119, 127, 135.
    """
    targets = assign(torch.tensor([[95.0, 95.0, 64.0, 64.0]]), Labels(lals=True))
    middle = (11, 12, 13)
    assert targets.centre[0].nonzero().tolist() == [[r, c] for r in middle for c in middle]
    # |x - 127| < 32: 103, …, 151; 95 and 159 are on the edge
    assert int(targets.boundary.sum()) == 7 * 7 - 9
    assert targets.ltrb[0, :, 12, 13].tolist() == [40, 32, 24, 32]
    assert math.isclose(targets.centerness[0, 12, 13], math.sqrt(24 / 40), rel_tol=1e-6)
    assert not assign(torch.tensor([[95.0, 95.0, 64.0, 64.0]]), Labels()).boundary.any()


def brute_force(box: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Centre and boundary maps by SiamCAR's inequalities on l, t, r, b, in fp32 as the cells
    are.
    """
    x, y, w, h = (np.float32(value) for value in box)
    centre, boundary = np.zeros((25, 25), bool), np.zeros((25, 25), bool)
    distances = {}
    for row in range(25):
        for column in range(25):
            dx = abs(np.float32(31 + 8 * column) - (x + w / 2))
            dy = abs(np.float32(31 + 8 * row) - (y + h / 2))
            distances[row, column] = (dx, dy)
            share = np.float32(labels.centre_fraction)
            centre[row, column] = dx < share * w / 2 and dy < share * h / 2
            boundary[row, column] = dx < w / 2 and dy < h / 2
    if labels.nearest_if_none and not centre.any():
        centre[min(distances, key=lambda cell: distances[cell][0] + distances[cell][1])] = True
    return centre, boundary & ~centre & labels.lals


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(COORDINATE, COORDINATE, SIDE, SIDE), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_assignment_against_every_cell(
    boxes: list[tuple[float, ...]], lals: bool, nearest: bool
) -> None:
    labels = Labels(lals=lals, nearest_if_none=nearest)
    targets = assign(torch.tensor(boxes), labels)
    assert not (targets.centre & targets.boundary).any()
    for i, box in enumerate(boxes):
        centre, boundary = brute_force(np.array(box, np.float32), labels)
        np.testing.assert_array_equal(targets.centre[i].numpy(), centre)
        np.testing.assert_array_equal(targets.boundary[i].numpy(), boundary)
        x, y, w, h = box
        for row, column in ((0, 0), (3, 20), (24, 7)):
            px, py = 31 + 8 * column, 31 + 8 * row
            expected = [px - x, py - y, x + w - px, y + h - py]
            np.testing.assert_allclose(targets.ltrb[i, :, row, column], expected, atol=1e-4)
    inside = (targets.ltrb > 0).all(1)
    assert ((targets.centerness > 0) <= inside).all()
    assert targets.centerness.max() <= 1
    if nearest:
        assert targets.centre.flatten(1).any(1).all()
