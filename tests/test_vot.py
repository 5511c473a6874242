"""VOT: region overlap in pixels, the supervised runner, and a hand-worked trajectory."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from siamla.benchmark.importing import import_results
from siamla.benchmark.protocols import Protocol, load_protocols, run_rules
from siamla.benchmark.region import region_overlap
from siamla.benchmark.score import Scores, score
from siamla.benchmark.store import (
    FAILED,
    INITIALISED,
    SKIPPED,
    TRACKED,
    Trajectory,
    read_confidence,
    read_regions,
    write_trajectory,
)
from siamla.benchmark.tracking import run_supervised
from siamla.benchmark.vot import expected_overlap
from siamla.errors import UserError
from siamla.geometry import corners, polygon_to_box
from siamla.sequence import Sequence

PROTOCOL = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")["vot2018"]
RULES = run_rules(PROTOCOL)


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return corners(np.array(rows, float))


def test_region_overlap_counts_pixels_with_both_ends() -> None:
    """A 10×10 box is 11×11 pixels. Shifted by 5 it shares 6 columns of 11 rows: 66 of 242 - 66."""
    here, shifted = boxes((20, 20, 10, 10)), boxes((25, 20, 10, 10))
    assert region_overlap(here, shifted, (100, 100))[0] == pytest.approx(66 / 176)
    assert region_overlap(here, here)[0] == 1


def test_region_overlap_apart_cut_and_unknown() -> None:
    """The image ends at column 100."""
    a = boxes((0, 0, 10, 10), (95, 0, 10, 10), (0, 0, 10, 10))
    b = boxes((50, 50, 10, 10), (95, 0, 5, 10), (np.nan, 0, 10, 10))
    np.testing.assert_array_equal(region_overlap(a, b, (100, 100)), [0, 1, np.nan])


@pytest.mark.parametrize(
    ("polygon", "box", "pixels"),
    [
        # Dented from above at (10, 5). Rows 1 to 4 are two intervals, row 3 is 2..6 and 14..18; row
        # 4 starts at 8/3 and ends at 17 1/3, both cut. Row 0 joins its two tips. Below one interval
        # each, 3..16 to 9..10; the tip counts nothing.
        (
            [0.0, 0, 10, 5, 20, 0, 10, 15],
            (0, 0, 20, 15),
            21 + (3 + 2) + (4 + 3) + (5 + 5) + (7 + 6) + 14 + 13 + 12 + 10 + 9 + 8 + 6 + 5 + 4 + 2,
        ),
        # Two triangles that meet at (5, 5): row y is 0..y and 10-y..10, the middle one counts its
        # common pixel once, and the first and the last join their two vertices.
        ([0.0, 0, 10, 10, 10, 0, 0, 10], (0, 0, 10, 10), 11 + 2 * (4 + 6 + 8 + 10) + 11 + 11),
    ],
)
def test_region_overlap_of_concave_and_crossing_polygons(
    polygon: list[float], box: tuple[float, float, float, float], pixels: int
) -> None:
    whole = (box[2] + 1) * (box[3] + 1)
    pair = np.array([polygon]), boxes(box)
    assert region_overlap(*pair, (100, 100))[0] == pytest.approx(pixels / whole)
    assert region_overlap(*pair[::-1])[0] == pytest.approx(pixels / whole)


def test_regions_without_a_pixel_have_no_overlap() -> None:
    """All corners round to one pixel, which counts nothing: 0/0 is unknown, 0/121 is not."""
    dots, box = boxes((20.1, 20.1, 0.3, 0.3), (20.2, 20.2, 0.2, 0.2)), boxes((15, 15, 10, 10))
    overlaps = region_overlap(dots[[0, 0]], np.concatenate([dots[1:], box]), (100, 100))
    np.testing.assert_array_equal(overlaps, [np.nan, 0])


def test_polygons_overlap_as_in_the_vot_toolkit() -> None:
    """The toolkit's own rasteriser of polygons (its versions from 0.6 on) differs from TraX's in
    single pixels.
    """
    region = pytest.importorskip("vot.region", reason="the extra `vot` is not installed")
    rng = np.random.default_rng(0)
    centres, turns = rng.uniform(60, 240, (2, 50, 1, 2)), rng.uniform(0, np.pi, (2, 50, 1))
    angles = turns + np.array([0.3, 2.8, 3.44, 5.94])
    points = centres + 70 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    a, b = points[0], (points[0] + points[1]) / 2
    theirs = [[region.Polygon(list(map(tuple, p.tolist()))) for p in each] for each in (a, b)]
    ours = region_overlap(a.reshape(-1, 8), b.reshape(-1, 8), (300, 300))
    assert np.abs(np.array(region.calculate_overlaps(*theirs, (300, 300))) - ours).max() < 0.01


def rules(**changes: Any) -> Protocol:
    """VOT2018's protocol with other rules of supervision."""
    assert PROTOCOL.supervised is not None
    supervised = PROTOCOL.supervised.model_copy(update=changes)
    return PROTOCOL.model_copy(update={"supervised": supervised})


