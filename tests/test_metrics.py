"""Curves and scores: hand-worked numbers, the got10k toolkit, and published results to their last
digit.
"""

import csv
import json
import tarfile
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siamla.benchmark.metrics import fractions, summarise
from siamla.benchmark.onepass import Track
from siamla.benchmark.protocols import Curve, load_protocols
from siamla.benchmark.score import Scores, score
from siamla.benchmark.store import track_path, write_track
from siamla.data.formats.text import write_boxes
from siamla.geometry import corners
from siamla.report.differences import OVERALL, difference
from siamla.sequence import Sequence

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
shared = Path(__file__).parents[2] / "shared"
SIZE = (320, 240)
HIT = 20 / 21  # strict: no overlap exceeds the threshold 1


def video(name: str, count: int, rng: np.random.Generator, **more: Any) -> Sequence:
    boxes = np.column_stack([rng.uniform(0, 200, (count, 2)), rng.uniform(10, 60, (count, 2))])
    boxes = np.round(8 * boxes) / 8  # exact in binary, whichever pixel counts as the first
    return Sequence(name, (), boxes, np.ones(count, bool), **more)


def store_all(
    folder: Path, sequences: list[Sequence], layout: str, noise: float = 0.0, seed: int = 0
) -> None:
    rng = np.random.default_rng(seed)
    for sequence in sequences:
        boxes = sequence.boxes + noise * rng.normal(size=sequence.boxes.shape)
        boxes = np.round(8 * boxes) / 8
        boxes[0] = sequence.boxes[0]
        write_track(folder, sequence.name, Track(boxes, np.full(len(boxes), 0.01)), layout)


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """By sequence; no frames are at hand."""
    known: dict[str, tuple[int, int]] = {}
    name = "siamla.benchmark.score.image_size"
    monkeypatch.setattr(name, lambda sequence: known.get(sequence.name, SIZE))
    return known


def weighted(scores: Scores) -> dict[str, float]:
    """The overall values of metrics that pool frames, of those by sequence."""
    values = {}
    for metric, weights in scores.weights.items():
        known = {
            n: row[metric] for n, row in scores.per_sequence.items() if row[metric] is not None
        }
        values[metric] = np.average([*known.values()], weights=[weights[name] for name in known])
    return values


THREE = ("auc", "precision", "norm_precision")
PERFECT = {
    **{key: dict(zip(THREE, (HIT, 1, 1), strict=True)) for key in PROTOCOLS},
    "trackingnet": {"auc": 1, "precision": 1, "norm_precision": 1},
    "got10k": {"ao": 1, "sr50": 1, "sr75": 1},
}


@pytest.mark.parametrize("key", [key for key, protocol in PROTOCOLS.items() if protocol.onepass])
def test_truth_as_prediction(tmp_path: Path, key: str) -> None:
    rng = np.random.default_rng(1)
    sequences = [video(name, 30, rng) for name in ("a", "b")]
    for sequence in sequences:
        sequence.boxes[:] = sequence.boxes.round()
    store_all(tmp_path, sequences, PROTOCOLS[key].layout)
    assert score(sequences, tmp_path, PROTOCOLS[key]).overall == pytest.approx(PERFECT[key])


def test_curve_by_hand() -> None:
    strict = Curve(first=0, last=1, count=5, compare=">", report={"auc": "mean", "sr": 0.5})
    values = np.array([0, 0.25, 0.5, 0.6, np.nan])
    # above 0, .25, .5, .75, 1: three, two, one, none, none; NaN is above nothing
    curve = fractions(values, strict, 5)[0]
    np.testing.assert_allclose(curve, [0.6, 0.4, 0.2, 0, 0])
    assert summarise(curve, strict) == pytest.approx({"auc": 0.24, "sr": 0.2})
    loose = strict.model_copy(update={"compare": ">=", "report": {"auc": "trapezoid"}})
    curve = fractions(values, loose, 5)[0]
    np.testing.assert_allclose(curve, [0.8, 0.6, 0.4, 0, 0])
    assert summarise(curve, loose)["auc"] == pytest.approx((0.7 + 0.5 + 0.2 + 0) / 4)
    near = Curve(first=0, last=4, count=5, compare="<=", report={"p": 2})
    curve = fractions(np.array([-1, 2, 2.5, np.inf]), near, 4)[0]
    np.testing.assert_allclose(curve, [0.25, 0.25, 0.5, 0.75, 0.75])


FROM_1 = "11,11,20,20\n21,11,20,20\n41,11,20,20\n16,16,10,10\n"
FROM_0 = "10,10,20,20\n20,10,20,20\n40,10,20,20\n15,15,10,10\n"


