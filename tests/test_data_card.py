"""The card of a profile's data says what lies there."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import Tree

from siamla.cli.main import main
from siamla.miniatures.photos import photo_path


def test_the_card_says_what_is_there(tree: Tree) -> None:
    done = tree.call("siamla", "data", "card", "--profile", "smoke")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    report = json.loads((tree.folder / "data/curated/smoke/otb100/report.json").read_text())
    (row,) = (line for line in lines if line.startswith("| `smoke_otb` | a benchmark |"))
    assert row.endswith(f" | {report['digest']} |")
    assert f" | {report['sequences']} | {report['frames']} | " in row
    photo = photo_path("sklearn/datasets/images/china.jpg").read_bytes()
    digest = hashlib.sha256(photo).hexdigest()[:16]
    assert f"| china.jpg | scikit-learn {version('scikit-learn')} | train | {digest} |" in lines
    assert "`smoke_train` | training |" in done.stdout
    assert "{" not in done.stdout


def test_no_card_of_data_that_are_not_there(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert params.is_dir()
    assert main(["data", "card", "--profile", "smoke"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "curate smoke_train" in line
