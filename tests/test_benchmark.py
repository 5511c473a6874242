"""Runners and stored predictions: one pass, resuming, failures, speed, and our tracker in the
got10k toolkit.
"""

import configparser
import importlib.util
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from siamla.benchmark import store
from siamla.benchmark.onepass import FrameError, Track, track_sequence
from siamla.benchmark.protocols import load_protocols, run_rules
from siamla.benchmark.runner import TrackingFailed, run
from siamla.benchmark.score import score
from siamla.benchmark.speed import speed
from siamla.data.formats import LAYOUTS
from siamla.errors import UserError
from siamla.miniatures.dataset import WRITERS
from siamla.progress import progress
from siamla.sequence import Sequence

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
RULES = {key: run_rules(protocol) for key, protocol in PROTOCOLS.items()}


class Drift:
    """Moves the box by a pixel each frame; raises on frames that are brighter than 200."""

    deterministic = True
    calls = 0

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        self.box = box

    def update(self, image: np.ndarray) -> np.ndarray:
        Drift.calls += 1
        if image.mean() > 200:
            raise RuntimeError("too bright")
        self.box = self.box + np.array([1, 0, 0, 0])
        return self.box


class Wild(Drift):
    deterministic = False


class Sure(Drift):
    """Less sure with each frame."""

    def init(self, image: np.ndarray, box: np.ndarray) -> None:
        super().init(image, box)
        self.score = 1.0

    def update(self, image: np.ndarray) -> np.ndarray:
        self.score -= 0.125
        return super().update(image)


@pytest.fixture
def sequences(tmp_path: Path) -> list[Sequence]:
    """Sequences a, b, c of 6, 8 and 4 frames whose targets move as Drift does."""
    found = []
    for name, count in (("a", 6), ("b", 8), ("c", 4)):
        frames = tuple(tmp_path / "frames" / name / f"{index:04d}.png" for index in range(count))
        frames[0].parent.mkdir(parents=True)
        for path in frames:
            cv2.imwrite(str(path), np.full((30, 40, 3), 50, np.uint8))
        boxes = np.array([[5.0 + index, 6, 10, 10] for index in range(count)])
        found.append(Sequence(name, frames, boxes, np.ones(count, bool)))
    return found


def test_one_pass(sequences: list[Sequence]) -> None:
    track = track_sequence(Drift(), sequences[0])
    np.testing.assert_array_equal(track.boxes, sequences[0].boxes)
    assert track.confidence is not None
    assert np.isnan(track.confidence).all()  # Drift has none
    assert track.seconds.shape == (6,)
    assert (track.seconds > 0).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_run_and_score(
    tmp_path: Path, sequences: list[Sequence], workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(Drift, sequences, out, RULES["otb100"], workers, "otb100")
    assert "otb100: 100%" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{n}{s}.txt" for n in "abc" for s in ("", "_time")
    )
    assert score(sequences, out, PROTOCOLS["otb100"]).overall["auc"] == pytest.approx(20 / 21)
    if workers == 1:
        written = sorted("abc", key=lambda name: (out / f"{name}.txt").stat().st_mtime_ns)
        assert written == ["b", "a", "c"]  # the longest first
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("key", "corner"), [("otb100", "6.0000,7.0000"), ("got10k", "5.0000,6.0000")]
)
def test_first_row_in_file_coordinates(
    tmp_path: Path, sequences: list[Sequence], key: str, corner: str
) -> None:
    run(Drift, sequences[:1], tmp_path, RULES[key])
    path = store.track_path(tmp_path, "a", PROTOCOLS[key].layout)
    assert path.read_text().splitlines()[0] == f"{corner},10.0000,10.0000"


