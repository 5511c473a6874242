"""Bad input, from a table: status 2, one clear line and no stack trace, and nothing written or
lost.

A new case is a row of bad_inputs.yaml. `world` below lists the files that a row can spoil.
"""

import os
import shlex
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import training_sets
import yaml
from conftest import REPOSITORY

from siamla.cli.main import main

TABLE = yaml.safe_load((Path(__file__).parent / "bad_inputs.yaml").read_text(encoding="utf-8"))
LEFT = (".lock", ".siamla", "rejected.csv", "checked.jsonl", "mlflow.db")
"""Ends of names: locks, the mark of an own folder, what curation says of the set that it refuses,
MLflow's view.
"""
# MLflow's view is no part of this, and to make its database takes a third of the time
NOBODY = "http://127.0.0.1:9"
PROFILE = """
caption: "Data: noise."
train: {clips: {layout: got10k, root: clips}}
benchmarks:
  street: {layout: otb, root: street}
  valley: {layout: got10k, root: clips, tracker: {window: 0.3}}
  ball: {layout: vot, root: ball}
  alley: {layout: otb, root: street}
  hill: {layout: otb, root: street}
imported: {kcf: {results: {street: imported/kcf}}}
seeds: [1]
variants: [siamcar]
tables: [3]
spec:
  model: {backbone: efficientnet_lite0, weights: random, channels: 16, tower_depth: 1, groups: 4}
  crops: {size: 313}
  pairs: {dataset: clips, search: {shift: 16, scale: 0.1}}
  labels: {nearest_if_none: true}
  training: {epochs: 1, frozen_epochs: 1, pairs_per_epoch: 4, batch: 4, precision: fp32}
  tracker: {precision: fp32}
"""
SETS = """train:
  coco: {layout: coco, root: sets/coco}
  det: {layout: imagenet_det, root: sets/det}
  vid: {layout: imagenet_vid, root: sets/vid}
  ytbb: {layout: youtubebb, root: sets/ytbb}
  clips: {layout: got10k, root: clips}"""
COMMANDS = (
    *(f"data fetch {name}" for name in ("clips", "street", "hill", "valley", "alley")),
    *(f"data curate {name}" for name in ("clips", "street", "hill")),
    "data crops siamcar",
    "train run siamcar",
    *(f"benchmark predict {name} siamcar" for name in ("street", "hill")),
    "benchmark score street siamcar",
)


