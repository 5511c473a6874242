"""The plan: which results a change decides anew, what an identity holds, and what a table
accepts.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from siamla.errors import UserError
from siamla.experiment.plan import Job, Plan
from siamla.experiment.spec import merge
from siamla.files import write_json
from siamla.report.tables.job import table_job, table_variants, taken_up
from siamla.steps.check import check, missing_data
from siamla.steps.outlook import job_named, outdated, outlook, show_job, stale, view_reasons
from siamla.steps.perform import brought, score_content
from siamla.steps.report import gather

ROOT = Path(__file__).parents[1]
Change = Callable[..., Plan]


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """The smoke profile's plan after changes of settings files, given as nested mappings laid over
    their content.
    """
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "params", tmp_path / "params")

    def change(**files: dict) -> Plan:
        for name, over in files.items():
            source = next((ROOT / "params").rglob(f"{name}.yaml"))
            path = tmp_path / "params" / source.relative_to(ROOT / "params")
            path.write_text(
                yaml.safe_dump(merge(yaml.safe_load(source.read_text()), over), sort_keys=False)
            )
        plan = Plan.load("smoke")
        keys(plan)  # now, before the files change once more
        return plan

    return change


def keys(plan: Plan) -> dict[str, str]:
    """Every job's key by its title, tables included; sweeps, maps, crops: test_sweeps, test_maps,
    test_pipeline.
    """
    beside = ("maps", "alignment")
    found = {
        job.title: job.key
        for job in plan.jobs()
        if "sweep" not in job.names and job.step not in beside
    }
    return found | {
        f"table {number}": table_job(plan, number).key for number in plan.profile.tables
    }


def differing(before: Plan, after: Plan) -> set[str]:
    """Step and variant, or step and data set, of the jobs that both plans have with another key."""
    old, new = keys(before), keys(after)
    return {
        title.removesuffix(", seed 1")
        for title in old.keys() & new.keys()
        if old[title] != new[title]
    }


def downstream(*variants: str) -> set[str]:
    """What a new model of these variants brings with it."""
    names = {f"train {v}" for v in variants}
    return names | {
        f"{step} {b} {v}"
        for step in ("predict", "score")
        for b in ("otb100", "got10k")
        for v in variants
    }


def variant(name: str, **settings: object) -> dict:
    return {"variants": {name: {"set": settings}}}


def test_a_label_or_caption_changes_tables_alone(changed: Change) -> None:
    before = changed()
    after = changed(
        variants={"variants": {"siamcar": {"label": "Baseline"}}}, smoke={"caption": "Another."}
    )
    assert differing(before, after) == {"table 3"}
    metrics = {
        "otb100": {"metrics": {"auc": {"label": "Area under curve", "digits": 4}}, "title": "OTB"}
    }
    assert differing(before, changed(protocols=metrics)) == {"table 3"}


def test_a_loss_parameter_changes_its_variants(changed: Change) -> None:
    before = changed()
    assert differing(
        before, changed(variants=variant("siamla", **{"loss.regression": 2.0}))
    ) == downstream("siamla")


def test_a_new_metric_or_threshold_changes_scores_and_no_predictions(changed: Change) -> None:
    before = changed()
    metric = {"precision10": {"label": "Precision at 10", "better": "higher", "digits": 3}}
    over = {
        "otb100": {"metrics": metric, "onepass": {"precision": {"report": {"precision10": 10}}}}
    }
    scores = {"score otb100 siamcar", "score otb100 siamla"}
    assert differing(before, changed(protocols=over)) - {"table 3"} == scores
    assert (
        differing(before, changed(protocols={"otb100": {"onepass": {"success": {"count": 41}}}}))
        == scores
    )


def test_a_tracker_setting_changes_predictions_and_no_training(changed: Change) -> None:
    before = changed()
    expected = {job for job in downstream("siamla") if not job.startswith("train")}
    assert (
        differing(before, changed(variants=variant("siamla", **{"tracker.window": 0.3})))
        == expected
    )


def test_another_benchmark_changes_no_result(changed: Change) -> None:
    before = changed()
    street = {"benchmarks": {"street": {"layout": "otb", "root": "street"}}}
    assert differing(before, changed(smoke=street)) == {"table 3"}


def test_a_changed_generator_setting_changes_all_that_is_made_from_it(changed: Change) -> None:
    before = changed()
    found = differing(before, changed(synthetic={"smoke_otb": {"seed": 9}}))
    tracked = {f"{step} otb100 {v}" for step in ("predict", "score") for v in ("siamcar", "siamla")}
    assert found == {"fetch otb100", "curate otb100"} | tracked
    trained = differing(before, changed(synthetic={"smoke_train": {"seed": 9}}))
    assert downstream("siamcar", "siamla") <= trained
    assert {"fetch smoke_train", "curate smoke_train"} <= trained


def test_a_changed_dvc_pointer_changes_all_that_is_made_from_it(
    changed: Change, tmp_path: Path
) -> None:
    pointer = tmp_path / "data.dvc"
    own = {"benchmarks": {"otb100": {"root": "data/mine", "dvc": "data.dvc"}}}
    pointer.write_text("outs:\n- md5: a.dir\n  path: mine\n")
    before = changed(smoke=own)
    old = keys(before)
    pointer.write_text("outs:\n- md5: b.dir\n  path: mine\n")
    new = keys(Plan.load("smoke"))
    tracked = {
        f"{step} otb100 {v}, seed 1" for step in ("predict", "score") for v in ("siamcar", "siamla")
    }
    assert {title for title in old if old[title] != new[title]} == {
        "fetch otb100",
        "curate otb100",
    } | tracked


def test_a_moved_folder_changes_nothing(changed: Change) -> None:
    own = {"benchmarks": {"otb100": {"root": "here", "dvc": None}}}
    moved = {"benchmarks": {"otb100": {"root": "/elsewhere", "dvc": None}}}
    assert differing(changed(smoke=own), changed(smoke=moved)) <= {
        "table 3"
    }  # the caption names the user's folder


def test_what_a_variant_sets_wins_over_its_benchmark_and_profile(changed: Change) -> None:
    over = {"benchmarks": {"otb100": {"tracker": {"window": 0.45, "size_lr": 0.5}}}}
    plan = changed(smoke=over, variants=variant("siamla", **{"tracker.window": 0.1}))
    ours, base = (plan.experiment.tracker(name, "otb100") for name in ("siamla", "siamcar"))
    assert (ours.window, ours.size_lr) == (0.1, 0.5)
    assert (base.window, base.size_lr) == (0.45, 0.5)


def test_a_variant_that_differs_in_the_tracker_trains_nothing(changed: Change) -> None:
    mine = {
        "variants": {"mine": {"label": "Mine", "extends": "siamla", "set": {"tracker.window": 0.1}}}
    }
    plan = changed(variants=mine, smoke={"variants": ["siamcar", "siamla", "mine"]})
    assert [job.names["variant"] for job in plan.trainings()] == ["siamcar", "siamla"]
    job = plan.predict("otb100", "mine", 1)
    assert job.parents["model"].folder == Path("results/smoke/train/siamla/seed1")
    assert job.key != plan.predict("otb100", "siamla", 1).key


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper"])
def test_no_identity_holds_a_path_a_name_or_a_host(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    plan = Plan.load(profile)
    for job in plan.jobs():
        text = json.dumps(job.identity.plain)
        for word in ("data/raw", "resnet50.model", "siamcar", "siamla.", str(ROOT)):
            assert word not in text, (job.title, word)


def test_parents_come_first_and_every_result_has_a_place_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    jobs = Plan.load("mini").jobs()
    places = [job.folder for job in jobs]
    assert len(set(places)) == len(places)
    for number, job in enumerate(jobs):
        assert {parent.folder for parent in job.parents.values()} <= set(places[:number])


# --- what a table accepts ---


def write_score(job: Job, **changes: object) -> Job:
    """A score file as the step writes it, with the job's own identity."""
    origin = {
        "key": "k",
        "content": "model",
        "inputs": {},
        "place": {},
        "environment": {},
        "seconds": 1.0,
    }
    content = score_content({"overall": {}, "per_sequence": {}})
    record = {
        "step": "score",
        "names": dict(job.names),
        "identity": job.identity.plain,
        "key": job.key,
        "inputs": {"data": "d", "predictions": "p"},
        "place": {},
        "content": content,
        "files": {},
        "environment": {},
        "started": "",
        "seconds": 1.0,
    }
    score = {
        "record": record,
        "training": origin,
        "predictions": origin,
        "overall": {},
        "per_sequence": {},
    }
    write_json(job.folder, merge(score, changes))
    return job


