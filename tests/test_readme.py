"""What README and the docs name is there: commands with their options, make's targets, files."""

import re
from pathlib import Path

import pytest

from siamla.cli.main import run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MADE = ("reports/", "results/", "data/")  # what a run makes


def commands(path: Path, program: str) -> set[str]:
    """Its calls in code, without comments and what follows a pipe."""
    text = path.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    lines = re.findall(rf"^{program} .*$", blocks, re.MULTILINE)
    lines += re.findall(rf"`({program} [^`]*)`", text.replace("\n", " "))
    return {re.split(r"\s+[#|]|&&|;|…", line)[0].strip() for line in lines}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
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


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not [target for target in missing if not target.startswith(MADE)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_targets_of_make_are_there(path: Path) -> None:
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = {word for command in commands(path, "make") for word in command.split()[1:]}
    assert {word for word in named if word.isalpha()} <= set(rules)