def stored(
    folder: Path, name: str, codes: list[int], shift: float = 0, speed: float = 0
) -> Sequence:
    """A sequence of a 9×9 box that moves to the right, and the run that is stored of it: the truth,
    from the second start on moved by `shift`.
    """
    count = len(codes)
    truth = boxes(*[(20.0 + speed * i, 30, 9, 9) for i in range(count)])
    regions = truth.copy()
    starts = [i for i, code in enumerate(codes) if code == INITIALISED]
    regions[starts[-1] + 1 :, ::2] += shift
    regions[np.array(codes) != TRACKED] = np.nan
    run = Trajectory(np.array(codes, np.int8), regions, np.full(count, 0.1))
    write_trajectory(folder, name, run)
    return Sequence(name, (), np.zeros((count, 4)), np.ones(count, bool), truth)


@pytest.fixture(autouse=True)
def no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamla.benchmark.score.image_size", lambda sequence: (200, 100))


def scored(folder: Path, protocol: Protocol, *sequences: Sequence) -> Scores:
    return score(sequences, folder, protocol)


RESTARTED = [INITIALISED, *[TRACKED] * 19, FAILED, *[SKIPPED] * 4, INITIALISED, *[TRACKED] * 14]


def test_hand_worked_scores(tmp_path: Path) -> None:
    """40 frames: exact until a failure at frame 20, new start at 25, then shifted by half the box
    to the end. A 9×9 box is 10×10 pixels; shifted by 5, 5 of 15 columns are shared: overlap 1/3.
    """
    sequence = stored(tmp_path, "a", RESTARTED, shift=5, speed=1)
    sequence = replace(sequence, frame_attributes={"occlusion": np.arange(40) < 20})
    scores = scored(tmp_path, rules(eao_interval=(5, 30)), sequence)
    # burn-in leaves frames 10..19 (overlap 1) and 35..39 (overlap 1/3); one failure in 40 frames
    assert scores.overall["accuracy"] == pytest.approx((10 + 5 / 3) / 15)
    assert scores.overall["robustness"] == pytest.approx(100 / 40)
    assert scores.overall["failures"] == 1
    assert scores.weights == {"accuracy": {"a": 15}, "robustness": {"a": 40}}
    # The first fragment: 19 ones, then zeros for ever. The second: frames 1..14 at 1/3, unknown
    # from 15 on.
    first = np.array([min(i, 19) / i for i in range(1, 40)])
    curve = np.where(np.arange(1, 40) <= 14, (first + 1 / 3) / 2, first)
    np.testing.assert_allclose(scores.curves["expected_overlap"]["y"], [1, *curve])
    # indices 4..29, one less than the interval
    assert scores.overall["eao"] == pytest.approx(curve[3:29].mean())
    # On occluded frames there was no failure, and only the first fragment has a weight (20 of its
    # 25 frames).
    occluded = scores.per_attribute["occlusion"]
    assert [occluded["accuracy"], occluded["robustness"], occluded["frames"]] == [1, 0, 20]
    assert scores.attributes_of == {"a": ["occlusion"]}
    assert occluded["eao"] == pytest.approx(first[3:29].mean())


@pytest.mark.parametrize(
    ("changes", "metric", "value"),
    [
        ({"robustness": "weighted"}, "robustness", 1),
        ({"accuracy": "sequences"}, "accuracy", (10 + 5 / 3) / 15),
    ],
)
def test_the_vot_toolkit_variants(
    tmp_path: Path, changes: dict[str, str], metric: str, value: float
) -> None:
    sequence = stored(tmp_path, "a", RESTARTED, shift=5, speed=1)
    assert scored(tmp_path, rules(**changes), sequence).overall[metric] == pytest.approx(value)


def test_late_failure(tmp_path: Path) -> None:
    """A failure three frames before the end: no restart follows."""
    failed = stored(tmp_path, "a", [INITIALISED, *[TRACKED] * 16, FAILED, SKIPPED, SKIPPED])
    whole = stored(tmp_path, "b", [INITIALISED, *[TRACKED] * 39])
    curves = scored(tmp_path, PROTOCOL, failed, whole).curves
    assert curves["expected_overlap"]["y"][39] == 1


def test_short_data(tmp_path: Path) -> None:
    sequence = stored(tmp_path, "a", [INITIALISED, *[TRACKED] * 19])
    overall = scored(tmp_path, PROTOCOL, sequence).overall
    assert (overall["eao"], overall["eao_short_frames"]) == (1, 20)


