"""The plan: its jobs, what a table accepts, what people see, what is known before any work."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import REPOSITORY
from plans import Change, differing, fake, fake_all, titles

from siamla.errors import UserError
from siamla.experiment.job import Job
from siamla.experiment.plan import Plan
from siamla.experiment.spec import merge
from siamla.files import write_json, write_text
from siamla.report.tables.job import layout_of, table_job, table_variants
from siamla.report.views import view
from siamla.steps.check import Findings, check, missing_data
from siamla.steps.decision import outdated, stale, view_reasons
from siamla.steps.outlook import job_named, outlook, show_job
from siamla.steps.report import COLLECTED, gather, verify_views, write_sources


def score_of(plan: Plan, benchmark: str, variant: str) -> Job:
    return plan.job("score", benchmark=benchmark, variant=variant, seed=1)


def variant(name: str, **settings: object) -> dict:
    return {"variants": {name: {"set": settings}}}


def test_a_variant_that_differs_in_the_tracker_trains_nothing(changed: Change) -> None:
    mine = {"label": "Mine", "extends": "siamla", "set": {"tracker.window": 0.1}}
    chosen = ["siamcar", "siamla", "mine"]
    plan = changed(variants={"variants": {"mine": mine}}, smoke={"variants": chosen})
    trained = [job.names["variant"] for job in plan.jobs_of("train")]
    assert trained == ["siamcar", "siamla"]
    job = plan.job("predict", benchmark="otb100", variant="mine", seed=1)
    assert job.parents["model"].folder == Path("results/smoke/train/siamla/seed1")
    assert job.key != plan.job("predict", benchmark="otb100", variant="siamla", seed=1).key


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper"])
def test_jobs_are_in_order_apart_and_name_no_path_or_host(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parents come first, every result has a folder of its own, and an identity travels."""
    monkeypatch.chdir(REPOSITORY)
    jobs = Plan.load(profile).jobs()
    folders = [job.folder for job in jobs]
    assert len(set(folders)) == len(folders)
    for number, job in enumerate(jobs):
        assert {parent.folder for parent in job.parents.values()} <= set(folders[:number])
        text = json.dumps(job.identity.plain)
        for word in ("data/raw", "resnet50.model", "siamcar", "siamla.", str(REPOSITORY)):
            assert word not in text, (job.title, word)


# --- what a table accepts ---


def test_scores_of_the_plan_are_gathered_and_no_others(changed: Change) -> None:
    """A missing one names its command, a changed one its file, one of others what differs."""
    plan = changed()
    first = "`siamla benchmark score otb100 siamcar --seed 1 --profile smoke` comes"
    with pytest.raises(UserError, match=first):
        gather(plan.scores())
    fake_all(plan.jobs())
    assert len(gather(plan.scores())) == 4
    job = score_of(plan, "otb100", "siamla")
    write_json(job.folder / "score.json", {"overall": {"auc": 0.99}})
    changes = r"otb100/siamla/seed1/score\.json has changed since .*; del"
    with pytest.raises(UserError, match=changes):
        gather(plan.scores())
    after = changed(smoke={"spec": {"labels": {"nearest_if_none": False}}})
    with pytest.raises(UserError) as error:
        gather(after.scores())
    said = str(error.value)
    first = "results/smoke/scores/otb100/siamcar/seed1 does not belong to the plan of profile smoke"
    assert first in said
    assert "predictions.model.settings.labels.nearest_if_none is True, the plan has False" in said


def test_scores_of_two_models_or_of_other_data_are_refused(changed: Change) -> None:
    plan = changed()
    fake_all(plan.jobs())
    job = score_of(plan, "got10k", "siamla")
    fake(job, inputs={"data": "other data"})
    with pytest.raises(UserError, match="different contents of one data got10k"):
        gather(plan.scores())
    fake(job, {"training": {"key": "k", "content": "another model"}})
    with pytest.raises(UserError, match="different contents of one model siamla 1"):
        gather(plan.scores())


