"""Bad input on the command line: status 2, one line with the place, nothing half-written."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import COMMAND, Tree

from siamla.cli.main import main
from siamla.data.curate import load_curated
from siamla.experiment.plan import Plan
from siamla.steps.fetch import listing_digest

Run = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must fail as bad input; its message, a line per mistake."""

    def run(*arguments: object) -> str:
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr().err
        assert status == 2, said
        assert "Traceback" not in said
        lines = said.splitlines()
        assert [line.startswith("siamla: error: ") for line in lines].index(True) == len(lines) - 1
        return lines[-1].removeprefix("siamla: error: ")

    return run


@pytest.fixture
def got10k(tmp_path: Path) -> Path:
    """A sound data set in GOT-10k layout: two sequences of four frames."""
    root = tmp_path / "data"
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        (root / name).mkdir(parents=True)
        for frame in range(4):
            noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(root / name / f"{frame + 1:08d}.jpg"), cv2.resize(noise, (160, 120)))
        (root / name / "groundtruth.txt").write_text("50,40,30,24\n" * 4)
    (root / "list.txt").write_text("one\ntwo\n")
    return root


PROFILE = """
caption: "Data: noise."
train: {{mine: {{layout: {layout}, root: "{root}"}}}}
benchmarks: {{street: {{layout: otb, root: street}}}}
seeds: [1]
variants: [siamcar]
tables: [3]
spec:
  model: {{backbone: efficientnet_lite0, weights: package, channels: 16, tower_depth: 1, groups: 4}}
  crops: {{quality: 100}}
  pairs: {{dataset: mine, views: 8}}
  training: {{epochs: 1, frozen_epochs: 1, pairs_per_epoch: 8, batch: 4, precision: fp32}}
"""


Make = Callable[..., None]


@pytest.fixture
def project(params: Path, got10k: Path) -> Make:
    """Write a profile with a data set as training set; fetch and curate it."""

    def make(root: Path = got10k, layout: str = "got10k", steps: str = "fetch curate") -> None:
        (params / "profiles/own.yaml").write_text(PROFILE.format(layout=layout, root=root))
        for step in steps.split():
            assert main(["data", step, "mine", "--profile", "own"]) == 0

    return make


@pytest.mark.parametrize("layout", ["otb", "got10k", "lasot", "trackingnet", "tnl2k", "vot"])
def test_empty_and_missing_folders(fails: Run, project: Make, tmp_path: Path, layout: str) -> None:
    empty, missing = tmp_path / "empty", tmp_path / "missing"
    empty.mkdir()
    project(missing, layout, "")
    assert f"{missing}: no such folder" in fails("data", "fetch", "mine", "--profile", "own")
    project(empty, layout, "fetch")
    assert str(empty) in fails("data", "curate", "mine", "--profile", "own")
    names = {path.name for path in Path("data/curated/own/mine").glob("*") if path.is_file()}
    assert names <= {".siamla", "rejected.csv", "checked.jsonl"}


CROPS = ["data", "crops", "siamcar", "--profile", "own"]


def test_a_full_disk_while_writing_crops(fails: Run, project: Make, small_disk: Path) -> None:
    """Nothing half-written is left, and with room the same command succeeds."""
    project()
    Path("data/crops").symlink_to(small_disk)
    line = fails(*CROPS)
    assert "data/crops/own/mine" in line
    assert "the disk is full" in line
    left = [path.name for path in small_disk.rglob("*") if path.is_file()]
    assert not [name for name in left if name.endswith((".tmp", ".bin")) or name == "manifest.json"]
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert main(CROPS) == 0
    (manifest,) = small_disk.rglob("manifest.json")
    assert json.loads(manifest.read_text())["crops"] == 8


