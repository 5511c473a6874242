"""A tracker that knows: what its target looks like, when it has lost it, and when nothing moves.
The network is replaced by one that finds a colour, so that only this decides.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import siamla
from siamla.engine.network import Maps, Network
from siamla.errors import UserError
from siamla.geometry import from_centre, iou
from siamla.settings import validate
from siamla.tracker.likeness import colours, likeness
from siamla.tracker.recovery import WIDER, Belief, calmed
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker

Image = NDArray[np.uint8]
ALL = {"colours": True, "recover": 0.6, "calm": 0.04}
WIDTH, HEIGHT = 400, 300
RED, BLUE = (30, 30, 230), (230, 60, 30)  # BGR
SIZE = (40.0, 40.0)
HOME = (120.0, 150.0)


def ground(seed: int = 1, width: int = 600, height: int = 500) -> Image:
    noise = np.random.default_rng(seed).integers(60, 190, (height // 6, width // 6), np.uint8)
    grey = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(np.asarray(grey, np.uint8), cv2.COLOR_GRAY2BGR).astype(np.uint8)


def frame(things: dict[tuple[int, int, int], tuple[float, float]], shift: int = 0) -> Image:
    """Squares with the given middles before a ground that the camera has moved to the left."""
    image = ground()[50 : 50 + HEIGHT, 50 + shift : 50 + shift + WIDTH].copy()
    for colour, centre in things.items():
        x, y = np.rint(np.array(centre) - np.array(SIZE) / 2).astype(int).tolist()
        cv2.rectangle(image, (x, y), (x + int(SIZE[0]) - 1, y + int(SIZE[1]) - 1), colour, -1)
    return image


def search(state: str, crops: Image) -> Maps:
    """Sure (.8) at the middle of what is most coloured, red or blue; .3 everywhere else."""
    pixels = crops[0].astype(int)
    mask = np.ptp(pixels, axis=2) > 100
    cls = np.full((25, 25), 0.3, np.float32)
    ltrb = np.full((4, 25, 25), 32, np.float32)
    if mask.any():
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        edges = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        x, y = (edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2
        near = [int(np.clip(round((value - 31) / 8), 0, 24)) for value in (x, y)]
        cls[near[1], near[0]] = 0.8
        cells = 31.5 + 8 * np.arange(25)
        ltrb[0], ltrb[2] = cells[None] - edges[0], edges[2] - cells[None]
        ltrb[1], ltrb[3] = cells[:, None] - edges[1], edges[3] - cells[:, None]
    return Maps(cls[None], np.maximum(ltrb, 1)[None], np.full((1, 25, 25), 20, np.float32))


NETWORK = Network(embed=lambda crops: "embedded", search=search)


def tracker(**settings: object) -> SiamTracker:
    given = {"top_n": 1, "precision": "fp32", **settings}
    return SiamTracker(NETWORK, validate(TrackerSettings, given, "test"))


def box(centre: tuple[float, float]) -> np.ndarray:
    return from_centre(centre, SIZE)


# --- colours ---


def test_colours_tell_targets_apart() -> None:
    image = frame({RED: HOME, BLUE: (300, 200)})
    red = colours(image, box(HOME))
    assert red.sum() == pytest.approx(1)
    assert likeness(red, red) == pytest.approx(1)
    assert likeness(red, colours(image, box((300, 200)))) < 0.05
    for outside in ((-500, -500, 20, 20), (900, 900, 20, 20), (10, 10, 0.1, 0.1)):
        assert np.isfinite(colours(image, outside)).all()


def test_the_score_is_low_on_what_has_other_colours() -> None:
    plain, knowing = tracker(), tracker(colours=True)
    for one in (plain, knowing):
        one.init(frame({RED: HOME}), box(HOME))
        one.update(frame({RED: HOME}))
        assert one.score > 0.6
        one.update(frame({BLUE: HOME}))
    assert plain.score > 0.7
    assert knowing.score < 0.1


# --- the lost target ---


def test_a_belief_is_lost_at_once_and_back_after_two_sure_frames() -> None:
    belief = Belief()
    for _ in range(20):
        belief = belief.judge(0.8, 0.5, (1.0, 2.0))
    assert len(belief.first) == 10
    assert belief.usual == pytest.approx(0.8)
    assert not belief.frames
    said, wide = [], []
    for score in (0.41, 0.39, 0.6, 0.45, 0.2, 0.2, 0.55, 0.51, 0.45):
        belief = belief.judge(score, 0.5, (3.0, 4.0))
        said.append(belief.frames > 0)
        wide.append(belief.widen)
    assert said == [False, True, True, True, True, True, True, False, False]
    assert wide == [1, WIDER[0], 1, WIDER[2], WIDER[0], WIDER[1], 1, 1, 1]
    assert max(wide) <= max(WIDER)
    assert Belief().judge(0.0, 0.0, (1.0, 2.0)).frames == 0  # 0: never lost


@pytest.mark.parametrize("settings", [{"recover": 0.6}, ALL], ids=["alone", "all"])
def test_a_target_that_vanishes_is_missed_and_found_again(settings: dict[str, object]) -> None:
    """It comes back 100 px away, beyond the plain search; meanwhile the box keeps its size."""
    one = tracker(**settings)
    one.init(frame({RED: HOME}), box(HOME))
    for _ in range(12):
        assert iou(one.update(frame({RED: HOME})), box(HOME)) > 0.8
        assert one.lost is False
    sides = {tuple(one.update(frame({}))[2:].round(6)) for _ in range(15)}
    assert one.lost is True
    assert len(sides) == 1
    back = (HOME[0] + 100, HOME[1])
    found = [iou(one.update(frame({RED: back})), box(back)) > 0.5 for _ in range(6)]
    assert found[-1]
    assert one.lost is False
    plain = tracker()
    plain.init(frame({RED: HOME}), box(HOME))
    for _ in range(15):
        plain.update(frame({}))
    assert plain.lost is None


def test_a_new_start_forgets_the_loss() -> None:
    """As a restart of VOT's: everything is as with a new tracker."""
    one, fresh = tracker(**ALL), tracker(**ALL)
    one.init(frame({RED: HOME}), box(HOME))
    for things in [{RED: HOME}] * 3 + [{}] * 4:
        one.update(frame(things))
    assert one.lost
    for each in (one, fresh):
        each.init(frame({BLUE: (260, 120)}, 20), box((260, 120)))
        assert each.lost is False
    for step in range(6):
        image = frame({BLUE: (260 - 3 * step, 120)}, 20 + step)
        assert one.update(image).tobytes() == fresh.update(image).tobytes()
        assert one.score == fresh.score


