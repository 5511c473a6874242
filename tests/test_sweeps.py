"""Sweeps: their settings, their jobs in the plan, their place and their table."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from plans import Change

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.report.collect import SWEEP_COLUMNS, Score, write_sweeps
from siamla.steps.outlook import job_named, outlook

WINDOW = {"key": "window", "values": [0, 0.25], "variants": ["siamcar"], "benchmarks": ["otb100"]}


def swept(params: Path, **change: Any) -> Plan:
    """The smoke profile with the sweep `window` at 0 and 0.25 of siamcar, or as it is changed."""
    (params / "sweeps.yaml").write_text(yaml.safe_dump({"sweeps": {"window": WINDOW | change}}))
    return Plan.load("smoke")


@pytest.fixture
def plan(params: Path) -> Plan:
    return swept(params)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": "windw"}, "sweeps.window: 'windw' is no tracker setting; did you mean 'window'?"),
        ({"values": [0, 1.5]}, "sweeps.window: window is 1.5: expected at most 1"),
        ({"values": [0.1, 0.1]}, "0.1 is given twice"),
        ({"values": [0.1, 0.1000000001]}, "two values are both 0.1"),
        ({"values": []}, "sweeps.window.values"),
        ({"key": "postprocess", "values": ["topn", "relase"]}, "did you mean 'release'?"),
        ({"benchmark": "otb100"}, "did you mean 'benchmarks'?"),
        (
            {"variants": ["siamcr"]},
            "sweeps.window.variants: 'siamcr' is unknown; did you mean 'siamcar'?",
        ),
        ({"benchmarks": ["otb10"]}, "sweeps.window.benchmarks: 'otb10' is unknown; did you mean"),
    ],
)
def test_mistakes_in_sweeps_are_told_before_any_work(
    params: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        swept(params, **change)
    assert said in str(error.value)
    assert str(error.value).startswith("params/sweeps.yaml: ")


def test_a_point_is_a_prediction_and_a_score_of_the_variants_own_model(plan: Plan) -> None:
    jobs = plan.jobs_of("score_sweep")
    folder = "results/smoke/sweeps/window/{}/otb100/siamcar/{}/seed1"
    assert [job.folder.as_posix() for job in jobs] == [
        folder.format("scores", value) for value in ("0", "0.25")
    ]
    predicted = jobs[1].parents["predictions"]
    assert predicted.folder.as_posix() == folder.format("predictions", "0.25")
    assert predicted.parents["model"] is plan.job("train", variant="siamcar", seed=1)
    words = "siamla benchmark predict otb100 siamcar --seed 1 --sweep window=0.25 --profile smoke"
    assert predicted.command == words
    assert [job.names["variant"] for job in plan.jobs_of("train")] == ["siamcar", "siamla"]
    assert len({jobs[0].key, jobs[1].key, ordinary(plan).key}) == 3


def ordinary(plan: Plan) -> Job:
    return plan.job("score", benchmark="otb100", variant="siamcar", seed=1)


def test_a_point_with_the_variants_own_value_has_the_identity_of_its_ordinary_result(
    plan: Plan, params: Path
) -> None:
    value = plan.experiment.tracker("siamcar", "otb100").window
    again = swept(params, values=[value])
    assert [job.key for job in again.jobs_of("score_sweep")] == [ordinary(plan).key]


def test_the_swept_value_wins_over_what_the_variant_sets(changed: Change, params: Path) -> None:
    changed(variants={"variants": {"siamcar": {"set": {"tracker.window": 0.9}}}})
    jobs = swept(params).jobs_of("score_sweep")
    values = [job.identity.plain["predictions"]["tracker"]["window"] for job in jobs]
    assert values == [0, 0.25]


def test_a_profile_without_sweeps_has_no_such_jobs(changed: Change) -> None:
    without = changed(smoke={"sweeps": []})
    assert without.jobs_of("score_sweep") == []
    assert not [job for job in without.jobs() if "sweep" in job.names]
    names = {"benchmark": "otb100", "variant": "siamcar", "seed": 1}
    with pytest.raises(UserError, match="window: no such sweep in this profile"):
        without.job("score_sweep", sweep="window", value="0", **names)


def test_people_name_a_point(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert "predict_sweep    2 of   2 to run" in outlook(plan)
    job = job_named(plan, ["predict", "window", "otb100", "siamcar", "0.25,", "seed", "1"])
    assert job.title == "predict window otb100 siamcar 0.25, seed 1"
    words = ["benchmark", "predict", "otb100", "siamcar", "--profile", "smoke", "--sweep"]
    for sweep, said in (
        ("window", "expected SWEEP=VALUE"),
        ("window=0.3", "'0.3' is not one of its values (0, 0.25)"),
    ):
        assert main([*words, sweep]) == 2
        assert said in capsys.readouterr().err


def point(job: Job, auc: float) -> Score:
    """The score of a point of a sweep."""
    content = {"record": {"names": job.names}, "overall": {"auc": auc, "device": "cpu"}}
    return Score("otb100", "siamcar", 1, content, float(job.names["value"]))


def test_the_table_of_a_sweep(plan: Plan, tmp_path: Path) -> None:
    scores = [*map(point, plan.jobs_of("score_sweep"), (0.5, 0.625))]
    for name, order in (("a", scores), ("b", scores[::-1])):
        write_sweeps(order, {"window": "window"}, tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    rows = list(csv.reader((tmp_path / "a.csv").open()))
    assert rows == [
        list(SWEEP_COLUMNS),
        ["window", "window", "0.0", "otb100", "siamcar", "1", "auc", "0.5"],
        ["window", "window", "0.25", "otb100", "siamcar", "1", "auc", "0.625"],
    ]
    names = {"record": {"names": scores[1].content["record"]["names"] | {"value": "release"}}}
    scores[1] = replace(scores[1], content={**scores[1].content, **names}, value=None)
    write_sweeps(scores, {"window": "window"}, tmp_path / "c.csv")
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    assert [row["value"] for row in rows] == ["0", "release"]