def test_scores_of_the_plan_are_gathered(changed: Change) -> None:
    plan = changed()
    for job in plan.scores():
        write_score(job)
    assert len(gather(plan.scores())) == 4


def test_a_score_file_that_was_changed_by_hand_is_refused(changed: Change) -> None:
    plan = changed()
    for job in plan.scores():
        write_score(job)
    assert "up to date" in show_job(write_score(plan.score("otb100", "siamla", 1)))
    job = write_score(plan.score("otb100", "siamla", 1), overall={"auc": 0.99})
    assert f"would run:\n- {job.folder} has changed since it was made" in show_job(job)
    with pytest.raises(
        UserError,
        match=r"otb100/siamla/seed1\.json has changed since it was made; delete it and run",
    ):
        gather(plan.scores())


def test_a_table_of_other_results_is_outdated_by_its_files_alone(changed: Change) -> None:
    """Times do not tell: results may have been copied, and Snakemake's memory left behind."""
    plan = changed()
    jobs = [write_score(job) for job in plan.scores()]
    made = {"key": jobs[0].key, "content": jobs[0].content()}
    sources = {job.folder.as_posix(): made | {"key": job.key} for job in jobs}
    path = Path("reports/smoke/tables/table3.sources.json")
    assert view_reasons(table_job(plan, 3)) == ["not made yet"]
    assert not outdated(table_job(plan, 3))
    write_json(path, {"identity": table_job(plan, 3).identity.plain, "scores": sources})
    assert view_reasons(table_job(plan, 3)) == []
    assert "up to date" in show_job(table_job(plan, 3))
    write_score(plan.score("otb100", "siamla", 1), record={"content": "another"})
    assert view_reasons(table_job(plan, 3)) == [
        "results/smoke/scores/otb100/siamla/seed1.json has other content"
    ]
    assert outdated(table_job(plan, 3))
    assert "table            1 of   1 to make" in outlook(plan)
    after = changed(variants=variant("siamla", **{"loss.localization": 2.0}))
    told = [
        f"results/smoke/scores/{b}/siamla/seed1.json was of other settings or code"
        for b in ("otb100", "got10k")
    ]
    assert view_reasons(table_job(after, 3)) == told
    write_json(
        path,
        {"identity": table_job(plan, 3).identity.plain, "scores": dict(list(sources.items())[1:])},
    )
    assert outdated(table_job(plan, 3))
    write_score(plan.score("otb100", "siamla", 1))
    write_json(
        path,
        {
            "identity": table_job(plan, 3).identity.plain,
            "scores": sources | {"results/old.json": made},
        },
    )
    assert view_reasons(table_job(plan, 3)) == ["it was made from results/old.json, too"]
    path.write_text("[")
    assert outdated(table_job(plan, 3))


