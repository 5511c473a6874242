"""Files that others' programs read: the workflow catalogue, a host's forms and CI, the citation."""

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
    return {
        rule: number for rule, number in rows.items() if rule not in ("all", "reproduce_tables")
    }


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


def test_forms_of_faults_and_numbers_ask_for_the_record() -> None:
    forms = {
        path.stem: yaml.safe_load(path.read_text())
        for path in (REPOSITORY / ".github/ISSUE_TEMPLATE").glob("*.yml")
    }
    assert not forms.pop("config").keys() - {"blank_issues_enabled", "contact_links"}
    asking = set()
    for name, form in forms.items():
        assert form.keys() >= {"name", "description", "body"}, name
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert all(field["attributes"]["label"] for field in fields)
        assert len({field["id"] for field in fields}) == len(fields)
        asking |= {name for field in fields if field["attributes"]["label"] == "record.json"}
    assert asking == {"fault", "number"}


def test_the_visible_ci_is_the_one_that_is_run_here() -> None:
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert [command.split()[-2:] for command in commands] == [["bash", ".ci/run"]]
    done = (REPOSITORY / ".ci/run").read_text().splitlines()[-3:]
    assert done == ["make lint", "make docs", "make test"]


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert "preferred-citation" not in citation  # a host would show it instead of the software
    assert "2204.14093" in citation["references"][0]["url"]
