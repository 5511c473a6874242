"""Choosing tracker settings: the search, what it may be done on, and the report of where the values
came from.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from siamla.benchmark.tuning import search
from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.experiment.sweeps import load_tuning
from siamla.files import canonical_json, digest, read_json, write_json, write_text
from siamla.miniatures.dataset import synthesize
from siamla.miniatures.settings import load_sets
from siamla.model.checkpoint import save_model
from siamla.model.siamla import build_model
from siamla.provenance.record import make_record
from siamla.steps.perform import hashed
from siamla.steps.tune import tune, validation_set

ROOT = Path(__file__).parents[1]


def test_one_setting_at_a_time_from_the_start() -> None:
    """Best at a = 2, b = 3; where b moves first, a has to be tried again."""
    measured = []

    def measure(choice: dict[str, Any]) -> float:
        measured.append(dict(choice))
        return -abs(choice["a"] - 2) - abs(choice["b"] - 3) * (choice["a"] + 1)

    pairs = list(search(measure, {"a": 0, "b": 1}, {"a": [0, 1, 2], "b": [1, 3]}, 5))
    assert max(pairs, key=lambda pair: pair[1]) == ({"a": 2, "b": 3}, 0)
    assert measured[0] == {"a": 0, "b": 1}
    assert len({canonical_json(choice) for choice in measured}) == len(measured)  # none twice


def test_equal_values_keep_the_earlier_one_and_end_the_search() -> None:
    pairs = list(search(lambda choice: float(choice["a"] > 0), {"a": 0}, {"a": [1, 2]}, 1))
    assert pairs == [({"a": 0}, 0), ({"a": 1}, 1), ({"a": 2}, 1)]
    assert len(list(search(lambda choice: 0.0, {"a": 0}, {"a": [0, 1, 2]}, 5))) == 3


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The smoke profile with a small grid."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    Path("params/tune.yaml").write_text("rounds: 1\ngrid: {window: [0.1, 0.4], top_n: [1]}\n")
    return Plan.load("smoke")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("otb100", "tables show it or models are trained on it"),
        ("smoke_train", "tables show it or models are trained on it"),
        ("lasot", "tables show it or models are trained on it"),
        ("smoke_otb", "otb100 of profile smoke is made from it or has its seed"),
        ("smoke_validaton", r"did you mean 'smoke_validation'\?"),
    ],
)
def test_nothing_is_chosen_on_what_tables_show(plan: Plan, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        validation_set(plan, name)


@pytest.mark.parametrize(
    ("source", "seed", "said"),
    [
        ("smoke_validation", "smoke_otb", "copy: otb100 of profile smoke is made from it or has"),
        ("trackingnet", "trackingnet", "copy: the truth of its clips is withheld"),
    ],
)
def test_a_set_that_nothing_is_chosen_on(plan: Plan, source: str, seed: str, said: str) -> None:
    path = Path("params/synthetic.yaml")
    sets = yaml.safe_load(path.read_text())
    sets["copy"] = {**sets[source], "seed": sets[seed]["seed"]}
    path.write_text(yaml.safe_dump(sets))
    with pytest.raises(UserError, match=said):
        validation_set(Plan.load("smoke"), "copy")


def test_mistakes_in_the_grid(plan: Plan) -> None:
    path = Path("params/tune.yaml")
    path.write_text("rounds: 1\ngrid: {windw: [0.1], top_n: [0]}\n")
    with pytest.raises(UserError) as error:
        load_tuning(path)
    assert "grid.windw: 'windw' is no tracker setting; did you mean 'window'?" in str(error.value)
    assert "grid.top_n: top_n is 0: expected at least 1" in str(error.value)


def trained(plan: Plan, variant: str = "siamla") -> None:
    """A random model in the place of a training."""
    job = plan.job("train", variant=variant, seed=1)
    save_model(job.folder / "model.pt", build_model(plan.spec(variant).model, seed=0), variant, {})
    files = hashed(job.folder, ["model.pt"])
    record = make_record("train", job.names, job.identity.plain, job.key, {}, {}, 0)
    write_json(job.record_path, record | {"content": files["model.pt"], "files": files})


def test_a_missing_training_names_its_command(plan: Plan) -> None:
    said = "`siamla train run siamla --seed 1 --profile smoke` comes first"
    with pytest.raises(UserError, match=said):
        tune(plan, ["siamla"], ["smoke_validation"])
    assert not Path("data").exists()


def test_real_clips_count_as_much_as_a_rendered_set(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(plan)
    sets = load_sets(plan.params / "synthetic.yaml")
    real = Path("real")
    synthesize("real", sets["smoke_validation"].model_copy(update={"layout": "plain"}), real)
    write_json(real / "real.json", {"split": "validation", "videos": {}})
    command = ["tune", "siamla", "--profile", "smoke", "--benchmark", "smoke_validation"]
    assert main([*command, "--benchmark", "real"]) == 0
    assert "# auc on smoke_validation, auc on real; every point in" in capsys.readouterr().out
    report = read_json(Path("results/smoke/tune/siamla.json"))
    assert report["metric"] == {"smoke_validation": "auc", "real": "auc"}
    scores = report["points"][0]["scores"]["1"]
    assert report["before"] == pytest.approx(sum(scores.values()) / 2)
    write_json(real / "real.json", {"split": "test", "videos": {}})
    assert main([*command, "--benchmark", "real"]) == 2
    said = "real/real.json says split 'test'; settings are chosen on the split validation alone"
    assert said in capsys.readouterr().err


def test_the_report_says_where_the_values_came_from(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(plan)
    command = ["tune", "siamla", "--profile", "smoke", "--benchmark", "smoke_validation"]
    assert main(command) == 0
    path = Path("results/smoke/tune/siamla.json")
    report = read_json(path)
    said = capsys.readouterr().out
    chosen = report["chosen"]
    block = {"trackers": {"siamla": {"window": chosen["window"], "top_n": chosen["top_n"]}}}
    assert yaml.safe_load(said) == block  # what stands beside it are comments
    assert list(report["models"]) == ["1"]
    made = plan.job("train", variant="siamla", seed=1).record()
    assert made is not None
    assert report["models"]["1"]["content"] == made["content"]
    assert report["clips"][0]["settings"]["seed"] == 3101
    # the variant's own come first
    assert report["points"][0]["settings"] == {"window": 0.4, "top_n": 3}
    assert {point["settings"]["window"] for point in report["points"]} == {0.1, 0.4}
    assert report["reached"] == max(point["mean"] for point in report["points"]) >= report["before"]
    kept = report | {"points": report["points"][:1]}  # as a killed run leaves it
    kept["points"][0] |= {"mean": 5.0}
    write_text(path, canonical_json(kept))
    assert main(command) == 0
    again = read_json(path)
    assert again["before"] == 5.0  # what was there was not measured again
    before = {digest(point["settings"]): point["scores"] for point in report["points"]}
    for point in again["points"]:
        assert point["scores"] == before[digest(point["settings"])]


def test_all_variants_have_the_same_grid_clips_and_start(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever was chosen before; what a variant itself sets stays, and a training that lacks is
    told before any.
    """
    variants, profile = Path("params/variants.yaml"), Path("params/profiles/smoke.yaml")
    entry = {"label": "N", "extends": "siamcar", "set": {"tracker.window": 0.25}}
    variants.write_text(variants.read_text() + f"\n  narrow: {entry}\n")
    text = profile.read_text().replace("[siamcar, siamla]", "[siamcar, siamla, narrow]")
    chosen_before = "trackers: {siamla: {window: 0.9, penalty_k: 0.5}}\n"
    profile.write_text(f"{text}\n{chosen_before}")
    now = Plan.load("smoke")
    trained(now, "siamcar")
    command = ["tune", "--profile", "smoke", "--benchmark", "smoke_validation"]
    assert main(command) == 2
    assert "siamla" in capsys.readouterr().err
    assert not Path("results/smoke/tune").exists()
    trained(now, "siamla")
    assert main(command) == 0
    said = capsys.readouterr().out
    names = ("siamcar", "siamla", "narrow")
    reports = {name: read_json(Path(f"results/smoke/tune/{name}.json")) for name in names}
    chosen = {name: report["chosen"] for name, report in reports.items()}
    assert yaml.safe_load(said) == {"trackers": chosen}
    assert len({canonical_json(report["clips"]) for report in reports.values()}) == 1
    starts = [report["points"][0]["settings"] for report in reports.values()]
    assert starts == [{"window": 0.4, "top_n": 3}, {"window": 0.4, "top_n": 3}, {"top_n": 3}]
    assert reports["siamla"]["from"]["penalty_k"] == 0.04
    assert reports["narrow"]["from"]["window"] == 0.25
    # trained once, they differ in the tracker
    assert reports["narrow"]["models"] == reports["siamcar"]["models"]
    profile.write_text(f"{text}\n{said}")
    then = Plan.load("smoke")
    window = chosen["siamla"]["window"]
    assert then.experiment.tracker("siamla", "otb100").window == window
    trainings = [plan.job("train", variant="siamla", seed=1) for plan in (now, then)]
    assert trainings[0].key == trainings[1].key  # no training is made anew
