"""Generated sets: the same bytes every time, exact boxes, hard enough, nothing half-made."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from siamla.cli.main import main
from siamla.data.formats import LAYOUTS, vot
from siamla.data.sheet import contact_sheet
from siamla.errors import UserError
from siamla.experiment.step import generator_code
from siamla.files import read_json, sha256
from siamla.miniatures.dataset import (
    MANIFEST,
    WRITERS,
    clip_seed,
    clip_settings,
    content,
    synthesize,
)
from siamla.miniatures.findable import findable
from siamla.miniatures.photos import PHOTOS, load_photo, photo_path, photo_segments
from siamla.miniatures.scene import render
from siamla.miniatures.settings import (
    Challenges,
    ClipSettings,
    Looks,
    Motion,
    SetSettings,
    load_sets,
)
from siamla.miniatures.sprites import Pose, Sprite, draw, make_sprite
from siamla.provenance.code import Sources

ROOT = Path(__file__).parents[1]

PARAMS = ROOT / "params" / "synthetic.yaml"
SMALL = SetSettings(
    layout="otb", split="test", sequences=3, frames=(4, 6), size=(96, 72), seed=5, name="c{:d}"
)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): sha256(path) for path in files}


def test_photos_are_shipped_and_splits_are_disjoint() -> None:
    everything = [name for names in PHOTOS.values() for name in names]
    assert set(PHOTOS) == {"train", "test", "validation"}
    assert len(set(everything)) == len(everything) == 23
    assert all(photo_path(name).is_file() for name in everything)
    assert sum("motorcycle" in name for name in PHOTOS["train"]) == 2  # the stereo pair
    seeds = [settings.seed for settings in load_sets(PARAMS).values()]
    assert len(set(seeds)) == len(seeds)


def test_same_bytes_whatever_the_jobs(tmp_path: Path) -> None:
    for name, jobs in (("once", 1), ("again", 1), ("two", 2)):
        synthesize("small", SMALL, tmp_path / name, jobs)
    assert digests(tmp_path / "once") == digests(tmp_path / "again") == digests(tmp_path / "two")
    other = SMALL.model_copy(update={"seed": 6})
    synthesize("small", other, tmp_path / "once")  # a generated set is replaced
    assert digests(tmp_path / "once") != digests(tmp_path / "two")
    sequences = [LAYOUTS["otb"].read(tmp_path / "two", name) for name in ("c1", "c2", "c3")]
    sheet = contact_sheet(sequences, columns=4, width=100, height=75)
    assert sheet.shape == (3 * (75 + 16), 400, 3)


def test_challenges_have_their_exact_share() -> None:
    settings = load_sets(PARAMS)["otb100"]
    clips = clip_settings(settings)
    for name in ("occlusion", "leave", "blur", "tiny"):
        share = getattr(settings.challenges, name)
        assert sum(name in clip.challenges for clip in clips) == round(len(clips) * share)
    assert sum(clip.region for clip in clips) == round(len(clips) * settings.region)


def pixels(frame: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom edge of what is bright."""
    rows, columns = np.nonzero(frame[..., 0] > 127)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def bounds(outline: np.ndarray) -> np.ndarray:
    return np.concatenate([outline.min(0), outline.max(0)])


WHITE = np.full((32, 32, 3), 255, np.uint8)


def test_drawn_pixels_fill_the_box_of_the_outline() -> None:
    """√(w h) = √200 and w / h = 2 around (40, 30): the box of 20 × 10 covers pixels 30 … 49 and 25
    … 34.
    """
    sprite = Sprite(np.array([(-1.0, -1), (1, -1), (1, 1), (-1, 1)]), WHITE, 2.0)
    frame = np.zeros((60, 80, 3), np.uint8)
    outline, alpha, _ = draw(frame, sprite, Pose(np.array([40.0, 30.0]), np.sqrt(200.0), 2.0, 0.0))
    assert np.allclose(bounds(outline), (30, 25, 50, 35))
    assert alpha is not None
    assert pixels(frame).tolist() == [30, 25, 50, 35]


def test_the_box_of_a_segment_is_that_of_its_pixels() -> None:
    looks = Looks(segments=1)
    for seed in range(6):
        sprite = make_sprite(np.random.default_rng(seed), PHOTOS["train"], 60, looks)
        assert sprite.fixed
        white = replace(sprite, texture=np.full_like(sprite.texture, 255))
        pose = Pose(np.array([80.3, 70.6]), 60.0, sprite.aspect, 0.3, (0.2, 0.5, 1.0))
        frame = np.zeros((150, 170, 3), np.uint8)
        outline, _, _ = draw(frame, white, pose)
        assert np.abs(bounds(outline) - pixels(frame)).max() < 1.6