@pytest.mark.parametrize(
    ("key", "rows", "expected"),
    [
        ("otb100", FROM_1, (32 / 84, 3 / 4, 2 / 4)),
        ("lasot", FROM_1, (32 / 84, 3 / 4, 2 / 4)),
        ("tnl2k", FROM_1, (32 / 84, 3 / 4, 103 / 204)),
        ("trackingnet", FROM_0, (8.125 / 20, 16.25 / 20, 10.125 / 20)),
        ("got10k", FROM_0, ((1 / 3 + 1 / 4) / 3, 0, 0)),
    ],
)
def test_hand_worked_results(
    tmp_path: Path, key: str, rows: str, expected: tuple[float, float, float]
) -> None:
    """A raw result file of four frames on a target of 20×20 that stands still: found; 10 pixels to
    the right; 30 pixels to the right; half as large. The overlaps are 1, 1/3, 0, 1/4, the distances
    0, 10, 30, 0, or 0, ½, 1½, 0 of the target's side.

    Above the 21 thresholds 0, .05 … 1 lie 20, 7, 0 and 5 overlaps: 32 of 84. Two normalised
    distances are within all 51 thresholds to ½, one within the last: 103 of 204. TrackingNet's
    "at least" adds one threshold to the overlaps 0 and 1/4; its three numbers are areas of 20
    steps: .875 + 4·.75 + .625 + .375 + 13·.25; 3·.5 + .625 + 7·.75 + .875 + 8; 19·.5 + .625.
    GOT-10k leaves out the first frame.
    """
    path = track_path(tmp_path, "a", PROTOCOLS[key].layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rows)
    truth = Sequence("a", (), np.array([[10, 10, 20, 20.0]] * 4), np.ones(4, bool))
    values = score([truth], tmp_path, PROTOCOLS[key]).overall
    assert list(values) == list(PERFECT[key])
    assert tuple(values.values()) == pytest.approx(expected)


def test_trackingnet_rounds_and_counts_missing_as_zero(tmp_path: Path) -> None:
    """Rounded, the first two frames are exact; the other two are NaN in the devkit and miss at
    every threshold; all but the first of "never tracked" are empty boxes, which overlap by 0 ≥ 0 at
    the first threshold alone.
    """
    truth = Sequence("a", (), np.array([[10, 10, 20, 20.0]] * 4), np.ones(4, bool))
    boxes = np.array([[10.4, 9.6, 20.3, 19.8]] * 2)
    write_track(tmp_path, "a", Track(boxes, np.ones(2)), "trackingnet")
    other = replace(truth, name="never tracked")
    values = score([truth, other], tmp_path, PROTOCOLS["trackingnet"])
    assert values.per_sequence["a"]["auc"] == pytest.approx(0.5)
    assert values.per_sequence["never tracked"]["auc"] == pytest.approx(0.25 + 0.75 * 0.025)