def test_results_of_others_that_changed_in_place_are_scored_again(changed: Change) -> None:
    results = Path("imported/kcf")
    results.mkdir(parents=True)
    (results / "Smoke01.txt").write_text("1,2,3,4\n")
    plan = changed(smoke={"imported": {"kcf": {"results": {"otb100": str(results)}}}})
    job = plan.score_imported("otb100", "kcf")
    for each in plan.scores():
        write_score(each, record={"inputs": {} if "tracker" not in each.names else brought(job)})
    assert job not in stale(plan)
    (results / "Smoke01.txt").write_text("1,2,3,5\n")
    assert [each.title for each in stale(plan) if "tracker" in each.names] == ["score otb100 kcf"]
    shutil.rmtree(results)  # they stayed on another machine
    assert job not in stale(plan)


def test_a_score_of_other_settings_is_refused_with_the_difference_in_words(changed: Change) -> None:
    for job in changed().scores():
        write_score(job)
    after = changed(smoke={"spec": {"labels": {"nearest_if_none": False}}})
    with pytest.raises(UserError) as error:
        gather(after.scores())
    said = str(error.value)
    assert (
        "results/smoke/scores/otb100/siamcar/seed1.json does not belong to the plan of profile"
        " smoke" in said
    )
    assert "predictions.model.settings.labels.nearest_if_none is True, the plan has False" in said


