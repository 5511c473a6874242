"""Sweeps: their settings, their jobs in the plan, their place and their table."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.experiment.sweeps import load_sweeps
from siamla.report.collect import SWEEP_COLUMNS, sweep_rows, write_sweeps
from siamla.steps.outlook import job_named, outlook

ROOT = Path(__file__).parents[1]
WINDOW = {"key": "window", "values": [0, 0.25], "variants": ["siamcar"], "benchmarks": ["otb100"]}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The smoke profile with the sweep `window` at 0 and 0.25 of siamcar."""
    for path in (ROOT / "params").rglob("*.yaml"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params/sweeps.yaml").write_text(yaml.safe_dump({"sweeps": {"window": WINDOW}}))
    return Plan.load("smoke")


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
    ],
)
def test_mistakes_in_sweeps(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "sweeps.yaml"
    path.write_text(yaml.safe_dump({"sweeps": {"window": WINDOW | change}}))
    with pytest.raises(UserError) as error:
        load_sweeps(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"variants": ["siamcr"]},
            "sweeps.yaml: sweeps.window.variants: 'siamcr' is unknown; did you mean 'siamcar'?",
        ),
        (
            {"benchmarks": ["otb10"]},
            "sweeps.yaml: sweeps.window.benchmarks: 'otb10' is unknown; did you mean",
        ),
    ],
)
def test_a_sweep_of_what_is_not_there_is_refused_before_any_work(
    plan: Plan, change: dict[str, Any], said: str
) -> None:
    Path("params/sweeps.yaml").write_text(yaml.safe_dump({"sweeps": {"window": WINDOW | change}}))
    with pytest.raises(UserError) as error:
        Plan.load("smoke")
    assert said in str(error.value)


def test_a_point_is_a_prediction_and_a_score_of_the_variants_own_model(plan: Plan) -> None:
    jobs = list(plan.sweeps())
    place = "results/smoke/sweeps/window/otb100/siamcar"
    assert [job.folder.as_posix() for job in jobs] == [
        f"{place}/0/seed1.json",
        f"{place}/0.25/seed1.json",
    ]
    predicted = jobs[1].parents["predictions"]
    assert predicted.folder.as_posix() == f"{place}/0.25/seed1"
    assert predicted.parents["model"] is plan.train("siamcar", 1)
    assert (
        predicted.command
        == "siamla benchmark predict otb100 siamcar --seed 1 --sweep window=0.25 --profile smoke"
    )
    assert {job.step for job in plan.jobs()} >= {"train", "predict", "score"}
    assert [job.names["variant"] for job in plan.trainings()] == ["siamcar", "siamla"]
    assert jobs[0].key != jobs[1].key != plan.score("otb100", "siamcar", 1).key


def test_a_point_with_the_variants_own_value_has_the_identity_of_its_ordinary_result(
    plan: Plan,
) -> None:
    own = plan.experiment.tracker("siamcar", "otb100").window
    Path("params/sweeps.yaml").write_text(
        yaml.safe_dump({"sweeps": {"window": WINDOW | {"values": [own]}}})
    )
    again = Plan.load("smoke")
    assert [job.key for job in again.sweeps()] == [plan.score("otb100", "siamcar", 1).key]


def test_the_swept_value_wins_over_what_the_variant_sets(plan: Plan) -> None:
    variants = yaml.safe_load(Path("params/variants.yaml").read_text())
    variants["variants"]["siamcar"]["set"] = {"tracker.window": 0.9}
    Path("params/variants.yaml").write_text(yaml.safe_dump(variants))
    found = [
        job.identity.plain["predictions"]["tracker"]["window"]
        for job in Plan.load("smoke").sweeps()
    ]
    assert found == [0, 0.25]


def test_a_profile_without_sweeps_has_no_such_jobs(plan: Plan) -> None:
    path = Path("params/profiles/smoke.yaml")
    path.write_text(path.read_text().replace("sweeps: [window]\n", ""))
    without = Plan.load("smoke")
    assert list(without.sweeps()) == []
    assert not [job for job in without.jobs() if "sweep" in job.names]
    with pytest.raises(UserError, match="window: no such sweep in this profile"):
        without.point("window", "0")


def test_people_name_a_point(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert "predict, sweep   2 of   2 to run" in outlook(plan)
    job = job_named(plan, ["predict", "window", "otb100", "siamcar", "0.25,", "seed", "1"])
    assert job.title == "predict window otb100 siamcar 0.25, seed 1"
    for sweep, said in (
        ("window", "expected SWEEP=VALUE"),
        ("window=0.3", "'0.3' is not one of its values (0, 0.25)"),
    ):
        assert (
            main(
                [
                    "benchmark",
                    "predict",
                    "otb100",
                    "siamcar",
                    "--sweep",
                    sweep,
                    "--profile",
                    "smoke",
                ]
            )
            == 2
        )
        assert said in capsys.readouterr().err


def scored(plan: Plan, values: dict[str, float]) -> dict[Path, dict[str, Any]]:
    scores = {}
    for job in plan.sweeps():
        record = {"names": dict(job.names)}
        scores[job.folder] = {
            "record": record,
            "overall": {"auc": values[str(job.names["value"])], "device": "cpu"},
        }
    return scores


def test_the_table_of_a_sweep(plan: Plan, tmp_path: Path) -> None:
    scores = scored(plan, {"0": 0.5, "0.25": 0.625})
    for name, order in (("a", scores), ("b", dict(reversed(scores.items())))):
        write_sweeps(order, {"window": "window"}, tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    rows = list(csv.reader((tmp_path / "a.csv").open()))
    assert rows == [
        list(SWEEP_COLUMNS),
        ["window", "window", "0.0", "otb100", "siamcar", "1", "auc", "0.5"],
        ["window", "window", "0.25", "otb100", "siamcar", "1", "auc", "0.625"],
    ]
    for path, score in scores.items():
        if "0.25" in path.parts:
            score["record"]["names"]["value"] = "release"
    assert [row["value"] for row in sweep_rows(scores, {"window": "window"})] == ["0", "release"]
