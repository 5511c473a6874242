"""Score maps of chosen frames: the rule, what is stored of a frame, the file, and the jobs of the
plan.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import moving_square
from plans import Change
from tiny import SMALL

from siamla.benchmark.maps import FrameMaps, cell_boxes, choose, follow, read_maps, write_maps
from siamla.benchmark.settings import MapRule
from siamla.data.crop import to_crop, to_image
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.geometry import centre
from siamla.grid import MIDDLE, SEARCH
from siamla.model.siamla import build_model
from siamla.sequence import Sequence
from siamla.tracker.loading import tracker_of
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker

ONE_CELL = TrackerSettings(precision="fp32", top_n=1, window=0, penalty_k=0)


@pytest.fixture
def video(tmp_path: Path) -> Sequence:
    return moving_square(tmp_path, "square", 6, 800, 600)


def tracker() -> SiamTracker:
    return tracker_of(build_model(SMALL, seed=0), ONE_CELL)


@pytest.fixture
def found(video: Sequence, tmp_path: Path) -> list[FrameMaps]:
    return follow(tracker(), video, [1, 3, 5], tmp_path)


@pytest.mark.parametrize(
    ("sequences", "frames", "names", "chosen"),
    [(3, 2, "ace", [1, 5]), (None, 50, "abcde", [1, 2, 3, 4, 5]), (1, 1, "c", [3])],
)
def test_the_rule_spaces_sequences_and_frames_evenly(
    video: Sequence, sequences: int | None, frames: int, names: str, chosen: list[int]
) -> None:
    rule = MapRule(variants=["x"], sequences=sequences, frames=frames)
    one = replace(video, name="one", frames=video.frames[:1])
    videos = [one, *(replace(video, name=name) for name in "abcde")]
    assert [(s.name, own) for s, own in choose(videos, rule)] == [(name, chosen) for name in names]


def test_a_frame_is_what_the_tracker_saw_and_chose(found: list[FrameMaps], video: Sequence) -> None:
    """With one cell, no window and no penalty the tracker's box has the centre of the box at the
    peak of c·q.
    """
    assert [(frame.sequence, frame.frame, frame.image) for frame in found] == [
        ("square", index, f"square/{index:04d}.png") for index in (1, 3, 5)
    ]
    again = tracker()
    again.init(cv2.imread(str(video.frames[0])), video.boxes[0])
    boxes = [again.update(cv2.imread(str(path))) for path in video.frames[1:]]
    for frame in found:
        np.testing.assert_array_equal(frame.chosen, boxes[frame.frame - 1])
        np.testing.assert_array_equal(frame.truth, video.boxes[frame.frame])
        assert frame.crop.shape == (SEARCH, SEARCH, 3)
        assert ((frame.confidence >= 0) & (frame.confidence <= 1)).all()
        peak = np.unravel_index(frame.confidence.argmax(), (25, 25))
        np.testing.assert_allclose(centre(frame.boxes[peak]), centre(frame.chosen), atol=1e-3)
        middle = to_crop(frame.boxes[peak], frame.centre, frame.side, SEARCH)
        np.testing.assert_allclose(middle, frame.crop_boxes[peak], atol=1e-3)


def test_the_crop_is_in_rgb_and_unknown_truth_is_nan(video: Sequence, tmp_path: Path) -> None:
    hidden = replace(video, boxes=video.boxes[:1])
    for path in video.frames:
        cv2.imwrite(str(path), np.full((600, 800, 3), (200, 0, 0), np.uint8))
    (frame,) = follow(tracker(), hidden, [1], tmp_path)
    assert frame.crop[127, 127].tolist() == [0, 0, 200]
    assert np.isnan(frame.truth).all()


def test_cells_lie_on_the_grid() -> None:
    """Cell 12 lies on pixel index 127, the crop's middle: 127.5 where pixels are intervals."""
    boxes = cell_boxes(np.stack([np.full((25, 25), side, float) for side in (10, 20, 30, 40)]))
    assert MIDDLE == 127
    np.testing.assert_array_equal(boxes[12, 12], [117.5, 107.5, 40, 60])
    np.testing.assert_array_equal(boxes[0, 1], [29.5, 11.5, 40, 60])
    box = np.array([3.0, 4, 5, 6])
    np.testing.assert_allclose(to_image(to_crop(box, (50, 60), 80, 255), (50, 60), 80, 255), box)


def test_the_file_comes_back_and_has_equal_bytes(found: list[FrameMaps], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_maps(tmp_path / f"{name}.npz", found)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = read_maps(tmp_path / "a.npz")
    assert len(again) == 3
    for one, other in zip(found, again, strict=True):
        for name in FrameMaps.__annotations__:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            assert type(getattr(other, name)) is type(getattr(one, name)), name
    with pytest.raises(UserError, match="no frame to store"):
        write_maps(tmp_path / "none.npz", [])
    assert not (tmp_path / "none.npz").exists()


def test_another_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", c=np.ones(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    for name in ("other.npz", "cut.npz", "nowhere.npz"):
        with pytest.raises(UserError, match="numpy cannot read it as a file of score maps"):
            read_maps(tmp_path / name)


def test_maps_are_jobs_of_the_plan_beside_the_predictions(changed: Change) -> None:
    def maps(*variants: str, frames: int) -> list[Job]:
        rule = {"variants": list(variants), "sequences": 14, "frames": frames}
        return changed(maps=rule).jobs_of("maps")

    plan = changed()
    jobs = plan.jobs_of("maps")
    titles = ["maps otb100 siamcar, seed 1", "maps otb100 siamla, seed 1"]
    assert [job.title for job in jobs] == titles
    assert jobs[0].folder == Path("results/smoke/maps/otb100/siamcar/seed1")
    predicted = plan.job("predict", benchmark="otb100", variant="siamcar", seed=1)
    assert jobs[0].identity.plain["predictions"] == predicted.identity.plain
    assert set(jobs[0].parents) == {"model", "data"}
    (fewer,) = maps("siamcar", frames=5)
    assert fewer.key != jobs[0].key
    # who else is stored decides nothing
    assert [job.key for job in maps("siamcar", frames=6)] == [jobs[0].key]


BOLT = {"maps": ["bolt"], "benchmarks": {"bolt": {"layout": "vot", "root": "x"}}}


@pytest.mark.parametrize(
    ("profile", "rule", "said"),
    [
        ({"maps": ["otb10"]}, {}, "smoke.yaml: maps: 'otb10' is unknown; did you mean 'otb100'?"),
        ({"alignment": ["otb10"]}, {}, "smoke.yaml: alignment: 'otb10' is unknown; did you mean"),
        (BOLT, {}, "bolt starts the tracker again"),
        ({}, {"variants": ["siamcr"]}, "maps.yaml: variants: 'siamcr' is unknown; did you mean"),
        ({}, {"frames": 0}, "maps.yaml: frames is 0: expected at least 1"),
    ],
)
def test_mistakes_are_told_before_any_work(
    changed: Change, profile: dict, rule: dict, said: str
) -> None:
    with pytest.raises(UserError) as error:
        changed(smoke=profile, maps=rule)
    assert said in str(error.value)


def test_a_profile_without_maps_has_no_such_jobs(changed: Change, params: Path) -> None:
    (params / "maps.yaml").unlink()
    plan = changed(smoke={"maps": []})
    assert "maps" not in {job.step for job in plan.jobs()}
    with pytest.raises(UserError, match="profile smoke does not name it under `maps`"):
        plan.job("maps", benchmark="otb100", variant="siamcar", seed=1)