def test_expected_overlap_by_hand() -> None:
    """Entry 1: (1·1 + 3·0.5)/4; entry 2: (1·0.75 + 3·0.25)/4; entry 3: only the failed one,
    3·(0.5/3)/3.
    """
    fragments = [np.array([0, 1.0, 0.5]), np.array([0, 0.5])]
    curve = expected_overlap(fragments, [False, True], [1, 3], 4)
    np.testing.assert_allclose(curve, [1, 0.625, 0.375, 0.5 / 3])


def test_expected_overlap_after_an_unknown_frame() -> None:
    """As in pysot: the frame leaves its fragment out, and the curve is unknown after it until the
    fragment ends.
    """
    fragments = [np.array([0, 1.0, np.nan, 1]), np.array([0, 0.5, 0.5, 0.5, 0.5])]
    curve = expected_overlap(fragments, [False, False], [1, 1], 5)
    np.testing.assert_allclose(curve, [1, 0.75, 0.5, np.nan, 0.5])


@dataclass
class Scripted:
    """Returns the truth, but loses the target at the scripted frames."""

    truth: np.ndarray
    lost: set[int]
    starts: list[list[float]] = field(default_factory=list)

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.starts.append(box.tolist())

    def update(self, image: np.ndarray) -> np.ndarray:
        frame = int(image[0, 0, 0])
        return np.array([60.0, 40, 4, 4]) if frame in self.lost else self.truth[frame]


@pytest.fixture
def numbered(tmp_path: Path) -> Sequence:
    """Twenty grey frames, each of which carries its number as its brightness; rotated truth."""
    frames = tuple(tmp_path / f"{index:08d}.png" for index in range(20))
    for index, path in enumerate(frames):
        cv2.imwrite(str(path), np.full((48, 64, 3), index, np.uint8))
    polygons = np.array([[10.0, 0, 20, 10, 10, 20, 0, 10]] * 20)
    truth = np.stack([polygon_to_box(polygon) for polygon in polygons])
    return Sequence("a", frames, truth, np.ones(20, bool), polygons)


def test_runner_restarts_five_frames_after_a_failure(numbered: Sequence) -> None:
    """Frame 17 is an initialisation: nothing can be lost there."""
    tracker = Scripted(numbered.boxes, {3, 12, 17})
    trajectory = run_supervised(tracker, numbered, RULES)
    expected = [1, -1, -1, 2, 0, 0, 0, 0, 1, -1, -1, -1, 2, 0, 0, 0, 0, 1, -1, -1]
    assert trajectory.codes.tolist() == expected
    assert np.isnan(trajectory.regions[trajectory.codes != TRACKED]).all()
    assert ((trajectory.seconds > 0) == (trajectory.codes != SKIPPED)).all()
    np.testing.assert_allclose(tracker.starts, [numbered.boxes[0] + [0, 0, 1, 1]] * 3)


def test_stored_runs_come_back(tmp_path: Path, numbered: Sequence) -> None:
    trajectory = run_supervised(Scripted(numbered.boxes, {3}), numbered, RULES)
    write_trajectory(tmp_path, "a", trajectory)
    codes, regions = read_regions(tmp_path, "a")
    np.testing.assert_array_equal(codes, trajectory.codes)
    np.testing.assert_allclose(regions, trajectory.regions, atol=1e-4)
    lines = (tmp_path / "baseline/a/a_001.txt").read_text().splitlines()
    assert lines[0] == "1"
    assert lines[1].count(",") == 3
    (tmp_path / "baseline/a/a_001.txt").write_text("1\n3\n")
    with pytest.raises(UserError, match=r"a_001.txt, line 2: found '3'"):
        read_regions(tmp_path, "a")


def test_confidences_stand_in_the_toolkits_file(tmp_path: Path, numbered: Sequence) -> None:
    """The box was given at frames 0 and 8, lost at 3, passed over from 4 to 7."""
    tracker = Scripted(numbered.boxes, {3})
    tracker.score = 0.5
    write_trajectory(tmp_path, "a", run_supervised(tracker, numbered, RULES))
    path = tmp_path / "baseline/a/a_001_confidence.value"
    lines = path.read_text().split("\n")
    assert lines == ["", *["0.500000"] * 3, *[""] * 5, *["0.500000"] * 11, ""]
    confidence = read_confidence(tmp_path, "a", "vot")
    assert confidence is not None
    assert np.flatnonzero(np.isnan(confidence)).tolist() == [0, 4, 5, 6, 7, 8]
    import_results(tmp_path, tmp_path / "copy", "vot")
    np.testing.assert_array_equal(read_confidence(tmp_path / "copy", "a", "vot"), confidence)
    path.write_text("\nhalf\n")
    with pytest.raises(UserError, match=r"line 2: found 'half', expected a number or nothing"):
        read_confidence(tmp_path, "a", "vot")
