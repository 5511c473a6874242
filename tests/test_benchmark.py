"""Runners and stored predictions: one pass, resuming, failures, speed, and our tracker in others'
toolkits.
"""

import configparser
import importlib.util
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
from clips import moving_square

from siamla.benchmark import store
from siamla.benchmark.onepass import FrameError, Track, track_sequence
from siamla.benchmark.protocols import load_protocols, run_rules
from siamla.benchmark.score import score
from siamla.benchmark.speed import speed
from siamla.benchmark.toolkits import Got10kTracker, serve_vot, vot_entry
from siamla.benchmark.tracking import run
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.miniatures.dataset import WRITERS
from siamla.sequence import Sequence
from siamla.tracker.settings import TrackerSettings

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
RULES = {key: run_rules(protocol) for key, protocol in PROTOCOLS.items()}


class Drift:
    """Moves the box by 4 and 2 pixels each frame; raises on frames that are brighter than 200."""

    calls = 0

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.box = box

    def update(self, image: np.ndarray) -> np.ndarray:
        Drift.calls += 1
        if image.mean() > 200:
            raise RuntimeError("too bright")
        self.box = self.box + np.array([4, 2, 0, 0])
        return self.box


class Sure(Drift):
    """Less sure with each frame."""

    score = 1.0

    def update(self, image: np.ndarray) -> np.ndarray:
        self.score -= 0.125
        return super().update(image)


@pytest.fixture
def sequences(tmp_path: Path) -> list[Sequence]:
    """Sequences a, b, c of 6, 8 and 4 frames whose targets move as Drift does."""
    return [
        moving_square(tmp_path / "frames", name, n)
        for name, n in zip("abc", (6, 8, 4), strict=True)
    ]


def done(folder: Path) -> list[bool]:
    return [store.is_done(folder, name, "otb") for name in "abc"]