def _images(folder: Path, form: str, first: int, count: int = 4) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(first, first + count):
        noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / (form % number)), cv2.resize(noise, (160, 120)))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which a tiny profile has run, and things to import."""
    root = tmp_path_factory.mktemp("world")
    shutil.copytree(REPOSITORY / "params", root / "params")
    shutil.copy(REPOSITORY / "dvc.lock", root)
    _write(root / "params/profiles/tiny.yaml", PROFILE)
    clips = "train: {clips: {layout: got10k, root: clips}}"
    _write(root / "params/profiles/sets.yaml", PROFILE.replace(clips, SETS))
    for name in ("one", "two"):
        _images(root / "clips" / name, "%08d.jpg", 1)
        _write(root / f"clips/{name}/groundtruth.txt", "50,40,30,24\n" * 4)
        _images(root / "street" / name / "img", "%04d.jpg", 1)
        _write(root / f"street/{name}/groundtruth_rect.txt", "50,40,30,24\n" * 4)
        _images(root / "ball" / name, "%08d.jpg", 1)
        _write(root / f"ball/{name}/groundtruth.txt", "50,40,30,24\n" * 4)
        for folder in ("imported/kcf", "flat"):
            _write(root / folder / f"{name}.txt", "51,41,30,24\n" * 4)
        _write(root / f"flat/{name}_time.txt", "0.01\n" * 4)
        _write(root / f"folders/{name}/{name}_001.txt", "50,40,30,24\n" * 4)
        _write(root / f"folders/{name}/{name}_time.txt", "0.01\n" * 4)
        _write(root / f"vot/baseline/{name}/{name}_001.txt", "1\n" + "50,40,30,24\n" * 3)
    for folder in ("clips", "ball"):
        _write(root / folder / "list.txt", "one\ntwo\n")
    _images(root / "images", "%d.png", 8)
    training_sets.coco(root / "sets/coco")
    training_sets.det(root / "sets/det")
    training_sets.vid(root / "sets/vid", 2, 1)
    training_sets.ytbb(root / "sets/ytbb")
    with zipfile.ZipFile(root / "flat.zip", "w") as archive:
        archive.write(root / "flat/one.txt", "one.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MLFLOW_TRACKING_URI", NOBODY)
        for command in COMMANDS:
            assert main([*command.split(), "--profile", "tiny"]) == 0, command
        for name in ("coco", "det", "vid", "ytbb"):
            assert main(["data", "fetch", name, "--profile", "sets"]) == 0, name
    shutil.copy(root / "results/tiny/train/siamcar/seed1/model.pt", root / "own.pt")
    return root


def _contents(root: Path) -> dict[str, bytes | None]:
    """Every file with its bytes, every empty folder; not what a refusing command may leave."""
    found: dict[str, bytes | None] = {}
    for path in sorted(root.rglob("*")):
        folder = path.is_dir() and not path.is_symlink()
        if (folder and any(path.iterdir())) or path.name.endswith(LEFT):
            continue
        found[path.relative_to(root).as_posix()] = path.read_bytes() if path.is_file() else None
    return found


class Row(NamedTuple):
    """A case of the table: a command, the parts of the line that it ends with, what is spoilt, how
    and with which values.
    """

    run: str
    said: tuple[str, ...]
    file: str | None = None
    fault: str = ""
    values: tuple[Any, ...] = ()

    def __str__(self) -> str:
        words = [self.file or self.run, self.fault, *map(str, self.values)]
        return " ".join(filter(None, words))[:80].encode("unicode_escape").decode()


def _rows(group: dict[str, Any]) -> Iterator[Row]:
    """The cases of a group."""
    if isinstance(group["run"], list):
        yield from (Row(run, (said,)) for run, said in group["run"])
        return
    for file in group.get("files") or [group["file"]]:
        for fault in (key for key in group if key not in ("file", "files", "run", "said")):
            for *values, said in group[fault]:
                yield Row(group["run"], (said, group.get("said", "")), file, fault, tuple(values))


ROWS = [row for group in TABLE for row in _rows(group)]


def _spoil(path: Path, fault: str, values: tuple[Any, ...]) -> None:
    """Do to a file what a row says."""
    before = path.read_bytes() if path.is_file() else b""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    first = values[0]
    if fault in ("text", "latin-1"):
        path.write_text(first, encoding="latin-1" if fault == "latin-1" else "utf-8")
    elif fault == "repeat":
        path.write_text(first * values[1], encoding="utf-8")
    elif fault == "replace":
        text = before.decode()
        assert first in text, f"{path}: no {first!r}"
        path.write_text(text.replace(first, values[1], 1), encoding="utf-8")
    elif fault == "hex":
        path.write_bytes(bytes.fromhex(first))
    elif fault == "cut":
        path.write_bytes(before[:first])
    elif fault == "flip":
        path.write_bytes(before[:first] + bytes([before[first] ^ 1]) + before[first + 1 :])
    elif fault == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in first:
                archive.writestr(name, text)
    elif fault == "image":
        cv2.imwrite(str(path), np.zeros([*first, 3], np.uint8))
    elif first == "a pipe":
        os.mkfifo(path)
    elif first == "a folder":
        path.mkdir()
    elif first == "a link to itself":
        path.symlink_to(path.name)
    else:
        assert (fault, first) == ("is", "not there")


@pytest.fixture
def place(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "world"
    # a row replaces files and never writes into them
    shutil.copytree(world, root, copy_function=os.link)
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    return root


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_bad_input_gives_one_line(
    row: Row, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ""
    if row.file:
        (spoilt,) = list(place.glob(row.file)) or [place / row.file]
        file = spoilt.relative_to(place).as_posix()
        _spoil(spoilt, row.fault, row.values)
    before = _contents(place)
    try:
        status = main(shlex.split(row.run))
    except SystemExit as error:  # argparse ends by itself
        status = int(error.code or 0)
    told = capsys.readouterr().err
    assert status == 2, told
    assert "Traceback" not in told
    lines = [line for line in told.splitlines() if ": error: " in line]
    assert len(lines) == 1, told
    for part in row.said:
        assert part.replace("{file}", file) in lines[0]
    assert _contents(place) == before