# --- what stands still ---


def test_a_still_target_moves_less_and_a_fast_one_as_before() -> None:
    np.testing.assert_allclose(calmed(np.array([0.3, 0.4]), 1.0), [0.15, 0.2])
    np.testing.assert_allclose(calmed(np.array([0.03, 0.04]), 1.0), [0.009, 0.012])
    np.testing.assert_allclose(calmed(np.array([3.0, 4.0]), 1.0), [3, 4])
    noise = np.random.default_rng(0).normal(0, 1.5, (30, 2))
    moved = {}
    for calm in (0.0, 0.1):
        one = tracker(calm=calm)
        one.init(frame({RED: HOME}), box(HOME))
        boxes = [one.update(frame({RED: tuple(HOME + each)})) for each in noise]
        middles = np.array(boxes)[:, :2] + np.array(boxes)[:, 2:] / 2
        moved[calm] = float(np.linalg.norm(np.diff(middles, axis=0), axis=1).mean())
    assert moved[0.1] < moved[0.0] / 2


# --- settings and paths ---


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"recover": 0.9}, "recover"),
        ({"calm": -1}, "calm"),
        ({"colours": "often"}, "colours"),
        ({"calm": 0.1, "postprocess": "release"}, "calm needs postprocess topn"),
        ({"recover": 0.6, "lost": 0.3}, "lost is of no use beside recover"),
    ],
)
def test_wrong_settings_are_one_line(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said) as told:
        validate(TrackerSettings, wrong, "tracker settings")
    assert len(str(told.value).splitlines()) == 1


def test_a_model_file_and_its_exported_folder_know_the_same(
    model_file: Path, tmp_path: Path
) -> None:
    from siamla.engine.export import export
    from siamla.model.checkpoint import read_model
    from siamla.tracker.settings import exported

    pytest.importorskip("openvino")
    file = read_model(model_file)
    settings = TrackerSettings(precision="fp32", **ALL)
    export(file.model, tmp_path / "out", "openvino", {"label": "L", "tracker": exported(settings)})
    ways = [siamla.load(model_file, {**settings.model_dump(), "lost": None}, device="cpu")]
    ways.append(siamla.load(tmp_path / "out"))
    path = [(HOME[0] + 3 * step, HOME[1]) for step in range(8)]
    for one in ways:
        one.init(frame({RED: HOME}), box(HOME))
    for step, centre in enumerate(path):
        image = frame({RED: centre} if step % 5 else {}, step)
        first, second = (one.update(image) for one in ways)
        np.testing.assert_allclose(first, second, atol=0.05)
        assert ways[0].lost == ways[1].lost
        assert ways[0].score == pytest.approx(ways[1].score, abs=1e-3)