def test_crops_whose_build_was_killed_make_way_for_those_of_changed_data(
    project: Make, got10k: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    def made() -> dict[str, bytes]:
        files = part.parent.glob("[ims]*")
        return {path.name: path.read_bytes() for path in files}

    project()
    with monkeypatch.context() as patch:
        patch.setattr("siamla.data.crops._finish", interrupted)
        assert main(CROPS) == 130
    (part,) = Path("data/crops").rglob("shard-*.part.npz")
    (part.parent / "notes.txt").write_text("mine")
    (got10k / "two/groundtruth.txt").write_text("60.25,40,30,24\n" * 4)
    project()
    assert main(CROPS) == 0
    first = made()
    assert (part.parent / "notes.txt").read_text() == "mine"
    assert not part.exists()
    shutil.rmtree(part.parent)
    assert main(CROPS) == 0
    assert made() == first


def test_an_edit_of_ones_own_data_set_in_place_is_noticed(project: Make, got10k: Path) -> None:
    """Other boxes of the same length in a file with the time of before, and behind a link."""
    (got10k / "two").rename(got10k.parent / "elsewhere")
    (got10k / "two").symlink_to(got10k.parent / "elsewhere")

    def content() -> str:
        project()
        job = Plan.load("own").job("curate", dataset="mine")
        curated, ready = job.record(), job.parents["data"].record()
        assert curated is not None
        assert ready is not None
        assert ready["content"] == curated["inputs"]["data"]
        return str(ready["content"])

    before = content()
    for name in ("one", "two"):
        truth = got10k / name / "groundtruth.txt"
        times = truth.stat()
        truth.write_text(truth.read_text().replace("50,40", "50,70", 1))
        os.utime(truth, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert content() != before
        before = content()
    videos = load_curated(Path("data/curated/own/mine"))
    first = {video.name: video.boxes[0].tolist() for video in videos}
    assert first == {"one": [50, 70, 30, 24], "two": [50, 70, 30, 24]}


def test_a_copy_of_a_data_set_has_its_digest(got10k: Path, tmp_path: Path) -> None:
    before = listing_digest(got10k)
    # with the times of today; a link to a folder above is no endless data set
    shutil.copytree(got10k, tmp_path / "copy", copy_function=shutil.copyfile)
    (tmp_path / "copy/back").symlink_to(tmp_path / "copy")
    (tmp_path / "copy/broken").symlink_to("nowhere")
    assert listing_digest(tmp_path / "copy") == before
    image = tmp_path / "copy/one/00000001.jpg"
    size = image.stat().st_size
    pixels = 255 - cv2.imread(str(image))
    other = cv2.imencode(".jpg", pixels)[1].tobytes()
    image.write_bytes(other[:size].ljust(size, b"\0"))
    assert listing_digest(tmp_path / "copy") != before
    shutil.copyfile(got10k / "one/00000001.jpg", image)
    assert listing_digest(tmp_path / "copy") == before


def test_a_command_that_is_not_whole_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (([], "follow a target"), (["data"], "fetch, check, cut")):
        assert main(words) == 0
        assert told in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["track", "--help"])
    assert "--box X Y W H   " in capsys.readouterr().out


def test_outside_of_a_project_a_check_says_so_first(
    fails: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "run this in a project: `siamla init NAME` makes one" in fails("config", "check")


def test_a_stream_that_is_closed_or_speaks_ascii_ends_no_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(written, "ascii"))
    assert main(["config", "keys"]) == 0
    assert main(["config", "check", "--profile", "größe"]) == 2
    sys.stderr.flush()
    assert rb"the profile 'gr\xf6\xdfe'" in written.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "left"), [([], sys.maxsize), (["--max-jobs-per-timespan=7/1s"], 7)]
)
def test_only_a_limit_of_ones_own_counts_jobs(bare_tree: Tree, own: list[str], left: int) -> None:
    """Snakemake's default would wake the driver more and more often."""
    until = ("--forcerun", "check_experiment", "--until", "check_experiment", "--verbose")
    done = bare_tree.call(*COMMAND, *until, *own)
    assert re.findall(r"after job selection: .*'_job_count': (\d+)", done.stdout) == [str(left)]


@pytest.mark.slow
def test_snakemake_stops_before_any_job_on_a_mistake_in_params(bare_tree: Tree) -> None:
    before = "labels.ladl: true, labels.lals"
    with bare_tree.edited("params/variants.yaml", before, before.replace("ladl:", "ladle:")):
        done = bare_tree.call(*COMMAND)
    assert done.returncode == 1
    assert "variants.siamla.set: unknown key 'labels.ladle'; did you mean" in done.stdout
    assert "Traceback" not in done.stdout
    assert "Job stats" not in done.stdout
