"""`siamla plan accept` tries as few jobs as have every value of every setting, and takes over the
others.
"""

from pathlib import Path

import pytest
import yaml

from siamla.experiment.plan import Job, Plan
from siamla.files import write_json
from siamla.provenance.record import make_record
from siamla.steps import accept as module
from siamla.steps.accept import accept

ROOT = Path(__file__).parents[1]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Trainings of other code than the plan's; those of seed 2 were the quickest."""
    monkeypatch.chdir(tmp_path)
    for source in (ROOT / "params").rglob("*.yaml"):
        target = Path("params", source.relative_to(ROOT / "params"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text())
    path = Path("params/profiles/smoke.yaml")
    profile = yaml.safe_load(path.read_text()) | {
        "seeds": [1, 2, 3],
        "variants": ["siamcar", "lals", "siamla"],
    }
    path.write_text(yaml.safe_dump(profile))
    made = Plan.load("smoke")
    for job in made.trainings():
        inputs = {}
        for name, parent in job.parents.items():
            record = make_record(
                parent.step, parent.names, parent.identity.plain, parent.key, {}, {}, 0.0
            )
            write_json(parent.record_path, record | {"content": name})
            inputs[name] = name
        before = {**job.identity.plain, "code": "before"}
        record = make_record("train", job.names, before, "old", inputs, {}, 0.0)
        write_json(
            job.record_path,
            record | {"content": "weights", "seconds": 1.0 + (job.names["seed"] != 2)},
        )
    return made


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the jobs that were run again; they make what they had made."""
    titles: list[str] = []

    def run(plan: Plan, job: Job) -> None:
        titles.append(job.title)
        record = make_record("train", job.names, job.identity.plain, job.key, {}, {}, 0.0)
        write_json(
            job.record_path, record | {"content": CONTENT.get(job.names["variant"], "weights")}
        )

    monkeypatch.setattr(module, "_run", run)
    return titles


CONTENT: dict[str, str] = {}


def accepted(plan: Plan) -> set[str]:
    return {job.title for job in plan.trainings() if "accepted" in (job.record() or {})}


def test_what_one_variant_runs_says_nothing_of_the_code_of_another(
    plan: Plan, tried: list[str]
) -> None:
    (line,) = [line for line in accept(plan) if "train" in line]
    assert sorted(tried) == [
        "train siamcar, seed 2",
        "train siamla, seed 2",
    ]  # lals has no value that neither has
    assert line.startswith("accepted: ")
    assert line.endswith("came out the same; 7 others of its kind are taken over")
    assert accepted(plan) == {job.title for job in plan.trainings()} - set(tried)


def test_one_that_came_out_different_is_enough(
    plan: Plan, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONTENT, "siamla", "others")
    (line,) = [line for line in accept(plan) if "train" in line]
    assert line.startswith("not accepted: train siamla, seed 2 has other content now")
    assert accepted(plan) == set()