def test_a_table_of_other_results_is_outdated_by_its_files_alone(changed: Change) -> None:
    """Times do not tell: results may have been copied, and Snakemake's memory left behind."""
    plan = changed()
    fake_all(plan.jobs())
    table, ours = table_job(plan, 3), "results/smoke/scores/otb100/siamla/seed1"
    assert view_reasons(table) == ["not made yet"]
    assert not outdated(table)
    write_sources(table)
    assert view_reasons(table) == []
    assert "up to date" in show_job(plan, table)
    sources = json.loads(table.record_path.read_text())
    fake(score_of(plan, "otb100", "siamla"), content="another")
    assert view_reasons(table) == [f"{ours} has other content"]
    assert outdated(table)
    assert "table            1 of   1 to make" in outlook(plan)
    after = changed(variants=variant("siamla", **{"loss.localization": 2.0}))
    assert view_reasons(table_job(after, 3)) == [
        f"{ours.replace('otb100', benchmark)} was of other settings or code"
        for benchmark in ("otb100", "got10k")
    ]
    more = sources["made_from"] | {"results/old": sources["made_from"].pop(ours)}
    write_json(table.record_path, sources)
    assert view_reasons(table) == [f"it was made without {ours}"]
    fake(score_of(plan, "otb100", "siamla"))
    write_json(table.record_path, sources | {"made_from": more | {ours: more["results/old"]}})
    assert view_reasons(table) == ["it was made from results/old, too"]
    table.record_path.write_text("[")
    assert view_reasons(table) == ["its sources are damaged"]


def test_a_changed_view_is_told(changed: Change) -> None:
    """A table's text, a CSV file beside the scores, and sources without digests."""
    plan = changed()
    fake_all(plan.jobs())
    collected, table = view(plan, "collect"), table_job(plan, 3)
    for name in (*COLLECTED, "scores.csv"):
        write_text(Path("results/smoke", name), "a,b\n")
    text = table.folder.with_suffix(".md")
    write_text(text, "| .597 |\n")
    for job in (collected, table):
        write_sources(job)
    assert verify_views(plan) == ([], 2)
    write_text(text, "| .697 |\n")
    Path("results/smoke/sequences.csv").unlink()
    lines, whole = verify_views(plan)
    assert whole == 0
    assert lines == [
        "results/smoke/sequences.csv is missing; `siamla report collect --profile smoke` makes it",
        f"{text} has changed since it was made; `{table.command}` makes it",
    ]
    write_json(table.record_path, {"identity": {}})
    assert "table3.sources.json has no digests" in verify_views(plan)[0][1]


def test_results_of_others_that_changed_in_place_are_scored_again(changed: Change) -> None:
    results = Path("imported/kcf")
    results.mkdir(parents=True)
    (results / "Smoke01.txt").write_text("1,2,3,4\n")
    plan = changed(smoke={"imported": {"kcf": {"results": {"otb100": str(results)}}}})
    fake_all(plan.jobs())
    assert stale(plan) == []
    (results / "Smoke01.txt").write_text("1,2,3,5\n")
    assert [each.title for each in stale(plan)] == ["score otb100 kcf"]
    shutil.rmtree(results)  # they stayed on another machine
    assert stale(plan) == []


def test_a_variant_lands_in_the_table_of_what_it_sets(changed: Change) -> None:
    bare = {"model.lafa.aggregation_block": False}
    rows = (
        ("quarter", "λ = 0.25", "ladl_lals", {"labels.lambda": 0.25}),
        ("same", "by another way", "lals", {"labels.ladl": True, "labels.lambda": 0.3}),
        ("bare", "LAFA w/o both", "lafa_no_nonlocal", bare),
        ("steep", "steep", "ladl", {"labels.beta": 20}),
        ("whole", "of SiamLA", "siamla", {"labels.lambda": 0.25}),
        ("more", "and the window", "quarter", {"tracker.window": 0.1}),
    )
    own = {name: {"label": label, "extends": of, "set": over} for name, label, of, over in rows}
    chosen = ["siamcar", "siamla", "ladl", "lals", "ladl_lals", "ladl_lals_03", "lafa", *own]
    plan = changed(variants={"variants": own}, smoke={"variants": chosen, "tables": [3, 4, 5, 6]})
    taken = {}
    for number in plan.profile.tables:
        shown = table_variants(plan, number).items()
        taken[number] = {name: info["row"] for name, info in shown if "row" in info}
    rows = {4: {"steep": "steep"}, 5: {"quarter": "0.25", "same": "0.3"}}
    assert taken == {3: {}, **rows, 6: {"bare": "LAFA w/o both"}}
    used = {job.names["variant"] for job in table_job(plan, 5).parents.values()}
    assert used == {"ladl_lals", "ladl_lals_03", "quarter", "same"}
    assert "whole" in {job.names["variant"] for job in table_job(plan, 3).parents.values()}