@pytest.mark.parametrize(
    "lose", [Path.unlink, lambda path: path.write_text("")], ids=["missing", "empty"]
)
def test_finished_sequences_are_never_tracked_again(
    tmp_path: Path, sequences: list[Sequence], lose: Callable[[Path], object]
) -> None:
    run(Drift, sequences, tmp_path, RULES["otb100"])
    boxes = (tmp_path / "a.txt").read_text()
    lose(tmp_path / "a.txt")
    assert [store.is_done(tmp_path, name, "otb") for name in "abc"] == [False, True, True]
    before = {path: path.read_bytes() for path in tmp_path.glob("[bc]*.txt")}
    Drift.calls = 0
    run(Drift, sequences, tmp_path, RULES["otb100"])
    assert Drift.calls == 5
    assert (tmp_path / "a.txt").read_text() == boxes
    assert {path: path.read_bytes() for path in tmp_path.glob("[bc]*.txt")} == before


def test_got10k_repetitions(tmp_path: Path, sequences: list[Sequence]) -> None:
    run(Drift, sequences[:1], tmp_path / "steady", RULES["got10k"])
    assert store.repetitions(tmp_path / "steady", "a", "got10k") == [1]
    run(Wild, sequences[:1], tmp_path / "wild", RULES["got10k"])
    assert store.repetitions(tmp_path / "wild", "a", "got10k") == [1, 2, 3]
    seconds = store.read_seconds(tmp_path / "wild", "a", "got10k")
    assert seconds is not None
    assert seconds.shape == (6, 3)
    (tmp_path / "wild/a/a_003.txt").unlink()  # killed between the times and the boxes of the third
    run(Wild, sequences[:1], tmp_path / "wild", RULES["got10k"])
    again = store.read_seconds(tmp_path / "wild", "a", "got10k")
    assert again is not None
    np.testing.assert_array_equal(again[:, :2], seconds[:, :2])
    assert again.shape == (6, 3)


@pytest.mark.parametrize(
    ("key", "name"), [("otb100", "a_confidence.txt"), ("got10k", "a/a_confidence.txt")]
)
def test_the_confidence_of_every_frame_is_kept(
    tmp_path: Path, sequences: list[Sequence], key: str, name: str
) -> None:
    layout = PROTOCOLS[key].layout
    run(Sure, sequences[:1], tmp_path, RULES[key])
    assert (tmp_path / name).read_text().split() == [
        "nan",
        *(f"{1 - step / 8:.6f}" for step in range(1, 6)),
    ]
    found = store.read_confidence(tmp_path, "a", layout)
    np.testing.assert_array_equal(found, [np.nan, 0.875, 0.75, 0.625, 0.5, 0.375])
    assert store.read_confidence(tmp_path, "b", layout) is None
    run(Drift, sequences[1:2], tmp_path, RULES[key])
    assert store.read_confidence(tmp_path, "b", layout) is None  # a tracker without
    assert score(sequences[:1], tmp_path, PROTOCOLS[key]).overall  # is no result of its own


def test_confidences_of_repetitions_stand_in_columns(tmp_path: Path) -> None:
    for repetition in (1, 2, 2):  # the second was killed before its boxes, and comes again
        confidence = np.array([np.nan, 0.25 * repetition])
        run_of = Track(np.ones((2, 4)), np.ones(2), confidence)
        store.write_track(tmp_path, "a", run_of, "got10k", repetition)
    assert (tmp_path / "a/a_confidence.txt").read_text() == "nan,nan\n0.250000,0.500000\n"
    np.testing.assert_array_equal(store.read_confidence(tmp_path, "a", "got10k", 2), [np.nan, 0.5])
    assert store.read_confidence(tmp_path, "a", "got10k", 3) is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_named_after_the_others_are_finished(
    tmp_path: Path, sequences: list[Sequence], workers: int
) -> None:
    cv2.imwrite(str(sequences[1].frames[3]), np.full((30, 40, 3), 255, np.uint8))
    with pytest.raises(
        TrackingFailed, match="1 of 3 sequences failed: b, frame 4: RuntimeError: too bright"
    ) as caught:
        run(Drift, sequences, tmp_path / "out", RULES["otb100"], workers)
    assert [(failure.sequence, failure.frame) for failure in caught.value.failures] == [("b", 3)]
    assert [store.is_done(tmp_path / "out", name, "otb") for name in "abc"] == [True, False, True]