@pytest.mark.parametrize("workers", [1, 2])
def test_run_and_score(
    tmp_path: Path, sequences: list[Sequence], workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out, before = tmp_path / "out", multiprocessing.active_children()
    run(Drift, sequences, out, RULES["otb100"], workers, "otb100")
    said = capsys.readouterr().err
    assert "otb100: 100%" in said
    assert "\r" not in said  # off a terminal progress is plain lines
    files = [f"{name}{end}.txt" for name in "abc" for end in ("", "_time")]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    assert score(sequences, out, PROTOCOLS["otb100"]).overall["auc"] == pytest.approx(20 / 21)
    if workers == 1:
        written = sorted("abc", key=lambda name: (out / f"{name}.txt").stat().st_mtime_ns)
        assert written == ["b", "a", "c"]  # the longest first
    assert (out / "a.txt").read_text().splitlines()[0] == "81.0000,61.0000,30.0000,24.0000"
    assert set(multiprocessing.active_children()) <= set(before)


@pytest.mark.parametrize(
    "lose", [Path.unlink, lambda path: path.write_text("")], ids=["missing", "empty"]
)
def test_finished_sequences_are_never_tracked_again(
    tmp_path: Path, sequences: list[Sequence], lose: Callable[[Path], object]
) -> None:
    run(Drift, sequences, tmp_path, RULES["otb100"])
    before = {path: path.read_bytes() for path in tmp_path.glob("?.txt")}
    lose(tmp_path / "a.txt")
    assert done(tmp_path) == [False, True, True]
    Drift.calls = 0
    run(Drift, sequences, tmp_path, RULES["otb100"])
    assert Drift.calls == 5
    assert {path: path.read_bytes() for path in tmp_path.glob("?.txt")} == before


@pytest.mark.parametrize(
    ("key", "name"), [("otb100", "a_confidence.txt"), ("got10k", "a/a_confidence.txt")]
)
def test_the_confidence_of_every_frame_is_kept(
    tmp_path: Path, sequences: list[Sequence], key: str, name: str
) -> None:
    layout = PROTOCOLS[key].layout
    run(Sure, sequences[:1], tmp_path, RULES[key])
    words = ["nan", "0.875000", "0.750000", "0.625000", "0.500000", "0.375000"]
    assert (tmp_path / name).read_text().split() == words
    confidence = store.read_confidence(tmp_path, "a", layout)
    np.testing.assert_array_equal(confidence, [float(word) for word in words])
    run(Drift, sequences[1:2], tmp_path, RULES[key])
    assert store.read_confidence(tmp_path, "b", layout) is None  # a tracker without
    assert score(sequences[:1], tmp_path, PROTOCOLS[key]).overall  # is no result of its own


def test_confidences_of_repetitions_stand_in_columns(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/a_confidence.txt").write_text("nan,nan\n0.250000,0.500000\n")
    np.testing.assert_array_equal(store.read_confidence(tmp_path, "a", "got10k", 2), [np.nan, 0.5])
    assert store.read_confidence(tmp_path, "a", "got10k", 3) is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_named_after_the_others_are_finished(
    tmp_path: Path, sequences: list[Sequence], workers: int
) -> None:
    cv2.imwrite(str(sequences[1].frames[3]), np.full((30, 40, 3), 255, np.uint8))
    said = "1 of 3 sequences failed: b, frame 4: RuntimeError: too bright$"
    with pytest.raises(UserError, match=said):
        run(Drift, sequences, tmp_path / "out", RULES["otb100"], workers)
    assert done(tmp_path / "out") == [True, False, True]


@pytest.mark.parametrize("box", [[np.nan, 0, 5, 5], [0, 0, 0, 5]])
def test_bad_input_before_any_work(
    tmp_path: Path, sequences: list[Sequence], box: list[float]
) -> None:
    bad = replace(sequences[0], boxes=np.array([box]))
    with pytest.raises(UserError, match=r"a: the first box .* cannot start a tracker"):
        run(Drift, [sequences[1], bad], tmp_path / "out", RULES["otb100"])
    assert not (tmp_path / "out").exists()


def test_unreadable_images_and_nonsense_boxes(sequences: list[Sequence]) -> None:
    sequences[0].frames[2].write_bytes(b"no image")
    with pytest.raises(FrameError, match=r"a, frame 3: .*not a readable image"):
        track_sequence(Drift(), sequences[0])
    tracker = Drift()
    tracker.update = lambda image: np.array([np.nan, 0, 1, 1])  # type: ignore[method-assign]
    with pytest.raises(FrameError, match="expected four finite numbers"):
        track_sequence(tracker, sequences[1])


def test_speed(tmp_path: Path) -> None:
    """Slow first frames count, too."""
    rows = np.zeros((30, 4))
    seconds = np.full(30, 0.02)
    seconds[:10] = 1.0
    sequences = [Sequence(name, (), rows, np.ones(30, bool)) for name in "ab"]
    rates = {
        "lasot": 50 / (10 + 40 * 0.02),
        "otb100": ((10 + 20 * 50) / 30 + 50) / 2,
        "got10k": (10 + 40 * 50) / 50,
    }
    for key, rate in rates.items():
        layout = PROTOCOLS[key].layout
        store.write_track(tmp_path / key, "a", Track(rows, seconds), layout)
        store.write_track(tmp_path / key, "b", Track(rows[:20], np.full(20, 0.02)), layout)
        expected = pytest.approx({"fps": rate, "frames": 50})
        assert speed(tmp_path / key, sequences, PROTOCOLS[key]) == expected
    assert speed(tmp_path / "nowhere", sequences, PROTOCOLS["otb100"]) == {}


def test_our_tracker_under_the_got10k_toolkit(tmp_path: Path, sequences: list[Sequence]) -> None:
    """The toolkit runs it over a GOT-10k folder; its files are ours, and both sides score alike."""
    from got10k.experiments import ExperimentGOT10k

    layout = WRITERS["got10k"]
    grey = cv2.imencode(".jpg", np.full((120, 160, 3), 50, np.uint8))[1].tobytes()
    for sequence in sequences:
        layout.write(tmp_path / "data/val", sequence, [grey] * len(sequence))
    layout.finish(tmp_path / "data/val", ["a", "b", "c"])
    folders = [str(tmp_path / name) for name in ("results", "reports")]
    experiment = ExperimentGOT10k(str(tmp_path / "data"), "val", *folders)
    experiment.run(Got10kTracker(Drift(), "drift"))
    theirs = tmp_path / "results/GOT-10k/drift"
    read = [LAYOUTS["got10k"].read(tmp_path / "data/val", name) for name in "abc"]
    assert score(read, theirs, PROTOCOLS["got10k"]).overall["ao"] == pytest.approx(1)
    run(Drift, read, tmp_path / "ours", RULES["got10k"])
    for name in "abc":
        ours = store.read_boxes(tmp_path / "ours", name, "got10k")
        np.testing.assert_allclose(store.read_boxes(theirs, name, "got10k"), ours)


def test_got10k_adapter_converts_colour_and_origin() -> None:
    from PIL import Image

    seen = []

    class Look(Drift):
        def init(self, image: np.ndarray, box: np.ndarray) -> None:
            seen.append((image[0, 0].tolist(), box.tolist()))
            super().init(image, box)

    red = Image.fromarray(np.full((8, 8, 3), (255, 0, 0), np.uint8))
    tracker = Got10kTracker(Look(), "look", origin=1)
    tracker.init(red, [1, 1, 4, 4])
    assert seen == [([0, 0, 255], [0, 0, 4, 4])]
    assert tracker.update(red).tolist() == [5, 3, 4, 4]


def test_vot_entry_and_missing_toolkit(tmp_path: Path) -> None:
    entry = configparser.ConfigParser()
    path = tmp_path / "model.pt"
    entry.read_string(vot_entry("siamla", path, TrackerSettings(window=0.2)))
    assert entry["siamla"]["protocol"] == "traxpython"
    assert entry["siamla"]["command"].endswith(f"serve_model({str(path)!r}, window=0.2)")
    if importlib.util.find_spec("trax") is None:
        with pytest.raises(UserError, match=r"pip install 'siamla\[vot\]'"):
            serve_vot(Drift())


def test_vot_session(monkeypatch: pytest.MonkeyPatch, sequences: list[Sequence]) -> None:
    """What is answered to a TraX session of one initialisation and two frames, with the library
    played by a stub.
    """
    sequence, trax = sequences[0], MagicMock()
    region = SimpleNamespace(bounds=lambda: tuple(sequence.boxes[0].tolist()))
    requests = []
    for path in sequence.frames[:3]:
        image = {"color": SimpleNamespace(path=lambda path=path: str(path))}
        kind = trax.TraxStatus.FRAME if requests else trax.TraxStatus.INITIALIZE
        requests.append(SimpleNamespace(type=kind, image=image, objects=[(region, {})]))
    server = trax.Server.return_value.__enter__.return_value
    server.wait.side_effect = [*requests, SimpleNamespace(type=trax.TraxStatus.QUIT)]
    monkeypatch.setitem(sys.modules, "trax", trax)
    serve_vot(Drift())
    trax.Server.assert_called_once_with([trax.Region.RECTANGLE], [trax.Image.PATH])
    answers = [call.args for call in trax.Rectangle.create.call_args_list]
    np.testing.assert_array_equal(answers, sequence.boxes[:3])
    assert server.status.call_count == 3


def test_a_withheld_truth_is_for_the_server(
    tmp_path: Path, sequences: list[Sequence], capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = []
    for sequence in sequences:
        boxes = np.full_like(sequence.boxes, np.nan)
        boxes[0] = sequence.boxes[0]
        hidden.append(replace(sequence, boxes=boxes))
    run(Drift, hidden, tmp_path, RULES["trackingnet"])
    scores = score(hidden, tmp_path, PROTOCOLS["trackingnet"])
    assert (scores.overall, scores.per_sequence) == ({}, {})
    assert "TrackingNet: the truth of all" in capsys.readouterr().err
    assert speed(tmp_path, hidden, PROTOCOLS["trackingnet"])["frames"] > 0
    with pytest.raises(UserError, match="only the first box is known, unlike in the other"):
        score([sequences[0], *hidden[1:]], tmp_path, PROTOCOLS["trackingnet"])