def test_attributes_average_their_sequences(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    labels = {"a": frozenset({"IV"}), "b": frozenset({"IV", "FM"})}
    sequences = [video(name, 20, rng, attributes=own) for name, own in labels.items()]
    store_all(tmp_path, sequences, "otb", noise=4)
    scores = score(sequences, tmp_path, PROTOCOLS["otb100"])
    assert scores.per_attribute["IV"]["auc"] == pytest.approx(scores.overall["auc"])
    assert scores.attributes_of == {"a": ["IV"], "b": ["FM", "IV"]}
    metrics = {metric: scores.per_sequence["b"][metric] for metric in PROTOCOLS["otb100"].metrics}
    assert scores.per_attribute["FM"] == pytest.approx({"sequences": 1, **metrics})


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_got10k_toolkit_on_otb(tmp_path: Path, seed: int) -> None:
    from got10k.experiments import ExperimentOTB

    rng = np.random.default_rng(seed)
    sequences = [video(name, 50, rng) for name in ("a", "b", "c")]
    store_all(tmp_path, sequences, "otb", noise=8, seed=seed)
    toolkit = ExperimentOTB.__new__(ExperimentOTB)
    toolkit.nbins_iou, toolkit.nbins_ce = 21, 51
    theirs = []
    for sequence in sequences:
        boxes = np.loadtxt(tmp_path / f"{sequence.name}.txt", delimiter=",")
        truth = sequence.boxes + np.array([1, 1, 0, 0])
        theirs.append(toolkit._calc_curves(*toolkit._calc_metrics(boxes, truth)))
    curves = score(sequences, tmp_path, PROTOCOLS["otb100"]).curves
    for name, each in zip(("success", "precision"), zip(*theirs, strict=True), strict=True):
        np.testing.assert_allclose(curves[name]["y"], np.mean(each, 0), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_got10k_toolkit_on_got10k(tmp_path: Path, seed: int) -> None:
    from got10k.utils.metrics import rect_iou

    rng = np.random.default_rng(seed)
    sequences = []
    for name, count in (("a", 40), ("b", 25)):
        sequence = video(name, count, rng)
        sequence.boxes[:, :2] += rng.uniform(-40, 120, (count, 2)).round(3)  # some leave the image
        sequences.append(replace(sequence, visible=rng.random(count) < 0.8))
    pooled = []
    for repetition in (1, 2):
        for sequence in sequences:
            boxes = (sequence.boxes + 6 * rng.normal(size=sequence.boxes.shape)).round(3)
            boxes[:, 2:] = np.abs(boxes[:, 2:])
            path = track_path(tmp_path, sequence.name, "got10k", repetition)
            write_boxes(path, boxes, 0)
            boxes = np.loadtxt(path, delimiter=",")
            ious = rect_iou(boxes[1:], sequence.boxes[1:].copy(), bound=SIZE)
            pooled.append(ious[sequence.visible[1:]])
    ious = np.concatenate(pooled)
    expected = {"ao": ious.mean(), "sr50": (ious > 0.5).mean(), "sr75": (ious > 0.75).mean()}
    scores = score(sequences, tmp_path, PROTOCOLS["got10k"])
    assert scores.overall == pytest.approx(expected, abs=1e-12)
    assert weighted(scores) == pytest.approx(expected, abs=1e-12)


# -- published results --


def expected_rows() -> list[dict[str, str]]:
    path = shared / "results" / "EXPECTED.tsv"
    return list(csv.DictReader(path.open(), delimiter="\t")) if path.is_file() else []


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not expected_rows():
        pytest.skip("the published raw results are not here")
    folder = tmp_path_factory.mktemp("published")
    for path in sorted((shared / "results").glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    return folder


def annotated(path: Path, key: str, sizes: dict[str, tuple[int, int]]) -> list[Sequence]:
    """Sequences from pysot's annotation files, whose flag `absent` is 1 where the target is
    there.
    """
    sequences = []
    for name, entry in json.loads(path.read_text()).items():
        rows, count = entry["gt_rect"], len(entry["gt_rect"])
        seen = np.array(entry.get("absent", [1] * count)) == 1
        if key == "vot2018":
            polygons = [row if len(row) == 8 else corners(np.array(row)) for row in rows]
            sizes[name] = (entry["width"], entry["height"])
            sequences.append(
                Sequence(name, (), np.zeros((count, 4)), seen, np.array(polygons, float))
            )
        else:
            sequences.append(Sequence(name, (), np.array(rows, float) - [1, 1, 0, 0], seen))
    return sequences


METRICS = {"prec20": "precision"}
FILES = {
    "OTB100": ("otb100", "OTB100.json"),
    "LaSOT": ("lasot", "LaSOT_test.json"),
    "VOT2018": ("vot2018", "VOT2018.json"),
}


@pytest.mark.parametrize("benchmark", FILES)
def test_published_digits(
    published: Path, benchmark: str, sizes: dict[str, tuple[int, int]]
) -> None:
    key, file = FILES[benchmark]
    sequences = annotated(next(published.rglob(file)), key, sizes)
    rows = [row for row in expected_rows() if row["set"] == benchmark]
    assert rows
    for tracker in sorted({row["tracker"] for row in rows}):
        values = score(sequences, published / benchmark / tracker, PROTOCOLS[key]).overall
        for row in (row for row in rows if row["tracker"] == tracker):
            value = values[METRICS.get(row["metric"], row["metric"])]
            digits = len(row["published"].partition(".")[2])
            assert f"{value:.{digits}f}" == row["published"], (tracker, row["metric"], value)


def test_intervals_lie_around_published_differences(
    published: Path, sizes: dict[str, tuple[int, int]]
) -> None:
    """Accuracy and robustness pool frames of sequences from 41 to 1500 of them."""
    sequences = annotated(next(published.rglob("VOT2018.json")), "vot2018", sizes)
    contents = []
    for folder in sorted(path for path in (published / "VOT2018").iterdir() if path.is_dir()):
        scores = score(sequences, folder, PROTOCOLS["vot2018"])
        assert weighted(scores) == pytest.approx({m: scores.overall[m] for m in scores.weights})
        contents.append(asdict(scores))
    for one, other in combinations(contents, 2):
        for metric in ("accuracy", "robustness"):
            gap = difference([one], [other], OVERALL, metric)
            assert gap.low < gap.value < gap.high
            assert (gap.low + gap.high) / 2 == pytest.approx(gap.value, abs=1e-9)