@pytest.mark.parametrize("region", [False, True])
def test_truth_is_in_range(region: bool) -> None:
    challenges = frozenset(Challenges.model_fields) - {"tiny", "switch"}
    scene = PHOTOS["test"][1]
    clip = ClipSettings(
        40, (160, 120), "test", region, scene, (), Motion(knot_frames=8), challenges
    )
    for seed in range(4):
        made = render(clip, np.random.SeedSequence(seed))
        assert len(made.frames) == len(made.boxes) == len(made.visible) == len(made.polygons) == 40
        assert {frame.shape for frame in made.frames} == {(120, 160, 3)}
        low, high = made.boxes[:, :2], made.boxes[:, :2] + made.boxes[:, 2:]
        assert (low >= 0).all()
        assert (high <= (160, 120)).all()
        assert (made.boxes[made.visible, 2:] > 1).all()
        assert made.visible[0]
        assert not made.visible.all()  # it leaves the view
        assert set(made.frame_attributes) == set(vot.TAGS)
        assert {"MB", "OPR"} <= made.attributes["otb"]
        assert "OV" in made.attributes["lasot"]


def test_targets_move_no_more_than_published() -> None:
    """GOTURN's Laplace scales, a fifth of them for a frame: .04 of the sides, .013 of the size; but
    for `fast` ones.
    """
    settings = load_sets(PARAMS)["study_otb100"]
    moves, sizes = [], []
    for index, clip in enumerate(clip_settings(settings)):
        if clip.challenges & {"fast", "leave", "tiny"} or index >= 24:
            continue
        plain = replace(clip, size=(180, 135), looks=Looks())
        boxes = render(plain, clip_seed(settings, index)).boxes
        centres = boxes[:, :2] + boxes[:, 2:] / 2
        moves.append(np.abs(np.diff(centres, axis=0)) / boxes[:-1, 2:])
        sizes.append(np.abs(np.diff(np.log(boxes[:, 2:]), axis=0)))
    assert 0.02 < np.concatenate(moves).mean() < 0.04
    assert np.concatenate(sizes).mean() < 1 / 75


def test_segments_have_their_own_texture() -> None:
    name = PHOTOS["test"][1]
    segments = photo_segments(name)
    assert len(segments) > 10
    photo = load_photo(name)
    for segment in segments:
        assert np.abs(segment.outline).max() <= 1
        height, width = segment.texture.shape[:2]
        low = np.floor(segment.place.min(0)).astype(int)
        # inside the outline the texture is the photo's, and only there
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [np.rint(segment.place - low - 0.5).astype(np.int32)], 1)
        inside = cv2.erode(mask, np.ones((5, 5), np.uint8), borderValue=0) > 0
        patch = photo[low[1] : low[1] + height, low[0] : low[0] + width]
        assert np.array_equal(segment.texture[inside], patch[inside])
    assert not photo_segments("skimage/data/page.png")


def test_looks_change_what_is_seen_not_where_it_is() -> None:
    film = Looks(segments=1, feather=1.5, degrade=1)
    scene, light = PHOTOS["train"][0], frozenset({"light"})
    for region in (False, True):
        clip = ClipSettings(6, (160, 120), "train", region, scene, (), Motion(), light, film)
        looks = (film, film, Looks(segments=1, feather=1.5))
        first, second, clean = (
            render(replace(clip, looks=each), np.random.SeedSequence(8)) for each in looks
        )
        assert np.array_equal(first.frames, second.frames)
        assert np.array_equal(clean.boxes, first.boxes)
        assert not np.array_equal(clean.frames[0], first.frames[0])
        assert 0.1 < np.abs(np.array(clean.frames, int) - first.frames).mean() < 30