def test_scores_of_two_models_or_of_other_data_are_refused(changed: Change) -> None:
    plan = changed()
    for job in plan.scores():
        write_score(job)
    write_score(plan.score("got10k", "siamla", 1), training={"content": "another model"})
    with pytest.raises(UserError, match="different contents of one model siamla 1"):
        gather(plan.scores())
    write_score(plan.score("got10k", "siamla", 1), record={"inputs": {"data": "other data"}})
    with pytest.raises(UserError, match="different contents of one data got10k"):
        gather(plan.scores())


def test_a_missing_score_names_its_command(changed: Change) -> None:
    with pytest.raises(
        UserError, match="`siamla benchmark score otb100 siamcar --seed 1 --profile smoke` makes it"
    ):
        gather(changed().scores())


def test_a_variant_lands_in_the_table_of_what_it_sets(changed: Change) -> None:
    own = {
        "quarter": {"label": "λ = 0.25", "extends": "ladl_lals", "set": {"labels.lambda": 0.25}},
        "same": {
            "label": "by another way",
            "extends": "lals",
            "set": {"labels.ladl": True, "labels.lambda": 0.3},
        },
        "bare": {
            "label": "LAFA w/o both",
            "extends": "lafa_no_nonlocal",
            "set": {"model.lafa.aggregation_block": False},
        },
        "steep": {"label": "steep", "extends": "ladl", "set": {"labels.beta": 20}},
        "whole": {"label": "of SiamLA", "extends": "siamla", "set": {"labels.lambda": 0.25}},
        "more": {"label": "and the window", "extends": "quarter", "set": {"tracker.window": 0.1}},
    }
    chosen = ["siamcar", "siamla", "ladl", "lals", "ladl_lals", "ladl_lals_03", "lafa", *own]
    plan = changed(variants={"variants": own}, smoke={"variants": chosen, "tables": [3, 4, 5, 6]})
    assert {name: taken_up(plan, name) for name in chosen if taken_up(plan, name)} == {
        "quarter": {5: "0.25"},
        "same": {5: "0.3"},
        "bare": {6: "LAFA w/o both"},
        "steep": {4: "steep"},
    }
    shown = {job.names["variant"] for job in table_job(plan, 5).parents.values()}
    assert shown == {"ladl_lals", "ladl_lals_03", "quarter", "same"}
    assert table_variants(plan, 5)["quarter"]["row"] == "0.25"
    assert "whole" in {job.names["variant"] for job in table_job(plan, 3).parents.values()}


def test_a_wrong_setting_in_a_tables_rule_is_named(changed: Change) -> None:
    with pytest.raises(
        UserError, match=r"tables.5.match.settings: unknown key 'labels.lamda'; did you mean"
    ):
        changed(tables={"tables": {5: {"match": {"settings": ["labels.lamda"]}}}})


# --- what people see ---


def test_the_outlook_says_what_would_run_and_why(changed: Change) -> None:
    plan = changed()
    text = outlook(plan)
    assert "train            2 of   2 to run, no earlier run to go by" in text
    assert "not made yet: siamcar, seed 1 | siamla, seed 1" in text
    for job in plan.scores():
        write_score(job)
    assert "the code of" not in outlook(plan)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian", "siamla", "1"], "did you mean 'train'?"),
        (["train", "siamle", "1"], "did you mean 'siamla'?"),
        (["train", "siamla"], "expected variant seed"),
        (["train", "siamla", "one"], "seed is 'one', expected a whole number"),
        (["predict", "otb10", "siamla", "1"], "did you mean 'otb100'?"),
        (["table", "9"], "table 9"),
    ],
)
def test_a_wrong_job_is_named_with_what_is_near(
    changed: Change, words: list[str], said: str
) -> None:
    with pytest.raises(UserError) as error:
        job_named(changed(), words)
    assert said in str(error.value)


