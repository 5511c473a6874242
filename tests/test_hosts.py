"""Files that others' programs read: the workflow catalogue, the citation."""

import re
import tomllib

import pytest
import yaml
from conftest import REPOSITORY, Tree

TARGETS = ("all", "reproduce_tables")
SMOKE = ("--config", "profile=smoke")
WAYS = {
    "workflow/Snakefile": ("--snakefile", "workflow/Snakefile", *SMOKE),
    ".test": ("--configfile", ".test/config/config.yaml"),
}


def counts(tree: Tree, *options: str) -> dict[str, str]:
    """How many jobs of each rule a run would do, without the target itself."""
    done = tree.call("snakemake", "-n", "--cores", "2", *options)
    assert done.returncode == 0, done.stdout
    table = done.stdout.split("\njob ", 1)[1].split("\ntotal ", 1)[0]
    rows = dict(re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE))
    return {rule: number for rule, number in rows.items() if rule not in TARGETS}


@pytest.mark.parametrize("way", WAYS)
def test_the_catalogue_finds_the_same_workflow(bare_tree: Tree, way: str) -> None:
    found = counts(bare_tree, *WAYS[way])
    assert found["train"] == "2"
    assert found == counts(bare_tree, *SMOKE)


def test_the_catalogue_is_told_what_it_asks_for() -> None:
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment"}
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    config = (REPOSITORY / "config/README.md").read_text()
    for path in (REPOSITORY / "params").glob("*.yaml"):
        assert path.name in config, path.name
    readme = (REPOSITORY / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert "preferred-citation" not in citation  # a host would show it instead of the software
    assert "2204.14093" in citation["references"][0]["url"]
