"""The table of steps: what a child refuses, and what the workflow needs."""

import inspect
import re
import shutil
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from plans import changed_plan, fake, fake_all

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan
from siamla.experiment.steps import STEPS
from siamla.files import write_text
from siamla.steps.perform import perform


def test_every_entry_has_its_work_and_a_folder_of_its_own() -> None:
    for step in STEPS.values():
        assert callable(import_module(f"siamla.steps.{step.result}").work), step.name
    folders = {re.sub(r"{\w+}", "{}", step.folder) for step in STEPS.values()}
    assert len(folders) == len(STEPS)


# --- what a child makes of its parents' results ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """The smoke profile with an imported tracker, every result there; and where."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(REPOSITORY / "params", folder / "params")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_text(Path("imported/kcf/Smoke01.txt"), "1,2,3,4\n")
        imported = {"kcf": {"results": {"otb100": "imported/kcf"}}}
        plan = changed_plan(folder / "params", smoke={"imported": imported})
        fake_all(plan.jobs())
    return plan, folder


@pytest.fixture
def plan(whole: tuple[Plan, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The same in a copy, which is the current folder."""
    shutil.copytree(whole[1], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return whole[0]


def other_settings(plan: Plan, job: Job) -> None:
    """The result of other settings stands in place of the job's."""
    job.record_path.unlink()
    plain = {**job.identity.plain, "code": "other", "sheen": 3}
    fake(replace(job, identity=Identity(job.step, plain)))


def renamed(plan: Plan, job: Job) -> None:
    """Its record has the name of the plan's."""
    other_settings(plan, job)
    (record,) = job.folder.glob("record-*.json")
    record.rename(job.record_path)


def copied(plan: Plan, job: Job) -> None:
    """The result of other names was copied to its place."""
    others = (each for each in plan.jobs() if each.entry == job.entry)
    other = next((each for each in others if each.key != job.key), None)
    if other is None:  # as of the only crops: that of another profile's settings
        other_settings(plan, job)
        return
    shutil.rmtree(job.folder)
    shutil.copytree(other.folder, job.folder)


def removed(plan: Plan, job: Job) -> None:
    shutil.rmtree(job.folder)


HARM = {
    other_settings: (
        "{folder} does not belong to the plan of profile smoke: sheen is 3, the plan",
    ),
    renamed: ("{record}: its identity is not that of key", "delete it and run"),
    copied: ("{folder} does not belong to the plan of profile smoke: ",),
    removed: ("{folder}: not made yet",),
}


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("entry", [name for name in STEPS if name != "fetch"])
def test_a_child_refuses_a_parent_that_is_not_the_plans(plan: Plan, entry: str, harm: Any) -> None:
    """With what differs, and the command that mends it. Nothing is written."""
    child = next(job for job in reversed(plan.jobs()) if job.entry == entry)
    assert child.parents
    for parent in child.parents.values():
        aside = Path("aside")
        shutil.copytree(parent.folder, aside)
        harm(plan, parent)
        before = contents()
        with pytest.raises(UserError) as error:
            perform(plan, child, child.key)
        for part in (*HARM[harm], f"`{parent.command}`"):
            said = part.format(folder=parent.folder, record=parent.record_path)
            assert said in str(error.value)
        assert contents() == before
        shutil.rmtree(parent.folder, ignore_errors=True)
        aside.rename(parent.folder)


def test_so_does_its_command(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether its own result is there or not."""
    child = plan.job("score", benchmark="otb100", variant="siamla", seed=1)
    other_settings(plan, child.parents["predictions"])
    for _ in range(2):
        before = contents()
        assert main(child.command.split()[1:]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "sheen is 3, the plan has no such thing" in line
        assert contents() == before
        shutil.rmtree(child.folder, ignore_errors=True)


# --- what the workflow takes of Snakemake ---

WORKFLOW = [REPOSITORY / "Snakefile", *sorted((REPOSITORY / "workflow/rules").glob("*.smk"))]
INTERNALS = {
    "dag": {"ignore_incomplete", "forcefiles"},
    "dag_settings": {"rerun_triggers", "force_incomplete"},
    "scheduler": {"job_rate_limiter"},
}


def test_three_names_that_snakemake_does_not_document_are_used() -> None:
    """Everything else of Snakemake is what its manual says."""
    text = "\n".join(path.read_text() for path in WORKFLOW)
    used: dict[str, set[str]] = {}
    for name, attribute in re.findall(r"\bworkflow\.(\w+)\.?(\w*)", text):
        used.setdefault(name, set()).update({attribute} - {""})
    assert used == INTERNALS
    imported = re.findall(r"^ *(?:from|import) snakemake.*", text, re.MULTILINE)
    assert imported == ["from snakemake.exceptions import WorkflowError"]


def test_the_installed_snakemake_has_these_names() -> None:
    import snakemake.api  # first: its modules import each other
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake.workflow import DAG, DAGSettings, Workflow

    assert snakemake.api
    for name in ("dag", "scheduler"):
        assert isinstance(inspect.getattr_static(Workflow, name), property)
    assert {"dag_settings"} <= {field.name for field in fields(Workflow)}
    for kind, key in ((DAG, "dag"), (JobScheduler, "scheduler")):
        for name in INTERNALS[key]:
            assert f"self.{name} = " in inspect.getsource(kind.__init__)
    assert {field.name for field in fields(DAGSettings)} >= INTERNALS["dag_settings"]