def test_one_job_is_shown_whole(changed: Change) -> None:
    plan = changed()
    text = show_job(job_named(plan, ["score", "otb100", "siamla", "1"]))
    assert "command: siamla benchmark score otb100 siamla --seed 1 --profile smoke" in text
    assert "window:" in text
    assert "would run:\n- not made yet" in text


# --- what is known before the first job ---


def test_everything_that_is_missing_is_told_in_one_list(changed: Change) -> None:
    changed()
    found = check(Plan.load("paper"))
    said = "\n".join(found.problems)
    for root in (
        "GOT-10k/train",
        "OTB100",
        "GOT-10k/val",
        "LaSOT",
        "TrackingNet/TEST",
        "TNL2K",
        "VOT2018",
    ):
        assert f"data/raw/{root}: no such folder" in said
    assert "sha256 is all zeros" in said
    assert "data/weights/resnet50.model: no such file" in said
    assert (
        any("no GPU is visible" in line for line in found.warnings)
        or "cuda" in str(found.checked).lower()
    )


def test_generated_sets_need_nothing(changed: Change) -> None:
    assert check(changed()).problems == []


MIX = {"coco": {"share": 0.5}, "clips": {"share": 0.5, "reach": 3}}
SETS = {
    "coco": {"layout": "coco", "root": "coco"},
    "clips": {"layout": "got10k", "preset": "clean", "root": "clips"},
}


def test_a_benchmark_has_the_models_of_its_training(changed: Change) -> None:
    before = changed()
    over = {"train": SETS, "trainings": {"both": {"pairs": {"dataset": MIX, "views": None}}}}
    plan = changed(smoke={**over, "benchmarks": {"got10k": {"training": "both"}}})
    folders = [job.folder.relative_to("results/smoke/train").as_posix() for job in plan.trainings()]
    assert folders == ["siamcar/seed1", "siamcar@both/seed1", "siamla/seed1", "siamla@both/seed1"]
    assert plan.predict("otb100", "siamla", 1).parents["model"] == plan.train("siamla", 1)
    model = plan.predict("got10k", "siamla", 1).parents["model"]
    assert model == plan.train("siamla@both", 1)
    assert model.key != plan.train("siamla", 1).key
    assert list(model.parents) == ["crops1", "crops2"]
    assert model.identity.plain["crops"]["2"]["reach"] == 3
    assert [job.names["dataset"] for job in plan.all_crops("siamla@both")] == ["coco", "clips"]
    assert (
        plan.crops("siamla@both", "coco").command
        == "siamla data crops siamla@both --dataset coco --profile smoke"
    )
    assert plan.features("siamla@both") is None
    gone = {job for job in differing(before, plan) if "otb100" in job or job.startswith("train")}
    assert gone == set()  # the trainings by `spec` stay what they were
    assert (
        job_named(plan, ["crops", "siamla@both", "clips"]).key
        == plan.crops("siamla@both", "clips").key
    )


