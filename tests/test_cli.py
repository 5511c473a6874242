"""Bad input on the command line: status 2, one line that names the place, no stack trace, nothing half-written."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import COMMAND, REPOSITORY, Tree

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.files import canonical_json, write_json

Run = Callable[..., str]
VARIANTS = REPOSITORY / "params/variants.yaml"


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must fail as bad input; what it says last, after "siamla: error: ": a line per mistake."""

    def run(*arguments: object) -> str:
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr().err
        assert status == 2, said
        assert "Traceback" not in said
        lines = said.splitlines()
        (start,) = [number for number, line in enumerate(lines) if line.startswith("siamla: error: ")]
        assert start == len(lines) - 1
        return "\n".join(lines[start:]).removeprefix("siamla: error: ")

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


def curate(root: Path, layout: str = "got10k") -> list[object]:
    return ["data", "curate", "--layout", layout, "--root", root, "--name", "mine", "--out", root.parent / "curated"]


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("nan,40,30,24", "box of frame 3 is nan, 40, 30, 24: not finite"),
        ("50,40,0,24", "box of frame 3 is 50, 40, 0, 24: width or height is not positive"),
        ("50,40,30,-24", "box of frame 3 is 50, 40, 30, -24: width or height is not positive"),
        ("500,40,30,24", "box of frame 3 is 500, 40, 30, 24: wholly outside the image of 160×120"),
        ("50,40,30", "line 3"),
        ("fifty,40,30,24", "line 3"),
    ],
    ids=["nan", "zero", "negative", "outside", "three numbers", "a word"],
)
def test_bad_boxes(fails: Run, got10k: Path, box: str, said: str) -> None:
    (got10k / "two/groundtruth.txt").write_text("50,40,30,24\n50,40,30,24\n" + box + "\n50,40,30,24\n")
    line = fails(*curate(got10k))
    assert "1 of 2 sequences rejected" in line
    assert "two: " in line
    assert said in line
    assert not (got10k.parent / "curated/report.json").exists()
    assert not (got10k.parent / "curated/index.parquet").exists()


def test_fewer_boxes_than_frames(fails: Run, got10k: Path) -> None:
    (got10k / "two/groundtruth.txt").write_text("50,40,30,24\n" * 3)
    assert "two: 3 boxes for 4 frames" in fails(*curate(got10k))
    assert not (got10k.parent / "curated/report.json").exists()


def test_truncated_jpeg(fails: Run, got10k: Path) -> None:
    image = got10k / "two/00000002.jpg"
    image.write_bytes(image.read_bytes()[:700])
    assert "two: 00000002.jpg: truncated or not an image (700 bytes)" in fails(*curate(got10k))
    assert not (got10k.parent / "curated/report.json").exists()


@pytest.mark.parametrize("layout", ["otb", "got10k", "lasot", "trackingnet", "tnl2k", "vot"])
def test_empty_and_missing_folders(fails: Run, tmp_path: Path, layout: str) -> None:
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in fails(*curate(tmp_path / "empty", layout))
    assert f"{tmp_path / 'missing'}: no such folder" in fails(*curate(tmp_path / "missing", layout))
    assert not (tmp_path / "curated").exists()