def broken_tracker() -> Drift:
    raise UserError("no weights")


def test_a_tracker_that_cannot_be_made(tmp_path: Path, sequences: list[Sequence]) -> None:
    with pytest.raises(UserError, match="no weights"):
        run(broken_tracker, sequences, tmp_path / "out", RULES["otb100"], 2)


def test_bad_input_before_any_work(tmp_path: Path, sequences: list[Sequence]) -> None:
    for box in ([np.nan, 0, 5, 5], [0, 0, 0, 5]):
        bad = replace(sequences[0], boxes=np.array([box]))
        with pytest.raises(UserError, match=r"a: the first box .* cannot start a tracker"):
            run(Drift, [sequences[1], bad], tmp_path / "out", RULES["otb100"])
    assert not (tmp_path / "out").exists()


def test_unreadable_images_and_nonsense_boxes(sequences: list[Sequence]) -> None:
    sequences[0].frames[2].write_bytes(b"no image")
    with pytest.raises(FrameError, match="not a readable image") as caught:
        track_sequence(Drift(), sequences[0])
    assert caught.value.frame == 2
    tracker = Drift()
    tracker.update = lambda image: np.array([np.nan, 0, 1, 1])  # type: ignore[method-assign]
    with pytest.raises(FrameError, match="expected four finite numbers"):
        track_sequence(tracker, sequences[1])


def test_speed(tmp_path: Path) -> None:
    rows = np.zeros((30, 4))
    seconds = np.full(30, 0.02)
    seconds[:10] = 1.0  # the warm-up is left out of the latency, not out of the fps
    sequences = [Sequence(name, (), rows, np.ones(30, bool)) for name in "ab"]
    found = {}
    for layout, key in (("otb", "otb100"), ("lasot", "lasot"), ("got10k", "got10k")):
        store.write_track(tmp_path / key, "a", Track(rows, seconds), layout)
        store.write_track(tmp_path / key, "b", Track(rows[:20], np.full(20, 0.02)), layout)
        found[key] = speed(tmp_path / key, sequences, PROTOCOLS[key])
    assert found["lasot"]["fps"] == pytest.approx(50 / (10 + 40 * 0.02))
    assert found["otb100"]["fps"] == pytest.approx(((10 + 20 * 50) / 30 + 50) / 2)
    assert found["got10k"]["fps"] == pytest.approx((10 + 40 * 50) / 50)
    assert found["lasot"]["latency_median_ms"] == pytest.approx(20)
    with pytest.raises(UserError, match="no stored times"):
        speed(tmp_path / "nowhere", sequences, PROTOCOLS["otb100"])


def test_progress_off_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(2, "OTB100", "sequence") as bar:
        bar.update()
        bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("OTB100: 100%")
    assert "2/2" in lines[-1]
    assert "\r" not in "".join(lines)


def test_our_tracker_under_the_got10k_toolkit(tmp_path: Path, sequences: list[Sequence]) -> None:
    """The toolkit runs it over a GOT-10k folder; its files are ours, and both sides score alike."""
    from got10k.experiments import ExperimentGOT10k

    from siamla.benchmark.toolkits import Got10kTracker

    layout = WRITERS["got10k"]
    for sequence in sequences:
        encoded = [
            cv2.imencode(".jpg", cv2.imread(str(path)))[1].tobytes() for path in sequence.frames
        ]
        layout.write(tmp_path / "data/val", sequence, encoded)
    layout.finish(tmp_path / "data/val", [sequence.name for sequence in sequences])
    experiment = ExperimentGOT10k(
        str(tmp_path / "data"), "val", str(tmp_path / "results"), str(tmp_path / "reports")
    )
    experiment.run(Got10kTracker(Drift(), "drift"))
    found = tmp_path / "results/GOT-10k/drift"
    reader = LAYOUTS["got10k"]
    read = [reader.read(tmp_path / "data/val", sequence.name) for sequence in sequences]
    assert score(read, found, PROTOCOLS["got10k"]).overall["ao"] == pytest.approx(1)
    run(Drift, read, tmp_path / "ours", RULES["got10k"])
    for sequence in read:
        ours = store.read_boxes(tmp_path / "ours", sequence.name, "got10k")
        np.testing.assert_allclose(store.read_boxes(found, sequence.name, "got10k"), ours)


