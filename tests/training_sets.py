"""Small training sets in their official layouts, with the traps of each; every writer returns the
folder.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

SIZE = (160, 120)  # width, height
PROFILE = """
caption: "Data: noise."
train:
  coco: {layout: coco, root: coco}
  det: {layout: imagenet_det, root: imagenet_det}
  vid: {layout: imagenet_vid, root: imagenet_vid}
  ytbb: {layout: youtubebb, root: youtubebb}
  got: {layout: got10k, root: got10k, preset: clean}
trainings:
  five:
    pairs:
      dataset:
        coco: {share: 0.2}
        det: {share: 0.2}
        vid: {share: 0.3, reach: 100}
        ytbb: {share: 0.1, reach: 3}
        got: {share: 0.2, reach: 50}
benchmarks:
  valley: {layout: got10k, root: got10k, training: five}
seeds: [1]
variants: [siamcar]
tables: [3]
spec:
  model: {backbone: efficientnet_lite0, weights: random, channels: 16, tower_depth: 1, groups: 4}
  crops: {size: 313}
  pairs: {dataset: got, search: {shift: 16, scale: 0.1}}
  labels: {nearest_if_none: true}
  training: {epochs: 2, frozen_epochs: 1, pairs_per_epoch: 10, batch: 5, precision: fp32}
  tracker: {precision: fp32}
"""


def image(path: Path, size: tuple[int, int] = SIZE, seed: int = 0) -> None:
    """A textured JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", cv2.resize(noise, size))[1].tobytes()
    path.write_bytes(data)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())


def xml(objects: Iterable[str], size: tuple[int, int] = SIZE) -> str:
    sides = f"<width>{size[0]}</width><height>{size[1]}</height><depth>3</depth>"
    return f"<annotation><folder>f</folder><size>{sides}</size>{''.join(objects)}</annotation>"


def coco(root: Path) -> Path:
    """Image 9: a plain box, a crowd (run lengths), one of height 0, one of 2 px. Image 25: a box
    beyond the border and one wholly outside. Image 30 has no box, 34 has a box and no file; 7 is a
    file that nobody names.
    """
    for number in (9, 25, 30, 7):
        image(root / f"train2017/{number:012d}.jpg", seed=number)
    boxes = {
        918: (9, [10.5, 20.25, 40, 30]),
        900100: (9, [5, 5, 120, 90]),
        2206849: (9, [50, 60, 20, 0]),
        12: (9, [50, 60, 2, 30]),
        13: (25, [140, 100, 40, 40]),
        14: (25, [170, 10, 20, 20]),
        15: (34, [10, 10, 30, 30]),
        16: (25, [0, 0, 160, 116]),
        17: (25, [1, 1, 110, 10]),
    }
    annotations = []
    for number, (of, box) in boxes.items():
        crowd = number == 900100
        lengths = {"counts": [272, 2, 4], "size": [120, 160]}
        outline = lengths if crowd else [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]
        entry = {"id": number, "image_id": of, "bbox": box, "iscrowd": int(crowd)}
        annotations.append(entry | {"area": 1, "category_id": 1, "segmentation": outline})
    width, height = SIZE
    content = {
        "info": {"year": 2017},
        "images": [
            {"id": number, "file_name": f"{number:012d}.jpg", "width": width, "height": height}
            for number in (9, 25, 30, 34)
        ],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
        "annotations": annotations,
    }
    text(root / "annotations/instances_train2017.json", json.dumps(content))
    return root


def det(root: Path) -> Path:
    """2013 with two levels and 2014 with one, negatives without XML, a file without objects, one
    whose <size> is half of the image's, Windows line ends, and a cut file.
    """

    def item(left: int, top: int, right: int, bottom: int, more: str = "") -> str:
        edges = f"<xmin>{left}</xmin><xmax>{right}</xmax><ymin>{top}</ymin><ymax>{bottom}</ymax>"
        return f"<object>\r\n<name>n01440764</name><bndbox>{edges}</bndbox>{more}</object>\r\n"

    marked = item(0, 0, 30, 30, "<difficult>1</difficult><truncated>1</truncated>")
    files = {
        "ILSVRC2013_train/n01440764/n01440764_10": xml([item(10, 20, 60, 80), marked]),
        "ILSVRC2013_train/n01440764/n01440764_18": xml([]),
        "ILSVRC2013_train/n01443537/n01443537_2": xml([item(5, 10, 45, 50)], (80, 60)),
        "ILSVRC2014_train_0000/ILSVRC2014_train_00000001": xml([item(20, 20, 90, 90)]),
        "ILSVRC2014_train_0000/ILSVRC2014_train_00000002": "<annotation><size>",
    }
    for seed, (name, content) in enumerate(files.items()):
        text(root / f"Annotations/DET/train/{name}.xml", content)
        image(root / f"Data/DET/train/{name}.JPEG", seed=seed)
    image(root / "Data/DET/train/ILSVRC2013_train_extra0/n1_7.JPEG")
    return root


