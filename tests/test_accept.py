"""`siamla plan accept` tries few jobs, and takes over the others of their kind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from plans import Change, fake, fake_all

from siamla.experiment.job import Identity, Job
from siamla.experiment.plan import Plan
from siamla.steps import accept as module
from siamla.steps.accept import accept

Outcomes = dict[str, str]


@pytest.fixture
def plan(changed: Change) -> Plan:
    """Trainings of other code than the plan's; those of seed 2 were the quickest."""
    plan = changed(smoke={"seeds": [1, 2, 3], "variants": ["siamcar", "lals", "siamla"]})
    trainings = plan.jobs_of("train")
    fake_all(job for job in plan.jobs() if job.step in ("fetch", "curate", "crops", "features"))
    for job in trainings:
        former = Identity("train", {**job.identity.plain, "code": "before"})
        seconds = 1.0 + (job.names["seed"] != 2)
        fake(replace(job, identity=former), content="weights", seconds=seconds)
    return plan


@pytest.fixture
def tried(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Callable[[Outcomes], list[str]]:
    """Titles of jobs that `accept` runs again; the content that a variant has then."""

    def try_with(outcomes: Outcomes) -> list[str]:
        titles: list[str] = []

        def run(plan: Plan, job: Job, **means: Any) -> None:
            titles.append(job.title)
            fake(job, content=outcomes.get(job.names["variant"], "weights"))

        monkeypatch.setattr(module, "perform", run)
        return titles

    return try_with


def accepted(plan: Plan) -> set[str]:
    return {job.title for job in plan.jobs_of("train") if "accepted" in (job.record() or {})}


def test_what_one_variant_runs_says_nothing_of_the_code_of_another(
    plan: Plan, tried: Callable[[Outcomes], list[str]]
) -> None:
    titles = tried({})
    (line,) = accept(plan)
    # lals has no value that neither has
    assert sorted(titles) == ["train siamcar, seed 2", "train siamla, seed 2"]
    assert line.startswith("accepted: ")
    assert line.endswith("came out the same; 7 others of its kind are taken over")
    every = plan.jobs_of("train")
    assert accepted(plan) == {job.title for job in every} - set(titles)
    for job in every:
        assert {path.name for path in job.folder.glob("record-*")} >= {job.record_path.name}
    assert list(accept(plan)) == []


def test_one_that_came_out_different_is_enough(
    plan: Plan, tried: Callable[[Outcomes], list[str]]
) -> None:
    tried({"siamla": "others"})
    (line,) = accept(plan)
    assert line.startswith("not accepted: train siamla, seed 2 has other content now")
    assert accepted(plan) == set()


def test_nothing_is_tried_of_what_differs_in_more_than_code(
    plan: Plan, changed: Change, tried: Callable[[Outcomes], list[str]]
) -> None:
    """A setting, or what it is made from."""
    titles = tried({})
    for job in (job for job in plan.jobs() if job.step == "features"):
        fake(job, content="other features")
    for job in plan.jobs_of("train"):
        if "features" in job.parents:
            continue
        former = Identity("train", {**job.identity.plain, "seed": 9, "code": "before"})
        fake(replace(job, identity=former))
    assert list(accept(plan)) == []
    assert titles == []
