"""A mistake in a figure, the study or the page stops who asks for it, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import COMMAND, Tree
from plans import Change

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.report.drawing.jobs import figure_job
from siamla.report.views import view_mistakes
from siamla.steps.check import check, check_job

MAPS = "{kind: maps, paper: Fig. 2 (b), title:"
TITLE = ("params/figures.yaml", MAPS, MAPS.replace("title", "titel"))
SWEEP = "siamla/report/figures/sweep.py"
SMOKE = "params/profiles/smoke.yaml"
# in the environment that runs the tests
MAKE = ("make", "-o", ".venv/.ready", "PROFILE=smoke", "CORES=2")


# --- what the check tells ---


def test_the_check_tells_every_mistake_in_views_and_tables(changed: Change, params: Path) -> None:
    changed(figures={"figures": {"fig9": {"titel": "x"}, "fig12": {"most": 0}}})
    with (params / "tables.yaml").open("a") as file:
        file.write("titel: x\n")
    plan = Plan.load("smoke")
    assert [line.partition(" ")[2] for line in view_mistakes(plan)] == [
        "figures.fig9: unknown key 'titel'; did you mean 'title'?",
        "figures.fig12: unknown key 'most'; valid: benchmark, kind, paper, title, variants",
    ]
    assert [line.partition(":")[0] for line in check(plan).problems] == ["params/tables.yaml"]


def test_a_mistake_in_a_view_is_an_error_by_hand_and_a_warning_to_a_pipeline(
    changed: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(figures={"ours": None})
    said = "params/figures.yaml: ours is null: expected text"
    assert main(["config", "check", "--profile", "smoke"]) == 2
    told = capsys.readouterr().err
    assert told.splitlines()[1:] == [f"- {said}"]
    assert "profile smoke can run, but not make all of its figures and pages yet" in told
    assert main(["config", "check", "--profile", "smoke", "--stamp"]) == 0
    assert capsys.readouterr().err == f"warning: {said}\n"
    assert json.loads(Path("results/smoke/check.json").read_text())["warnings"] == [said]


@pytest.mark.parametrize(
    ("swept", "found"),
    [
        ({"key": "postprocess", "values": ["topn", "release"]}, "postprocess: found topn, release"),
        # what the plan tracks with is no number
        ({"key": "lost", "values": [0.1, 0.2]}, "lost: found null"),
    ],
)
def test_a_figure_of_a_sweep_needs_numbers(
    changed: Change, swept: dict[str, Any], found: str
) -> None:
    plan = changed(sweeps={"sweeps": {"window": swept}})
    where = "params/figures.yaml: figures.fig14.sweep"
    line = f"{where}: window varies {found}; a figure of kind sweep needs numbers"
    with pytest.raises(UserError) as error:
        figure_job(plan, "fig14")
    assert str(error.value) == line
    assert (check(plan).problems, view_mistakes(plan)) == ([], [line])


def test_an_engine_without_its_package_is_told_before_anything_is_trained(
    changed: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = check_job(changed()).key
    monkeypatch.setattr(
        "siamla.engine.engines.installed", lambda package: None if package == "openvino" else "1"
    )
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    told = "tracker.engine: openvino: openvino is not installed; pip install 'siamla[fast]'"
    plan = changed(smoke={"trackers": {"siamla": {"engine": "openvino"}}})
    (line,) = check(plan).problems
    assert line.startswith(f"predict otb100 siamla, seed 1: {told}")
    assert check_job(plan).key != usual  # so that a pipeline looks again
    monkeypatch.setattr("siamla.engine.engines.installed", lambda package: "1")
    assert check(plan).problems == []


# --- the pipeline ---


def _look(tree: Tree, target: str) -> tuple[int, str]:
    done = tree.call(*COMMAND, "-n", "--", target)
    assert "Traceback" not in done.stdout
    return done.returncode, done.stdout


def test_a_mistake_in_a_view_stops_who_asks_for_it_alone(bare_tree: Tree) -> None:
    with bare_tree.edited(*TITLE):
        code, said = _look(bare_tree, "reproduce_tables")
        assert code == 0, said
        assert re.search(r"^train +2$", said, re.MULTILINE)
        for target in ("reproduce_figures", "reproduce_study"):
            code, said = _look(bare_tree, target)
            assert (code, said.splitlines()[-1]) == (
                1,
                "params/figures.yaml: figures.fig2: unknown key 'titel'; did you mean 'title'?",
            )
    with bare_tree.edited(SWEEP, "def draw(", "def draw(("):
        assert _look(bare_tree, "reproduce_tables")[0] == 0
        code, said = _look(bare_tree, "reproduce_all")
        assert code == 1
        assert re.search(rf"{SWEEP}: line \d+: not valid Python", said.splitlines()[-1])


@pytest.mark.parametrize("target", ["reproduce_figures", "collect_sweeps", "reproduce_study"])
def test_what_needs_data_is_checked_first(bare_tree: Tree, target: str) -> None:
    code, said = _look(bare_tree, target)
    assert code == 0, said
    assert re.search(r"^check_experiment +1$", said, re.MULTILINE)


def test_make_figures_begins_nothing_where_the_check_fails(bare_tree: Tree) -> None:
    more = "benchmarks:\n  street: {layout: otb, root: nowhere}\n"
    with bare_tree.edited(SMOKE, "benchmarks:\n", more):
        done = bare_tree.call(*MAKE, "figures")
    assert done.returncode == 2
    assert "benchmarks.street.root: nowhere: no such folder" in done.stdout
    assert "rule fetch_dataset" not in done.stdout


@pytest.mark.slow
def test_make_figures_draws_the_others_where_one_fails(tree: Tree) -> None:
    tree.remove("reports/smoke/figures/*")
    # of the results that are there
    stored = ("sweeps: [window]\nmaps: [otb100]\nalignment: [otb100]\n", "")
    with (
        tree.edited(SMOKE, *stored),
        tree.edited("siamla/report/figures/labels.py", "rows = []", "rows = 1 / 0"),
    ):
        done = tree.call(*MAKE, "figures")
    made = {path.stem for path in (tree.folder / "reports/smoke/figures").glob("*.png")}
    tree.remove("reports/smoke/figures/*")
    assert done.returncode == 2, done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert made >= {"fig9", "ablation", "training"}
    assert "fig4b" not in made