def test_a_wrong_setting_in_a_tables_rule_is_named(changed: Change) -> None:
    said = r"tables.5.match.settings: unknown key 'labels.lamda'; did you mean"
    with pytest.raises(UserError, match=said):
        changed(tables={"tables": {5: {"match": {"settings": ["labels.lamda"]}}}})


# --- what people see ---


def test_the_outlook_says_what_would_run_and_why(changed: Change) -> None:
    plan = changed()
    text = outlook(plan)
    assert "train            2 of   2 to run, no earlier run to go by" in text
    assert "not made yet: siamcar, seed 1 | siamla, seed 1" in text
    fake_all(plan.jobs())
    assert "train            0 of   2 to run" in outlook(plan)
    after = changed(variants=variant("siamla", **{"loss.localization": 2.0}))
    text = outlook(after)
    assert "train            1 of   2 to run, about 1 s of one process" in text
    assert "settings.loss.localization is 1.0, the plan has 2.0: siamla, seed 1" in text


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("trian siamla 1", "did you mean 'train siamla 1'?"),
        ("predict otb10 siamla, seed 1", "did you mean 'predict otb100 siamla 1'?"),
        ("train siamla", "did you mean 'train siamla 1'?"),
        ("score otb100 siamla 2", "did you mean 'score otb100 siamla 1'?"),
        ("table 9", "did you mean 'table 3'?"),
        ("xyz", "steps: fetch, curate, "),
    ],
)
def test_a_wrong_job_is_named_with_what_is_near(changed: Change, words: str, near: str) -> None:
    with pytest.raises(UserError) as error:
        job_named(changed(), words.split())
    asked = words.replace(", seed", "")
    assert str(error.value).startswith(f"plan: no job {asked!r} in profile smoke; {near}")


def test_a_new_row_is_a_reason_by_its_name(changed: Change) -> None:
    """Of the tables that have the row, and of no other."""
    tables = {"tables": [3, 6]}
    plan = changed(smoke=tables)
    fake_all(plan.jobs())
    for number in (3, 6):
        write_sources(table_job(plan, number))
    mine = {"mine": {"label": "Mine", "extends": "siamla", "set": {"tracker.top_n": 5}}}
    more = {"variants": ["siamcar", "siamla", "mine"]}
    after = changed(variants={"variants": mine}, smoke=more | tables)
    assert "               table 3: new row mine\n" in outlook(after) + "\n"
    assert view_reasons(table_job(after, 6)) == []
    write_sources(table_job(plan, 3))
    assert view_reasons(table_job(plan, 3)) == []


def test_a_row_that_the_profile_does_not_run_has_its_label(changed: Change) -> None:
    shown = table_variants(changed(), 3)
    assert shown["ladl"] == {"label": "LADL"}


def test_one_job_is_shown_whole(changed: Change) -> None:
    plan = changed()
    text = show_job(plan, job_named(plan, ["score", "otb100", "siamla", "1"]))
    assert "&id" not in text
    assert "command: siamla benchmark score otb100 siamla --seed 1 --profile smoke" in text
    assert "window:" in text
    assert "would run:\n- not made yet" in text


# --- what is known before the first job ---