def test_got10k_adapter_converts_colour_and_origin() -> None:
    from PIL import Image

    from siamla.benchmark.toolkits import Got10kTracker

    seen = []

    class Look(Drift):
        def init(self, image: np.ndarray, box: np.ndarray) -> None:
            seen.append((image[0, 0].tolist(), box.tolist()))
            super().init(image, box)

    red = Image.fromarray(np.full((8, 8, 3), (255, 0, 0), np.uint8))
    tracker = Got10kTracker(Look(), "look", origin=1)
    tracker.init(red, [1, 1, 4, 4])
    assert seen == [([0, 0, 255], [0, 0, 4, 4])]
    assert tracker.update(red).tolist() == [2, 1, 4, 4]


def test_vot_entry_and_missing_toolkit(tmp_path: Path) -> None:
    from siamla.benchmark.toolkits import serve_vot, vot_entry
    from siamla.tracker.settings import TrackerSettings

    entry = configparser.ConfigParser()
    entry.read_string(vot_entry("siamla", tmp_path / "model.pt", TrackerSettings(window=0.2)))
    assert entry["siamla"]["protocol"] == "traxpython"
    assert entry["siamla"]["command"].endswith(
        f"serve_model({str(tmp_path / 'model.pt')!r}, window=0.2)"
    )
    if importlib.util.find_spec("trax") is None:
        with pytest.raises(UserError, match=r"pip install 'siamla\[vot\]'"):
            serve_vot(Drift())


def test_vot_session(monkeypatch: pytest.MonkeyPatch, sequences: list[Sequence]) -> None:
    """What is answered to a TraX session of one initialisation and two frames, with the library
    played by stubs.
    """
    from siamla.benchmark.toolkits import serve_vot

    sequence, answers = sequences[0], []
    region = SimpleNamespace(bounds=lambda: tuple(sequence.boxes[0].tolist()))
    images = [
        {"color": SimpleNamespace(path=lambda path=path: str(path))} for path in sequence.frames[:3]
    ]
    requests = [SimpleNamespace(type="init", image=images[0], objects=[(region, {})])]
    requests += [SimpleNamespace(type="frame", image=image, objects=None) for image in images[1:]]
    requests += [SimpleNamespace(type="quit")]

    class Server:
        def __init__(self, regions: list[str], formats: list[str]) -> None:
            assert (regions, formats) == (["rectangle"], ["path"])

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def wait(self) -> SimpleNamespace:
            return requests.pop(0)

        def status(self, objects: list) -> None:
            answers.append(objects[0][0])

    library = {
        "Server": Server,
        "Image": SimpleNamespace(PATH="path"),
        "Region": SimpleNamespace(RECTANGLE="rectangle"),
        "Rectangle": SimpleNamespace(create=lambda *box: list(box)),
        "TraxStatus": SimpleNamespace(INITIALIZE="init", FRAME="frame", QUIT="quit"),
    }
    monkeypatch.setitem(sys.modules, "trax", SimpleNamespace(**library))
    serve_vot(Drift())
    first = sequence.boxes[0].tolist()
    assert answers == [[first[0] + index, *first[1:]] for index in range(3)]


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
    assert (scores.overall, scores.per_sequence) == ({}, [])
    assert "TrackingNet: the truth of all" in capsys.readouterr().err
    assert speed(tmp_path, hidden, PROTOCOLS["trackingnet"])["frames"] > 0
    with pytest.raises(
        UserError, match="only the first box is known, unlike in the other sequences"
    ):
        score([sequences[0], *hidden[1:]], tmp_path, PROTOCOLS["trackingnet"])
