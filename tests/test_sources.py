"""Training sets: each official layout with its traps, what is kept and why, a training on all."""

import gzip
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import training_sets as sets
from conftest import COMMAND, Tree

from siamla.data.crops import CropCache, build
from siamla.data.settings import CropSettings
from siamla.data.sources.survey import curate_boxes, load_tracks
from siamla.errors import UserError
from siamla.geometry import padded_size


def curated(root: Path, layout: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows and the report of a set, some of which may be damaged."""
    out = root.parent / f"{root.name}-out"
    report = curate_boxes(root, layout, "x", out, allow_rejected=True)
    return pq.read_table(out / "boxes.parquet").to_pylist(), report


def box(row: dict[str, Any]) -> list[float]:
    return [row[key] for key in "xywh"]


def test_coco_flags_crowds_and_leaves_out_what_is_no_target(tmp_path: Path) -> None:
    rows, _ = curated(sets.coco(tmp_path / "coco"), "coco")
    by_track = {row["track"]: row for row in rows}
    assert {track: row["reason"] for track, row in by_track.items()} == {
        "918": "",
        "900100": "crowd",
        "2206849": "no area",
        "12": "small",
        "13": "",
        "14": "outside",
        "15": "no image",
        "16": "fills the image",
        "17": "narrow",
    }
    assert [row["track"] for row in rows if row["crowd"]] == ["900100"]
    first = by_track["918"]
    assert box(first) == [10.5, 20.25, 40, 30]
    assert first["image"] == "train2017/000000000009.jpg"
    assert (first["category"], first["width"], first["height"]) == ("person", 160, 120)
    assert box(by_track["13"]) == [140, 100, 20, 20]  # cut at the border
    assert by_track["13"]["beyond"] == 20


def test_coco_names_damaged_and_repeated_annotations(tmp_path: Path) -> None:
    root = sets.coco(tmp_path / "coco")
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    sound = content["annotations"][0]
    content["annotations"] += [
        {**sound, "id": 1, "bbox": [1, 2, 3]},
        {**sound, "id": 2, "bbox": [1, 2, float("nan"), 4]},
        {"id": 3},
        {**sound, "id": 4, "image_id": 99},
        sound,
        "text",
    ]
    path.write_text(json.dumps(content))
    rows, report = curated(root, "coco")
    findings = report["findings"]
    assert findings["damaged annotations"]["count"] == 4
    first = "annotations[9]: ValueError: bbox is [1, 2"
    assert findings["damaged annotations"]["first"][0].startswith(first)
    assert findings["boxes of unknown images"]["first"] == ["annotation 4 of image 99"]
    assert [row["reason"] for row in rows if row["track"] == "918"] == ["", "duplicate"]


def test_det_reads_both_levels_and_scales_boxes_to_the_image(tmp_path: Path) -> None:
    rows, report = curated(sets.det(tmp_path / "det"), "imagenet_det")
    by_image = {row["image"].rpartition("/")[2]: row for row in reversed(rows)}
    folders = {row["sequence"].partition("/")[0] for row in rows}
    assert folders == {"ILSVRC2013_train", "ILSVRC2014_train_0000"}
    assert [row["kept"] for row in rows] == [True] * 4
    assert box(by_image["n01440764_10.JPEG"]) == [10, 20, 50, 60]
    marks = [(row["difficult"], row["truncated"]) for row in rows[:2]]
    assert marks == [(False, False), (True, True)]
    half = by_image["n01443537_2.JPEG"]
    assert (box(half), half["width"], half["height"]) == ([10, 20, 80, 80], 160, 120)
    first = {kind: entry["first"][0] for kind, entry in report["findings"].items()}
    other = "n01443537_2.JPEG: 160×120, its XML says 80×60"
    assert first["images of another size"].endswith(other)
    assert "ILSVRC2014_train_00000002.xml: not valid XML" in first["damaged annotations"]


def test_vid_keeps_every_segment_of_every_track(tmp_path: Path) -> None:
    rows, _ = curated(sets.vid(tmp_path / "vid"), "imagenet_vid")
    assert all(row["kept"] for row in rows)
    assert box(rows[0]) == [10, 30, 40, 40]  # tags by name: VID writes xmax first
    numbers = {
        track.name.removeprefix("ILSVRC2015_VID_train_0000/"): track.numbers.tolist()
        for track in load_tracks(tmp_path / "vid-out")
        if track.numbers is not None
    }
    assert numbers == {
        "ILSVRC2015_train_00000000/0/0": [0, 1, 2, 3, 4, 5],
        "ILSVRC2015_train_00000000/0/1": [46, 47, 48, 49, 50, 51],
        "ILSVRC2015_train_00000000/61/0": list(range(46)),
        "ILSVRC2015_train_00000001/0/0": [1, 2, 3, 4, 5],
    }
    hidden = [row for row in rows if row["occluded"]]
    assert len(hidden) == 6
    assert all(row["generated"] and row["track"] == "61" for row in hidden)
    curated(sets.vid(tmp_path / "short", gap=10), "imagenet_vid")  # parts no track
    (track,) = (each for each in load_tracks(tmp_path / "short-out") if "00000000/0/" in each.name)
    assert track.numbers is not None
    assert track.numbers.tolist() == [0, 1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21]


@pytest.mark.parametrize("header", [False, True])
def test_ytbb_boxes_are_pixels_and_absent_rows_none(tmp_path: Path, header: bool) -> None:
    rows, _ = curated(sets.ytbb(tmp_path / "ytbb", header), "youtubebb")
    told = [(row["sequence"], row["track"], row["frame"], row["reason"]) for row in rows]
    odd = "23/AA_B-6lO_"
    assert told == [
        ("0/zz0", "0", 5, ""),
        ("0/zz0", "0", 6, "no image"),
        (odd, "0", 238, ""),
        (odd, "0", 239, "absent"),
        (odd, "0", 240, ""),
        (odd, "0", 241, ""),
        (odd, "0", 241, "duplicate"),
        (odd, "0", 242, "no area"),
        (odd, "1", 240, ""),
    ]
    square = rows[2]
    assert box(square) == pytest.approx([200, 100, 200, 200])
    # what the field's scripts make of the relative numbers, 46×82, against the square that it is
    assert 127 * 200 / padded_size(200, 200) == pytest.approx(63.5)
    assert square["image"] == "yt_bb_detection_train/23/AA_B-6lO__238000_23_0.jpg"
    assert box(rows[5]) == pytest.approx([1152, 144, 128, 288])  # cut at the frame's border
    assert np.isnan(box(rows[3])).all()


def test_ytbb_reads_the_packed_file_and_counts_damaged_rows(tmp_path: Path) -> None:
    root = sets.ytbb(tmp_path / "ytbb")
    path = root / "yt_bb_detection_train.csv"
    lines = path.read_bytes()
    with gzip.open(root / "youtube_boundingboxes_detection_train.csv.gz", "wb") as packed:
        packed.write(lines + b"zz0,7000,0\r\n")
    path.unlink()
    rows, report = curated(root, "youtubebb")
    assert len(rows) == 9
    assert sum(row["kept"] for row in rows) == 5
    assert report["findings"]["damaged annotations"]["count"] == 1


def test_got10k_leaves_out_absent_frames_and_keeps_numbers(tmp_path: Path) -> None:
    rows, _ = curated(sets.got10k(tmp_path / "got"), "got10k")
    first = [row for row in rows if row["sequence"].endswith("1")]
    assert [row["reason"] for row in first] == ["", "", "absent", "", ""]
    assert [row["cover"] for row in first] == [8, 8, 0, 8, 6]
    assert [row["truncated"] for row in first] == [False] * 4 + [True]
    assert box(first[4]) == [130, 40, 30, 30]
    assert {row["category"] for row in rows} == {"bear"}
    track = load_tracks(tmp_path / "got-out")[0]
    assert track.numbers is not None
    assert track.numbers.tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("layout", sets.SETS)
def test_bytes_do_not_depend_on_processes(layout: str, tmp_path: Path) -> None:
    root = sets.SETS[layout](tmp_path / "set")
    for jobs in (1, 2):
        curate_boxes(root, layout, "x", tmp_path / f"out{jobs}", jobs=jobs, allow_rejected=True)
    for name in ("boxes.parquet", "report.json"):
        one, two = (tmp_path / f"out{jobs}" / name for jobs in (1, 2))
        assert one.read_bytes() == two.read_bytes()
    for track in load_tracks(tmp_path / "out1"):
        for file, (x, y, w, h) in zip(track.frames, track.boxes, strict=True):
            height, width = cv2.imread(str(file)).shape[:2]
            assert min(x, y, w - 4, h - 4) >= 0
            assert x + w <= width
            assert y + h <= height


def test_a_set_that_is_half_there_is_refused_and_nothing_written(tmp_path: Path) -> None:
    root, out = sets.vid(tmp_path / "vid"), tmp_path / "out"
    for path in (root / "Data").rglob("00000[23].JPEG"):
        path.unlink()
    with pytest.raises(UserError, match="6 of 63 boxes are without their image"):
        curate_boxes(root, "imagenet_vid", "x", out)
    assert not out.exists()
    assert curate_boxes(root, "imagenet_vid", "x", out, allow_rejected=True)["kept"] == 57
    root = sets.ytbb(tmp_path / "ytbb")  # YouTube-BB may be there in part
    assert curate_boxes(root, "youtubebb", "x", out)["left_out"]["no image"] == 1


def test_a_share_of_images_may_be_unreadable(tmp_path: Path) -> None:
    root = sets.vid(tmp_path / "vid")
    curate_boxes(root, "imagenet_vid", "x", tmp_path / "out")
    tracks = load_tracks(tmp_path / "out")
    broken = next(iter((root / "Data").rglob("000003.JPEG")))
    sound = broken.read_bytes()
    broken.write_bytes(sound[:400])
    settings = CropSettings(size=255)
    one, two = tmp_path / "one", tmp_path / "two"
    build(tracks, settings, one, 1, shard_crops=10, skip=0.1)
    build(tracks, settings, two, 2, shard_crops=10, skip=0.1)
    files = [path.name for path in one.iterdir()]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    boxes = sum(broken in track.frames for track in tracks)
    assert len(CropCache(one)) == sum(map(len, tracks)) - boxes
    assert f"{broken},{broken}: not a readable image" in (one / "skipped.csv").read_text()
    few = tmp_path / "few"
    too_many = r"1 of 5\d images cannot be decoded, more than 1% .*000003.JPEG: not a readable"
    with pytest.raises(UserError, match=too_many):
        build(tracks, settings, few, skip=0.01)
    assert not (few / "manifest.json").exists()
    with pytest.raises(UserError, match=r"000003\.JPEG: not a readable image"):
        build(tracks, settings, tmp_path / "none")
    broken.write_bytes(sound)
    build(tracks, settings, few, skip=0.01)
    assert len(CropCache(few)) == sum(map(len, tracks))


def test_a_look_at_the_papers_pipeline_lists_missing_folders(bare_tree: Tree) -> None:
    done = bare_tree.call(COMMAND[0], "-n", "--config", "profile=paper")
    assert done.returncode == 0, done.stdout
    told = done.stdout.partition("profile paper cannot run yet:\n")[2].splitlines()[:11]
    assert [line.split(".")[0] for line in told].count("- train") == 5
    assert "- train.youtubebb.root: data/raw/YouTube-BB: no such folder" in "\n".join(told)
    lines = done.stdout.splitlines()
    trained = [line.split("/")[3] for line in lines if "output: results/paper/train/" in line]
    assert len(trained) == 14
    assert {"siamla", "siamla@five", "siamcar", "siamcar@five"} <= set(trained)
    assert not (bare_tree.folder / "results/paper").exists()