def test_everything_that_is_missing_is_told_in_one_list(
    changed: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And generated sets need nothing. What trainings cost has tests of its own: a process that has
    computed gradients cannot pretend to have a GPU any more.
    """
    monkeypatch.setattr("siamla.steps.check.brief", lambda plan, waiting: "reckoned")
    assert check(changed()).problems == []
    problems = check(Plan.load("paper"))
    said = "\n".join(problems.problems)
    sets = "GOT-10k/train OTB100 GOT-10k/val LaSOT TrackingNet/TEST TNL2K VOT2018"
    for root in sets.split():
        assert f"data/raw/{root}: no such folder" in said
    assert "sha256 is all zeros" in said
    assert "data/weights/resnet50.model: no such file" in said
    assert any("trainings of up to" in line for line in problems.warnings)


def test_folders_of_another_layout_and_parts_of_sets_are_told(
    changed: Change, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("got", "otb"):
        (tmp_path / name / "one").mkdir(parents=True)
    (tmp_path / "got/list.txt").write_text("one\n")
    (tmp_path / "otb/one/groundtruth_rect.txt").write_text("1,1,9,9\n")

    def found(train: str, layout: str) -> Findings:
        own = {"dvc": None, "root": str(tmp_path / train)}
        smoke = {"got10k_train": {"layout": "got10k", "preset": "clean", **own}}
        otb = {"layout": layout, "dvc": None, "root": str(tmp_path / "otb")}
        over = {"train": smoke, "benchmarks": {"otb100": otb}}
        return check(changed(smoke={**over, "spec": {"pairs": {"dataset": "got10k_train"}}}))

    problems = found("empty", "got10k").problems
    assert [line.partition(": ")[0] for line in problems] == [
        "train.got10k_train.root, layout got10k",
        "benchmarks.otb100.root, layout got10k",
    ]
    assert "the folder is empty" in problems[0]
    assert "list.txt: not found; expected GOT-10k" in problems[1]
    sound = found("got", "otb")
    assert sound.problems == []
    told = [line.rpartition(":")[0] for line in sound.warnings]
    assert "got10k_train: 1 of 9,335 sequences" in told
    assert "otb100: 1 of 100 sequences" in told


# --- several training sets ---


OTB, COCO = ({"layout": layout, "root": "a"} for layout in ("otb", "coco"))
HALF, QUARTER = {"share": 0.5}, {"share": 0.25}
MIX = {"coco": HALF, "clips": {**HALF, "reach": 3}}
SETS = {
    "coco": {"layout": "coco", "root": "coco"},
    "clips": {"layout": "got10k", "preset": "clean", "root": "clips"},
}


def both(**settings: object) -> dict:
    return {"trainings": {"both": settings}}


def mixed(mix: dict, sets: dict = SETS) -> dict:
    """A profile's further training on a mix of sets."""
    return {"train": sets, "trainings": {"both": {"pairs": {"dataset": mix, "views": None}}}}


def test_a_benchmark_has_the_models_of_its_training(changed: Change) -> None:
    before = changed()
    plan = changed(smoke={**mixed(MIX), "benchmarks": {"got10k": {"training": "both"}}})
    jobs = plan.jobs_of("train")
    folders = [job.folder.relative_to("results/smoke/train").as_posix() for job in jobs]
    assert folders == ["siamcar/seed1", "siamcar@both/seed1", "siamla/seed1", "siamla@both/seed1"]
    model = score_of(plan, "otb100", "siamla").parents["predictions"].parents["model"]
    assert model is plan.job("train", variant="siamla", seed=1)
    other = score_of(plan, "got10k", "siamla").parents["predictions"].parents["model"]
    assert other is plan.job("train", variant="siamla@both", seed=1)
    assert other.key != model.key
    assert [job.names["dataset"] for job in other.parents.values()] == ["coco", "clips"]
    assert other.identity.plain["crops"]["2"]["reach"] == 3
    crops = plan.job("crops", variant="siamla@both", dataset="coco")
    assert crops.command == "siamla data crops siamla@both --dataset coco --profile smoke"
    assert crops is other.parents["crops1"]
    shared = job_named(plan, ["crops", "siamcar@both", "clips"])
    assert shared.folder == other.parents["crops2"].folder
    with pytest.raises(UserError, match="siamla@both reads no features"):
        plan.job("features", variant="siamla@both")
    with pytest.raises(UserError, match="trained on several data sets; name one of coco, clips"):
        plan.job("crops", variant="siamla@both")
    # the trainings by `spec`, and what is made from them, stay what they were
    assert differing(before, plan) == titles(plan, "*got10k siam*")


def test_shares_reach_and_preset_decide_a_mixed_training_alone(changed: Change) -> None:
    def train(mix: dict, sets: dict = SETS) -> str:
        plan = changed(smoke=mixed(mix, sets))
        return plan.job("train", variant="siamla@both", seed=1).key

    key = train(MIX)
    coco = {"layout": "coco", "root": "coco"}
    assert train({**MIX, "clips": {"share": 0.5, "reach": 4}}) != key
    assert train({"coco": {"share": 0.25}, "clips": {"share": 0.75, "reach": 3}}) != key
    assert train(MIX, {**SETS, "clips": {"layout": "got10k", "root": "clips"}}) != key
    assert train(MIX, {**SETS, "coco": {**coco, "root": "elsewhere"}}) == key


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        ({"coc": QUARTER, "coco": QUARTER}, "'coc' is not one of train; did you mean 'coco'?"),
        (
            {"coco": QUARTER},
            "sum to 0.75, expected 1; in their proportions coco 0.3333, clips 0.6667",
        ),
        ({"clips": {**HALF, "reach": 0}}, "pairs.dataset.clips.reach is 0: expected at least 1"),
        ({"clips": HALF}, "clips.reach is missing: frames between template and search at most"),
        ({"coco": {**HALF, "reach": 1}}, "coco.reach is 1: coco has still images; leave it out"),
        (
            {"coco": {"share": 0.3}, "clips": {"share": 0.7, "reach": 1}},
            "share: 0.3 of training.pairs_per_epoch (8)",
        ),
        ({"coco": {"share": 0}}, "pairs.dataset.coco.share is 0: expected more than 0"),
        ({"coco": {"shar": 0.5}}, "unknown key 'pairs.dataset.coco.shar'; did you mean 'share'?"),
        (None, "the shares sum to 0, expected 1; in their proportions no set is named"),
    ],
)
def test_a_mix_that_cannot_be_is_refused_in_one_line(
    changed: Change, mix: dict | None, said: str
) -> None:
    with pytest.raises(UserError) as error:
        changed(smoke=mixed({} if mix is None else {**MIX, **mix}))
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("smoke", "said"),
    [
        (
            {"benchmarks": {"otb100": {"training": "bot"}}},
            "training: 'bot' is unknown; did you mean",
        ),
        (both(tracker={"window": 1}), "trainings.both.tracker: a benchmark's tracker is set"),
        (both(pairs={"dataset": MIX}), "views: only a single data set has a finite number"),
        (both(labels={"alpa": 1}), "trainings.both: unknown key 'labels.alpa'; did you mean"),
        ({"train": {"a": {**OTB, "preset": "clean"}}}, "preset: otb has none; only coco"),
        ({"train": {"a": {**COCO, "frames": 3}}}, "frames: a table of boxes has no first frames"),
        ({"benchmarks": {"b": COCO}}, "benchmarks.b.layout is 'coco': expected 'otb'"),
    ],
)
def test_trainings_and_sets_that_cannot_be_are_refused(
    changed: Change, smoke: dict, said: str
) -> None:
    whole = {"train": SETS} if "trainings" in smoke else mixed(MIX)
    with pytest.raises(UserError) as error:
        changed(smoke=merge(whole, smoke))
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_the_paper_trains_twelve_models_on_got10k_and_two_on_five_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    plan = Plan.load("paper")
    trained = [job.names["variant"] for job in plan.jobs_of("train")]
    named = layout_of(plan).named_variants()
    models = [name for name in trained if name.split("@")[0] in named]
    assert len(models) == 14
    assert [model for model in models if "@" in model] == ["siamcar@five", "siamla@five"]
    tracked = {}
    for job in plan.scores():
        if job.names["variant"] == "siamla":
            model = job.parents["predictions"].parents["model"]
            tracked[job.names["benchmark"]] = model.names["variant"]
    five = dict.fromkeys(("lasot", "trackingnet", "tnl2k", "vot2018"), "siamla@five")
    assert tracked == {"otb100": "siamla", "got10k": "siamla", **five}
    train = plan.job("train", variant="siamla@five", seed=1)
    parts = list(plan.spec("siamla@five").pairs.parts)
    assert [job.names["dataset"] for job in train.parents.values()] == parts
    assert {*plan.sets_in_use()} >= {*plan.profile.train}
    missing = list(missing_data(plan))
    assert len([line for line in missing if line.startswith("train.")]) == 5