def vid(root: Path, frames: int = 6, gap: int = 40) -> Path:
    """A snippet with track 0 in two segments, before and after a gap, and track 61, occluded and
    interpolated; one with the number 0 again; XML in VID's order of tags.
    """

    seen = "<occluded>0</occluded><generated>0</generated>"

    def item(track: int, left: int, more: str = seen) -> str:
        edges = f"<xmax>{left + 40}</xmax><xmin>{left}</xmin><ymax>70</ymax><ymin>30</ymin>"
        name = "n02691156" if track else "n02419796"
        box = f"<bndbox>{edges}</bndbox>"
        return f"<object><trackid>{track}</trackid><name>{name}</name>{box}{more}</object>"

    hidden = "<occluded>1</occluded><generated>1</generated>"
    one, two = (f"ILSVRC2015_VID_train_0000/ILSVRC2015_train_0000000{i}" for i in (0, 1))
    first = {n: [item(0, 10 + n), item(61, 60 + n, hidden)] for n in range(frames)}
    first |= {n: [item(61, 60)] for n in range(frames, frames + gap)}
    first |= {n: [item(0, 80)] for n in range(frames + gap, 2 * frames + gap)}
    second = {n: [item(0, 20)] if n else [] for n in range(frames)}
    for name, objects in ((one, first), (two, second)):
        for number, items in objects.items():
            text(root / f"Annotations/VID/train/{name}/{number:06d}.xml", xml(items))
            image(root / f"Data/VID/train/{name}/{number:06d}.JPEG", seed=number)
    return root


def ytbb(root: Path, header: bool = False) -> Path:
    """A 200×200 px square in 1280×720 as relative numbers, a target that is absent in the middle,
    an id with "_" and "-", a frame that nobody could fetch, a box beyond the frame, one of no
    width, a row given twice.
    """
    odd = "AA_B-6lO_"
    rows = [
        (odd, 238000, 23, "dog", 0, "present", 200 / 1280, 400 / 1280, 100 / 720, 300 / 720),
        (odd, 239000, 23, "dog", 0, "absent", -1, -1, -1, -1),
        (odd, 240000, 23, "dog", 0, "present", 210 / 1280, 410 / 1280, 100 / 720, 300 / 720),
        (odd, 240000, 23, "dog", 1, "present", 0.5, 0.8, 0.5, 0.9),
        (odd, 241000, 23, "dog", 0, "present", 0.9, 1.1, 0.2, 0.6),
        (odd, 241000, 23, "dog", 0, "present", 0.8, 0.9, 0.2, 0.6),
        (odd, 242000, 23, "dog", 0, "present", 0.4, 0.4, 0.2, 0.6),
        ("zz0", 5000, 0, "person", 0, "present", 0.1, 0.4, 0.1, 0.5),
        ("zz0", 6000, 0, "person", 0, "present", 0.1, 0.4, 0.1, 0.5),
    ]
    names = (
        "youtube_id,timestamp_ms,class_id,class_name,object_id,object_presence,xmin,xmax,ymin,ymax"
    )
    lines = [names] * header + [",".join(map(str, row)) for row in rows]
    text(root / "yt_bb_detection_train.csv", "".join(f"{line}\r\n" for line in lines))
    for seed, (video, stamp, kind, _, target, presence, *_) in enumerate(rows):
        if presence == "present" and (video, stamp) != ("zz0", 6000):
            size = (1280, 720) if video == odd else (640, 480)
            name = f"{kind}/{video}_{stamp}_{kind}_{target}.jpg"
            image(root / "yt_bb_detection_train" / name, size, seed)
    return root


def got10k(root: Path, frames: int = 5) -> Path:
    """Two sequences; of the first, cover is 0 in frame 2, whose box is 0,0,0,0, and frame 4 is cut
    by the image.
    """
    for name in ("GOT-10k_Train_000001", "GOT-10k_Train_000002"):
        for number in range(frames):
            image(root / f"{name}/{number + 1:08d}.jpg", seed=number)
        boxes = [[30 + n, 40, 50, 30] for n in range(frames)]
        if name.endswith("1"):
            boxes[2], boxes[4] = [0, 0, 0, 0], [130, 40, 50, 30]
        lines = [",".join(f"{v:.4f}" for v in box) + "\n" for box in boxes]
        text(root / name / "groundtruth.txt", "".join(lines))
        labels = {"absence": "00000", "cover": "88086", "cut_by_image": "00001"}
        for label, values in labels.items():
            values = values if name.endswith("1") else values[:1] * 5
            text(root / name / f"{label}.label", "\n".join(values))
        meta = "[METAINFO]\nurl: none\nanno_fps: 10Hz\nobject_class: bear\nresolution: (160, 120)\n"
        text(root / name / "meta_info.ini", meta)
    text(root / "list.txt", "GOT-10k_Train_000001\nGOT-10k_Train_000002\n")
    return root


SETS = {"coco": coco, "imagenet_det": det, "imagenet_vid": vid, "youtubebb": ytbb, "got10k": got10k}
