"""What README and the docs say to type: blocks that cost little are run, the options of all are
checked; make's targets, extras, scripts, links and files are there.

A block of `sh` or `python` that is not to be run has the reason in the line above it:
<!-- not run: REASON -->
"""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from conftest import REPOSITORY, Tree

from siamla.cli.main import parse, run
from siamla.experiment.plan import Plan

ROOT = REPOSITORY
CARD = ROOT / "siamla/released/README.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", CARD, *sorted((ROOT / "docs").glob("*.md"))]
MADE = ("reports/", "results/", "data/", "_made/")  # what a run makes, and the site's pictures
FENCE = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n)?^```(\S*)[^\n]*\n(.*?)^```", re.M | re.S)
SHOWN = {"text", "yaml", "ini", "bibtex"}  # languages that are not to be typed
# programs of which only the name is checked
PROGRAMS = {"apt-get", "awk", "bash", "cd", "curl", "dvc", "export", "git", "mlflow", "pytest"}
PROGRAMS |= {"python", "scancel", "source", "squeue", "torchrun", "vot", "xargs"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    place: str
    reason: str | None
    language: str
    code: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, without comments; of a pipe those of each part."""
        found = []
        for line in self.code.replace("\\\n", " ").splitlines():
            words = shlex.shlex(line, posix=True, punctuation_chars="|&;")
            words.whitespace_split = True
            parts = groupby(words, lambda word: set(word) <= set("|&;"))
            found += [[word for word in part if word != "…"] for cut, part in parts if not cut]
        return found


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start(3))
        yield Block(page, f"{page.relative_to(ROOT)}:{line}", *found.groups())


BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language == "sh"]


def commands(path: Path, program: str) -> set[str]:
    """Its calls in blocks and in the text's code, without comments and what follows a pipe."""
    text = path.read_text(encoding="utf-8")
    lines = re.findall(rf"`({program} [^`]*)`", text.replace("\n", " "))
    lines += [
        " ".join(words)
        for block in SHELL
        if block.page == path
        for words in block.commands
        if words[0] == program
    ]
    return {re.split(r"\s+[#|]|&&|;|…", line)[0].strip() for line in lines}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_options_are_there(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in sorted(commands(path, "siamla")):
        words = command.split()[1:]
        first = next((i for i, word in enumerate(words) if not re.match(r"[\w@.{]", word)), None)
        with pytest.raises(SystemExit) as left:
            run([*words[:first], "--help"])
        told = capsys.readouterr()
        assert left.value.code == 0, f"{command}: {told.err}"
        for option in re.findall(r"(?<= )--[a-z][a-z-]*", command):
            assert option in told.out, f"{command}: no option {option}"


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_commands_of_a_block_can_be_typed(block: Block) -> None:
    """Whether they are run or not: the command line's own parser takes each."""
    from snakemake.cli import parse_args

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for words in block.commands:
        program = words[0].rpartition("=")[2] if "=" in words[0] else words[0]
        if "siamla" in words and program in ("siamla", "torchrun"):
            parse(words[words.index("siamla") + 1 :])
        elif program == "snakemake":
            parse_args(words[1:])
        elif program == "pip":
            extras = re.findall(r"(?:siamla|\.)\[(\w+)\]", " ".join(words))
            assert set(extras) <= set(project["optional-dependencies"]), words
        elif program != "make":
            assert program in PROGRAMS, words
        for word in words[1:] if program in ("python", "bash", "pytest") else ():
            assert (ROOT / word).is_file() or not word.endswith(".py"), words


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    for block in BLOCKS:
        known = block.language in {"sh", "python"} | SHOWN or block.language.startswith("{")
        assert known, f"{block.place}: a block of {block.language or 'no language'}"
        assert block.reason is None or block.language in ("sh", "python"), block.place


@pytest.fixture
def desk(tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages' examples take as given: the project, a video and a model."""
    for name in ("params", "workflow", "Snakefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "exported").symlink_to(CARD.parent)
    shutil.copy(model_file, tmp_path / "model.pt")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (4, 480, 640, 3)).astype(np.uint8)
    size = (640, 480)
    video = cv2.VideoWriter(
        str(tmp_path / "video.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, size
    )
    (tmp_path / "frames").mkdir()
    for number, image in enumerate(images, 1):
        video.write(image)
        cv2.imwrite(str(tmp_path / "frames" / f"{number:04d}.jpg"), image)
        cv2.imwrite(str(tmp_path / f"{number:04d}.jpg"), image)
    video.release()
    shutil.copytree(tmp_path / "frames", tmp_path / "data/mine/clip")
    (tmp_path / "data/mine/clip/groundtruth.txt").write_text("310,140,60,85\n" * len(images))
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = [block for block in SHELL if block.reason is None]


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.place)
def test_a_block_of_the_shell_runs(block: Block, desk: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=desk,
        env=Tree(ROOT).environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if "siamla track" in block.code:
        assert list(desk.glob("*.csv")), done.stdout + done.stderr


PYTHON = [block for block in BLOCKS if block.language == "python" and block.reason is None]


@pytest.mark.parametrize(
    "page", sorted({block.page for block in PYTHON}), ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_blocks_of_python_run(page: Path, desk: Path) -> None:
    """Those of a page one after the other, as a reader would type them."""
    images = [cv2.imread(str(path)) for path in sorted(desk.glob("0*.jpg"))]
    names = {"first_image": images[0], "next_image": images[1], "further_images": images[1:]}
    code = "\n".join(block.code for block in PYTHON if block.page == page)
    for package in re.findall(r"^import (onnxruntime)", code, re.M):
        pytest.importorskip(package)
    exec(compile(code, str(page), "exec"), names)
    if page.stem == "experiments":
        assert 0 <= names["scores"]["auc"] <= 1
    else:
        assert np.asarray(names["box"]).shape == (4,)


YAML = [block for block in BLOCKS if block.language == "yaml"]


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.place)
def test_settings_of_a_block_are_accepted(block: Block, params: Path) -> None:
    """Whole profiles and parts of one; single entries, of its benchmarks or of the variants."""
    values = yaml.safe_load(block.code)
    if block.code.startswith("  "):
        (entry,) = values.values()
        if "extends" in entry:
            with (params / "variants.yaml").open("a", encoding="utf-8") as file:
                file.write(f"\n{block.code}")
            assert set(values) <= set(Plan.load("mini").variants)
            return
        values = {"benchmarks": values}
    profile = {"extends": "mini", **values}
    if "trainings" in values and "extends" not in values:  # of sets that paper has
        profile = {"extends": "paper", "trainings": {"example": values["trainings"]["five"]}}
    (params / "profiles/example.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    benchmarks = Plan.load("example").profile.benchmarks
    assert {name for name, entry in values.get("benchmarks", {}).items() if entry} <= set(
        benchmarks
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not [target for target in missing if not target.startswith(MADE)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_of_make_are_there(path: Path) -> None:
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = {word for command in commands(path, "make") for word in command.split()[1:]}
    assert {word for word in named if word.isalpha()} <= set(rules)


def test_every_part_of_the_package_is_explained() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    parts = {path.parent.name for path in (ROOT / "siamla").glob("*/__init__.py")} - {"settings"}
    assert parts == set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def numbers_of(head: str) -> str:
    """The part of README below a head, its numbers as pages write them: 0.5 for .5."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.split(f"\n## {head}\n")[1].split("\n## ")[0]
    return re.sub(r"(?<!\d)\.(?=\d)", "0.", part)


def test_numbers_of_the_study_are_those_of_its_page() -> None:
    part = numbers_of("What came out")
    pages = (ROOT / "docs" / name for name in ("results.md", "results_epyc.md", "readings.md"))
    page = "".join(path.read_text(encoding="utf-8") for path in pages)
    intervals = re.findall(r"([−+][\d.]+)(?: AUC)? (\[[−+][\d.]+, [−+][\d.]+\])", part)
    spreads = re.findall(r"[\d.]+ ± [\d.]+", part)
    assert intervals
    assert spreads
    told = [f"{value} {interval}" for value, interval in intervals]
    assert [words for words in told + spreads if words not in page] == []


def test_scores_on_real_clips_are_the_cards() -> None:
    part = " ".join(numbers_of("Track a video").split())
    (words,) = re.findall(r"its AUC .*? is ([\d.]+ \[[\d.]+, [\d.]+\]);", part)
    (row,) = re.findall(r"\| Real clips \(test\) .*", CARD.read_text(encoding="utf-8"))
    assert words in row
