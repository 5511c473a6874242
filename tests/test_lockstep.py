"""Several sequences in lock step: one batch for all, results that do not depend on who else is
tracked.
"""

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import moving_square

from siamla.benchmark.protocols import RunRules, load_protocols, run_rules
from siamla.benchmark.tracking import track_benchmark
from siamla.engine.engines import installed
from siamla.engine.network import Maps, Network
from siamla.errors import UserError
from siamla.hardware import Hardware
from siamla.sequence import Sequence
from siamla.tracker.lockstep import LockStep
from siamla.tracker.settings import TrackerSettings

PROTOCOLS = load_protocols(Path(__file__).parents[1] / "params" / "protocols.yaml")
OTB, VOT = (run_rules(PROTOCOLS[name]) for name in ("otb100", "vot2018"))
CPU = Hardware("cpu", "fp32", 1)
KNOWS = {"colours": True, "recover": 0.6, "calm": 0.04}
HALF = torch.full((1, 1), 0.5)


class Counted:
    """A network whose maps tell crop and state of their row; it notes how many crops it is given,
    and fails when a crop is all 255.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def search(self, state: torch.Tensor, crops: np.ndarray) -> Maps:
        self.sizes.append(len(crops))
        if (crops == 255).all((1, 2, 3)).any():
            raise RuntimeError("no memory")
        value = crops.mean((1, 2, 3)) + state.numpy().mean(1)
        cls = np.broadcast_to(value[:, None, None], (len(crops), 2, 2)).astype(np.float32)
        return Maps(cls, cls[:, None], cls)


def meeting_of(network: Counted) -> LockStep:
    return LockStep(Network(embed=lambda crops: crops, search=network.search))


def crops(*values: int) -> np.ndarray:
    return np.stack([np.full((4, 4, 3), value, np.uint8) for value in values])


def test_everybody_gets_their_own_answer() -> None:
    """From as few passes as the longest asks, to one for each crop."""
    network = Counted()
    meeting = meeting_of(network)

    def ask(number: int) -> list[float]:
        with meeting.taking_part():
            asked = [crops(10 * number + turn) for turn in range(2 + number)]
            return [float(meeting.search(HALF, each).cls[0, 0, 0]) for each in asked]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    for number, values in enumerate(answers):
        assert values == [10 * number + turn + 0.5 for turn in range(2 + number)]
    assert 5 <= len(network.sizes) <= 14
    assert sum(network.sizes) == 14


def test_what_the_network_raises_all_get_and_a_stop_ends_waiting() -> None:
    meeting = meeting_of(Counted())
    with meeting.taking_part(), pytest.raises(RuntimeError, match="no memory"):
        meeting.search(HALF, crops(255))
    waits = threading.Event()

    def wait() -> None:
        with meeting.taking_part():
            waits.set()
            meeting.search(HALF, crops(0))

    with ThreadPoolExecutor(1) as pool, meeting.taking_part():  # who never asks
        waiting = pool.submit(wait)
        assert waits.wait(60)
        meeting.stop()
        with pytest.raises(CancelledError):
            waiting.result(60)


@pytest.fixture
def sequences(tmp_path: Path) -> list[Sequence]:
    """4 to 8 frames."""
    return [moving_square(tmp_path / "frames", f"s{i}", 4 + i, seed=i) for i in range(5)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.parametrize("rules", [OTB, VOT], ids=["one pass", "supervised"])
@pytest.mark.parametrize("more", [{}, KNOWS], ids=["paper", "knows"])
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_boxes_do_not_depend_on_who_else_is_tracked(
    tmp_path: Path,
    model_file: Path,
    sequences: list[Sequence],
    engine: str,
    rules: RunRules,
    more: dict[str, Any],
) -> None:
    """A frame's time would be that of all, so there is none."""
    if installed(engine) is None:
        pytest.skip(f"{engine} is not installed")
    settings = TrackerSettings(engine=engine, precision="fp32", batch=3, **more)
    track_benchmark(model_file, settings, CPU, sequences, tmp_path / "all", rules)
    for sequence in sequences:
        track_benchmark(model_file, settings, CPU, [sequence], tmp_path / "single", rules)
    single = contents(tmp_path / "single")
    assert contents(tmp_path / "all") == single
    assert len(single) >= 2 * len(sequences)  # boxes and confidences
    assert not [name for name in single if "time" in name]
    alone = settings.model_copy(update={"batch": 1})
    track_benchmark(model_file, alone, CPU, sequences, tmp_path / "plain", rules)
    assert [name for name in contents(tmp_path / "plain") if "time" in name]


def test_failures_are_told_when_the_others_are_done_and_only_the_missing_are_tracked_again(
    tmp_path: Path, model_file: Path, sequences: list[Sequence]
) -> None:
    broken = sequences[2].frames[3]
    sound = broken.read_bytes()
    broken.write_bytes(b"")
    settings, out = TrackerSettings(engine="torch", precision="fp32", batch=2), tmp_path / "out"
    with pytest.raises(UserError, match=r"1 of 5 sequences failed: s2, frame 4"):
        track_benchmark(model_file, settings, CPU, sequences, out, OTB)
    before = {path: path.stat().st_mtime_ns for path in out.glob("s?.txt")}
    assert sorted(path.name for path in before) == ["s0.txt", "s1.txt", "s3.txt", "s4.txt"]
    broken.write_bytes(sound)
    track_benchmark(model_file, settings, CPU, sequences, out, OTB)
    assert (out / "s2.txt").is_file()
    assert {path: path.stat().st_mtime_ns for path in before} == before
