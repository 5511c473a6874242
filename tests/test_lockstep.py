"""Several sequences in lock step: one batch for all, results that do not depend on who else is
tracked.
"""

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from siamla.benchmark.protocols import load_protocols, run_rules
from siamla.benchmark.runner import TrackingFailed
from siamla.benchmark.tracking import track_benchmark
from siamla.engine.engines import Maps, Network, installed
from siamla.hardware import Hardware
from siamla.sequence import Sequence
from siamla.tracker.lockstep import LockStep, Stopped
from siamla.tracker.settings import TrackerSettings

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
OTB, VOT = (run_rules(PROTOCOLS[name]) for name in ("otb100", "vot2018"))
CPU = Hardware("cpu", "fp32", 1)


def answer(state: torch.Tensor, crops: np.ndarray) -> Maps:
    """Maps that tell crop and state of their row."""
    value = crops.reshape(len(crops), -1).mean(1) + state.numpy().reshape(len(crops), -1).mean(1)
    cls = np.broadcast_to(value[:, None, None], (len(crops), 2, 2)).astype(np.float32)
    return Maps(cls, cls[:, None], cls)


class Counted:
    """A network that notes how many crops it is given; fails when a crop is all 255."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def search(self, state: torch.Tensor, crops: np.ndarray) -> Maps:
        self.sizes.append(len(crops))
        if (crops == 255).all((1, 2, 3)).any():
            raise RuntimeError("no memory")
        return answer(state, crops)


def ask(meeting: LockStep, number: int, times: int, found: dict[int, list[float]]) -> None:
    with meeting.taking_part():
        for turn in range(times):
            crops = np.full((1, 4, 4, 3), 10 * number + turn, np.uint8)
            found.setdefault(number, []).append(
                float(meeting.search(torch.full((1, 1), 0.5), crops).cls[0, 0, 0])
            )


def test_everybody_gets_their_own_answer() -> None:
    """From as few passes as the longest asks, to one for each crop."""
    network, found = Counted(), {}
    meeting = LockStep(Network(embed=lambda crops: crops, search=network.search))
    threads = [
        threading.Thread(target=ask, args=(meeting, number, 2 + number, found))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {
        number: [10 * number + turn + 0.5 for turn in range(2 + number)] for number in range(4)
    }
    assert 5 <= meeting.passes == len(network.sizes) <= 14
    assert sum(network.sizes) == 14


def test_who_asks_for_two_crops_gets_two_answers() -> None:
    meeting = LockStep(Network(embed=lambda crops: crops, search=answer))
    with meeting.taking_part():
        crops = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (10, 20)])
        found = meeting.search(torch.full((1, 1), 0.5), crops)
    assert found.cls[:, 0, 0].tolist() == [10.5, 20.5]


def test_what_the_network_raises_all_get_and_a_stop_ends_waiting() -> None:
    meeting = LockStep(Network(embed=lambda crops: crops, search=Counted().search))
    with meeting.taking_part(), pytest.raises(RuntimeError, match="no memory"):
        meeting.search(torch.zeros(1, 1), np.full((1, 4, 4, 3), 255, np.uint8))
    caught: list[type] = []

    def wait() -> None:
        try:
            with meeting.taking_part():
                meeting.search(torch.zeros(1, 1), np.zeros((1, 4, 4, 3), np.uint8))
        except Stopped as error:
            caught.append(type(error))

    with meeting.taking_part():  # who never asks
        thread = threading.Thread(target=wait)
        thread.start()
        meeting.stop()
        thread.join(60)
    assert caught == [Stopped]


@pytest.fixture
def sequences(tmp_path: Path) -> list[Sequence]:
    """Five textured squares that move over a textured ground; 4 to 8 frames."""
    found = []
    for number in range(5):
        noise = np.random.default_rng(number)
        ground = cv2.resize(noise.integers(0, 256, (20, 26, 3), dtype=np.uint8), (160, 120))
        target = cv2.resize(noise.integers(0, 256, (5, 5, 3), dtype=np.uint8), (30, 30))
        folder, count = tmp_path / "frames" / f"s{number}", 4 + number
        folder.mkdir(parents=True)
        for frame in range(count):
            image = ground.copy()
            image[40:70, 50 + 3 * frame : 80 + 3 * frame] = target
            cv2.imwrite(str(folder / f"{frame:04d}.png"), image)
        boxes = np.array([[50.0 + 3 * frame, 40, 30, 30] for frame in range(count)])
        frames = tuple(sorted(folder.iterdir()))
        found.append(Sequence(f"s{number}", frames, boxes, np.ones(count, bool)))
    return found


@pytest.mark.parametrize("rules", [OTB, VOT], ids=["one pass", "supervised"])
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_boxes_do_not_depend_on_who_else_is_tracked(
    tmp_path: Path, model_file: Path, sequences: list[Sequence], engine: str, rules: object
) -> None:
    if installed(engine) is None:
        pytest.skip(f"{engine} is not installed")
    settings = TrackerSettings(engine=engine, precision="fp32", batch=3)
    track_benchmark(model_file, settings, CPU, sequences, tmp_path / "all", rules)
    for sequence in sequences:
        track_benchmark(model_file, settings, CPU, [sequence], tmp_path / "single", rules)
    single = {
        p.relative_to(tmp_path / "single"): p.read_bytes()
        for p in (tmp_path / "single").rglob("*.*")
    }
    assert {
        p.relative_to(tmp_path / "all"): p.read_bytes() for p in (tmp_path / "all").rglob("*.*")
    } == single
    assert len(single) >= 2 * len(sequences)  # boxes and confidences
    assert not [
        path for path in single if "time" in path.name
    ]  # a frame's time would be that of all
    track_benchmark(
        model_file,
        settings.model_copy(update={"batch": 1}),
        CPU,
        sequences,
        tmp_path / "plain",
        rules,
    )
    assert [path for path in (tmp_path / "plain").rglob("*.*") if "time" in path.name]


def test_failures_are_told_when_the_others_are_done_and_only_the_missing_are_tracked_again(
    tmp_path: Path, model_file: Path, sequences: list[Sequence]
) -> None:
    broken = sequences[2].frames[3]
    sound = broken.read_bytes()
    broken.write_bytes(b"")
    settings, out = TrackerSettings(engine="torch", precision="fp32", batch=2), tmp_path / "out"
    with pytest.raises(TrackingFailed, match=r"1 of 5 sequences failed: s2, frame 4"):
        track_benchmark(model_file, settings, CPU, sequences, out, OTB)
    stored = {path.name: path.stat().st_mtime_ns for path in out.glob("s?.txt")}
    assert sorted(stored) == ["s0.txt", "s1.txt", "s3.txt", "s4.txt"]
    broken.write_bytes(sound)
    track_benchmark(model_file, settings, CPU, sequences, out, OTB)
    assert (out / "s2.txt").is_file()
    assert {
        path.name: path.stat().st_mtime_ns for path in out.glob("s?.txt") if path.name != "s2.txt"
    } == stored