def test_shares_reach_and_preset_decide_a_mixed_training_alone(changed: Change) -> None:
    def train(mix: dict, sets: dict = SETS) -> str:
        both = {"pairs": {"dataset": mix, "views": None}}
        return (
            changed(smoke={"train": sets, "trainings": {"both": both}}).train("siamla@both", 1).key
        )

    key = train(MIX)
    assert train({**MIX, "clips": {"share": 0.5, "reach": 4}}) != key
    assert train({"coco": {"share": 0.25}, "clips": {"share": 0.75, "reach": 3}}) != key
    assert (
        train(MIX, {**SETS, "coco": {"layout": "coco", "root": "coco", "preset": "field"}}) != key
    )
    assert train(MIX, {**SETS, "coco": {"layout": "coco", "root": "elsewhere"}}) == key


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (
            {**MIX, "coc": {"share": 0.25}, "coco": {"share": 0.25}},
            "'coc' is not one of train; did you mean 'coco'?",
        ),
        (
            {**MIX, "coco": {"share": 0.25}},
            "sum to 0.75, expected 1; in their proportions coco 0.3333, clips 0.6667",
        ),
        (
            {**MIX, "clips": {"share": 0.5, "reach": 0}},
            "pairs.dataset.clips.reach is 0: expected at least 1",
        ),
        (
            {**MIX, "clips": {"share": 0.5}},
            "clips.reach is missing: frames between template and search at most",
        ),
        (
            {**MIX, "coco": {"share": 0.5, "reach": 1}},
            "coco.reach is 1: coco has still images; leave it out",
        ),
        (
            {"coco": {"share": 0.3}, "clips": {"share": 0.7, "reach": 1}},
            "share: 0.3 of training.pairs_per_epoch (8)",
        ),
        ({**MIX, "coco": {"share": 0}}, "pairs.dataset.coco.share is 0: expected more than 0"),
        (
            {**MIX, "coco": {"shar": 0.5}},
            "unknown key 'pairs.dataset.coco.shar'; did you mean 'share'?",
        ),
        ({}, "the shares sum to 0, expected 1; in their proportions no set is named"),
    ],
)
def test_a_mix_that_cannot_be_is_refused_in_one_line(changed: Change, mix: dict, said: str) -> None:
    with pytest.raises(UserError) as error:
        changed(
            smoke={"train": SETS, "trainings": {"both": {"pairs": {"dataset": mix, "views": None}}}}
        )
    lines = str(error.value).splitlines()
    assert any(said in line for line in lines), lines
    assert len(lines) == 1, lines


@pytest.mark.parametrize(
    ("smoke", "said"),
    [
        (
            {"benchmarks": {"otb100": {"training": "bot"}}},
            "benchmarks.otb100.training: 'bot' is unknown; did you mean",
        ),
        (
            {"trainings": {"both": {"tracker": {"window": 1}}}},
            "trainings.both.tracker: a benchmark's tracker is set",
        ),
        (
            {"trainings": {"both": {"pairs": {"dataset": MIX}}}},
            "views: only a single data set has a finite number",
        ),
        (
            {"trainings": {"both": {"labels": {"alpa": 1}}}},
            "trainings.both: unknown key 'labels.alpa'; did you mean",
        ),
        (
            {"train": {"a": {"layout": "otb", "root": "a", "preset": "field"}}},
            "preset: otb has none; only coco",
        ),
        (
            {"train": {"a": {"layout": "coco", "root": "a", "frames": 3}}},
            "frames: a table of boxes has no first frames",
        ),
        (
            {"benchmarks": {"b": {"layout": "coco", "root": "a"}}},
            "benchmarks.b.layout is 'coco': expected 'otb'",
        ),
    ],
)
def test_trainings_and_sets_that_cannot_be_are_refused(
    changed: Change, smoke: dict, said: str
) -> None:
    both = {"pairs": {"dataset": MIX, "views": None}}
    with pytest.raises(UserError) as error:
        changed(
            smoke=merge(
                (
                    {"train": SETS, "trainings": {"both": both}}
                    if "trainings" not in smoke
                    else {"train": SETS}
                ),
                smoke,
            )
        )
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_paper_trains_twelve_models_on_got10k_and_two_on_five_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    plan = Plan.load("paper")
    names = [job.names["variant"] for job in plan.trainings()]
    models = [name for name in names if name.split("@")[0] in plan.layout.named_variants()]
    assert len(models) == 14
    assert [model for model in models if "@" in model] == ["siamcar@five", "siamla@five"]
    for benchmark in ("lasot", "trackingnet", "tnl2k", "vot2018"):
        assert (
            plan.predict(benchmark, "siamla", 1).parents["model"].names["variant"] == "siamla@five"
        )
    for benchmark in ("otb100", "got10k"):
        assert plan.predict(benchmark, "siamla", 1).parents["model"].names["variant"] == "siamla"
    train = plan.train("siamla@five", 1)
    assert [job.folder.parts[3] for job in train.parents.values()] == list(
        plan.spec("siamla@five").pairs.parts
    )
    assert {job.names["dataset"] for job in plan.jobs() if job.step == "curate"} >= set(
        plan.profile.train
    )
    missing = missing_data(plan)
    assert len([line for line in missing if line.startswith("train.")]) == 5