def test_a_missing_root_is_said_before_anything_is_fetched(fails: Run, tmp_path: Path) -> None:
    line = fails("data", "fetch", "--root", tmp_path / "nowhere", "--out", tmp_path / "ready.json")
    assert f"{tmp_path / 'nowhere'}: no such folder" in line
    assert not (tmp_path / "ready.json").exists()


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A copy of params/."""
    for path in (REPOSITORY / "params").rglob("*.yaml"):
        copy = tmp_path / path.relative_to(REPOSITORY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    return tmp_path / "params"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (
            "variants.yaml",
            "labels.ladl: true, labels.lals: true",
            "labels.ladle: true, labels.lals: true",
            ["variants.siamla.set", "unknown key 'labels.ladle'", "did you mean 'labels.ladl'"],
        ),
        (
            "variants.yaml",
            "label: SiamCAR",
            "label: SiamCAR\n    extends: siamcar",
            ["variants.siamcar extends itself"],
        ),
        ("variants.yaml", "extends: lafa", "extends: laffa", ["'laffa', no such variant", "did you mean 'lafa'"]),
        ("profiles/smoke.yaml", "epochs: 3", "epochs: three", ["training.epochs", "'three'"]),
        ("profiles/smoke.yaml", "seeds:", "sedes:", ["unknown key 'sedes'", "did you mean 'seeds'"]),
        ("profiles/smoke.yaml", "layout: otb,", "layout: ott,", ["benchmarks.otb100.layout", "'ott'", "'otb'"]),
        ("profiles/smoke.yaml", "seeds: [1]", "seeds: [1", ["not valid YAML"]),
        ("profiles/smoke.yaml", "seeds: [1]", "seeds: [1]\nseeds: [2]", ["the key 'seeds' is given twice"]),
    ],
    ids=["key", "itself", "parent", "type", "profile key", "layout", "yaml", "twice"],
)
def test_mistakes_in_params(
    fails: Run, params: Path, monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str, said: list[str]
) -> None:
    text = (params / name).read_text()
    assert old in text
    (params / name).write_text(text.replace(old, new, 1))
    monkeypatch.chdir(params.parent)
    line = fails("config", "check", "--profile", "smoke")
    assert line.startswith(f"params/{name}")
    for part in said:
        assert part in line


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{", "--spec: not valid JSON"),
        ("[]", "--spec"),
        ('{"pairs": {"dataset": "x"}, "trainign": {}}', "unknown key 'trainign'; did you mean 'training'"),
        ('{"pairs": {"dataset": "x"}, "training": {"epochs": 0}}', "training.epochs is 0"),
    ],
)
@pytest.mark.parametrize("step", ["run", "features"])
def test_a_wrong_spec(fails: Run, tmp_path: Path, step: str, spec: str, said: str) -> None:
    command = ["train", step, "--spec", spec, "--crops", tmp_path / "crops", "--out", tmp_path / "out"]
    if step == "run":
        command += ["--profile", "p", "--variant", "v", "--seed", "1", "--state", tmp_path / "state"]
        command += ["--results", tmp_path / "results"]
    assert said in fails(*command)
    assert list(tmp_path.iterdir()) == []


def test_training_without_crops_leaves_nothing(fails: Run, tmp_path: Path) -> None:
    spec = '{"pairs": {"dataset": "x"}}'
    line = fails(
        "train", "run", "--spec", spec, "--crops", tmp_path / "crops", "--out", tmp_path / "out", "--profile", "p",
        "--variant", "v", "--seed", 1, "--state", tmp_path / "state", "--results", tmp_path / "results",
    )  # fmt: skip
    assert str(tmp_path / "crops") in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "text"), [("--tracker", "{"), ("--tracker", '{"windw": 1}'), ("--protocol", "1")])
def test_wrong_settings_of_a_benchmark(fails: Run, tmp_path: Path, option: str, text: str) -> None:
    given = {"--tracker": "{}", "--protocol": "{}", option: text}
    line = fails(
        "benchmark", "predict", "--profile", "p", "--benchmark", "b", "--variant", "v", "--seed", 1, "--model",
        tmp_path / "m.pt", "--curated", tmp_path / "c", "--out", tmp_path / "out", "--tracker", given["--tracker"],
        "--protocol", given["--protocol"],
    )  # fmt: skip
    assert line.startswith(option)
    assert list(tmp_path.iterdir()) == []


def test_scores_of_other_settings_make_no_table(fails: Run, tmp_path: Path) -> None:
    record = {"benchmark": "otb100", "variant": "siamcar", "seed": 1, "spec_digest": "t", "train_spec_digest": "old"}
    record |= {"data_digest": "d", "code_digest": "c"}
    score = {"record": record, "overall": {"auc": 0.5}, "per_sequence": {"a": {"auc": 0.5}}, "speed": {"fps": 9.0}}
    write_json(tmp_path / "score.json", score)
    scores, sequences = tmp_path / "scores.csv", tmp_path / "sequences.csv"
    collect = ["report", "collect", tmp_path / "score.json", "--out", scores, "--sequences", sequences]
    assert main([str(argument) for argument in collect]) == 0
    variant = {"label": "SiamCAR", "ladl": False, "lals": False, "lafa": False, "seeds": [1]}
    variants = {"siamcar": {**variant, "train_spec_digest": "new", "spec_digest": {"otb100": "t"}}}
    benchmarks = {"otb100": {"label": "OTB100", "headline": "auc", "headline_label": "AUC"}}
    line = fails(
        "report", "table", 3, "--scores", scores, "--sequences", sequences, "--layout",
        REPOSITORY / "params/tables.yaml", "--variants", canonical_json(variants), "--benchmarks",
        canonical_json(benchmarks), "--caption", "Data.", "--out", tmp_path / "tables",
    )  # fmt: skip
    assert "score of siamcar, seed 1, on otb100: train_spec_digest is old, but the settings now have new" in line
    assert not (tmp_path / "tables").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_while_writing_crops(fails: Run, got10k: Path, small_disk: Path) -> None:
    """One line with the file; what is left are no half-written files, and with room the same command succeeds."""
    assert main([str(argument) for argument in curate(got10k)]) == 0
    settings = '{"size": 511, "quality": 100}'
    command = ["data", "crops", "--curated", got10k.parent / "curated", "--settings", settings]
    line = fails(*command, "--out", small_disk / "crops")
    assert str(small_disk / "crops") in line
    assert "the disk is full" in line
    left = [path.name for path in (small_disk / "crops").iterdir()]
    assert not [name for name in left if name.endswith((".tmp", ".bin")) or name == "manifest.json"]
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert main([str(argument) for argument in [*command, "--out", small_disk / "crops"]]) == 0
    assert json.loads((small_disk / "crops/manifest.json").read_text())["crops"] == 8


@pytest.mark.slow
def test_snakemake_stops_before_any_job_on_a_mistake_in_params(bare_tree: Tree) -> None:
    with bare_tree.edited("params/variants.yaml", "labels.ladl: true, labels.lals", "labels.ladle: true, labels.lals"):
        done = bare_tree.call(*COMMAND)
    assert done.returncode == 1
    assert "params/variants.yaml: variants.siamla.set: unknown key 'labels.ladle'; did you mean" in done.stdout
    assert "Traceback" not in done.stdout
    assert "Job stats" not in done.stdout


def test_track_takes_the_settings_of_the_variant(tmp_path: Path) -> None:
    from siamla.cli.track import tracker_settings
    from siamla.experiment.profile import load

    params = Path(__file__).parents[1] / "params"
    record = dict.fromkeys(("kind", "seed", "spec", "spec_digest", "code_digest", "data_digest"), 0)
    (tmp_path / "run.json").write_text(json.dumps({**record, "profile": "mini", "variant": "siamla"}))
    model = tmp_path / "model.pt"
    assert tracker_settings(model, None, params) == load("mini", params).specs["siamla"].tracker
    assert tracker_settings(model, '{"window": 0.3}', params).window == 0.3
    with pytest.raises(UserError, match="'windw'"):
        tracker_settings(model, '{"windw": 0.3}', params)
    (tmp_path / "run.json").unlink()
    with pytest.raises(UserError, match="give --tracker"):
        tracker_settings(model, None, params)