def test_what_a_person_finds() -> None:
    """A disc is found by who sees its edge all around: not one of the ground's own colour, in the
    dark, half in front of its like, out of focus, or on a pattern as strong as its edge.
    """
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    outline = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 20 + (60, 50)
    rows, columns = np.indices((100, 120)) // 8
    checks = ((rows + columns) % 2)[..., None].astype(np.uint8) * np.ones(3, np.uint8)

    def disc(ground: np.ndarray, at: float = 0.0) -> np.ndarray:
        points = (outline + np.array([at, 0.0])).astype(np.int32)
        return np.asarray(cv2.fillPoly(ground.copy(), [points], (190, 190, 190)), np.uint8)

    grey = np.full((100, 120, 3), 90, np.uint8)
    half = disc(grey)
    half[50:] = 190
    dark = np.asarray(disc(grey) // 10, np.uint8)
    assert findable(disc(grey), outline)
    assert findable(disc(80 + 20 * checks), outline)
    assert findable(disc(grey, 60), outline + np.array([60.0, 0]))  # as far as it is in the frame
    blurred = np.asarray(cv2.blur(disc(grey), (61, 61)), np.uint8)
    for frame in (grey, dark, half, blurred, disc(60 + 140 * checks)):
        assert not findable(frame, outline)


def test_a_target_that_nobody_would_find_is_refused() -> None:
    gravel = "skimage/data/gravel.png"  # no part of it is a thing of its own
    clip = ClipSettings(40, (160, 120), "test", True, gravel, (), Motion(), frozenset({"blur"}))
    with pytest.raises(UserError, match="no clip of 40 frames with blur in 200 draws has a target"):
        render(clip, np.random.SeedSequence(1))


def test_a_set_is_known_by_its_manifest_and_holds_the_truth(tmp_path: Path) -> None:
    change = {"layout": "trackingnet", "first_frame_only": True}
    settings, root = SMALL.model_copy(update=change), tmp_path / "set"
    synthesize("small", settings, root, 1, "code")
    for index, clip in enumerate(clip_settings(settings)):
        truth = render(clip, clip_seed(settings, index))
        sequence = LAYOUTS["trackingnet"].read(root, f"c{index + 1}")
        assert len(sequence) == len(sequence.boxes) == clip.frames
        assert np.abs(sequence.boxes - truth.boxes).max() <= 0.01
    assert len((root / "anno/c1.txt").read_text().splitlines()) == 1
    files = digests(root)
    del files[MANIFEST]
    assert read_json(root / MANIFEST)["files"] == files
    synthesize("other", settings, tmp_path / "elsewhere", 1, "code")
    whole = content(root, settings, "code")
    assert whole == content(tmp_path / "elsewhere", settings, "code") != ""
    assert content(root, settings, "other code") == ""
    next(root.rglob("*.jpg")).unlink()
    assert content(root, settings, "code") == ""


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("looks", {"segment": 1}, "unknown key 'a.looks.segment'; did you mean 'segments'?"),
        ("frames", [9, 3], "frames is"),
        ("name", "fixed", "name is 'fixed'"),
        ("motion", {"target": [0.4, 0.2]}, "target is"),
    ],
)
def test_bad_settings_name_file_and_key(
    key: str, value: object, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "synthetic.yaml"
    path.write_text(yaml.safe_dump({"a": SMALL.model_dump(mode="json") | {key: value}}))
    with pytest.raises(UserError, match=re.escape(expected)) as caught:
        load_sets(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "stranger", ["notes.txt", "c1/notes.txt", "c1/img/mine.jpg", "c4/img/0001.jpg", "link"]
)
def test_a_file_that_the_set_did_not_write_is_not_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stranger: str
) -> None:
    params, root = tmp_path / "synthetic.yaml", tmp_path / "set"
    params.write_text(yaml.safe_dump({"small": SMALL.model_dump(mode="json")}))
    command = ["data", "synthesize", "small", "--params", str(params), "--root", str(root)]
    assert main(command) == 0
    (root / stranger).parent.mkdir(parents=True, exist_ok=True)
    if stranger == "link":
        (root / stranger).symlink_to("nowhere")
    else:
        (root / stranger).write_text("keep")
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    assert main(command) == 2
    message = f"{root}: holds {stranger}, which the set did not write; move it away"
    assert message in capsys.readouterr().err
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before
    (root / MANIFEST).unlink()
    assert main(command) == 2
    assert "was not generated" in capsys.readouterr().err


def test_dvc_watches_all_the_code_that_renders_a_set() -> None:
    """A stage's dependencies hold every file that the plan's code digest follows."""
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["synthesize"]
    watched = [Path(dep) for dep in stage["deps"]]
    every = Sources().definitions([each for name in WRITERS for each in generator_code(name)])
    for module in {name.partition(":")[0] for name in every}:
        path = Path(*module.split(".")).with_suffix(".py")
        covered = any(path == dep or dep in path.parents for dep in watched)
        assert covered, f"{path} is missing in dvc.yaml"
    # a film is not DVC's: it is taken out of packages that a user has
    drawn = [name for name, each in load_sets(PARAMS).items() if each.film is None]
    assert sorted(stage["matrix"]["set"]) == sorted(drawn)
