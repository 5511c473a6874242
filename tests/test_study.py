"""The study: effects by hand and by simulation, verdicts, and its page, all on made-up numbers that
no tracker gave.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from map_frames import map_frame
from plans import fake, finish
from scipy.stats import spearmanr

from siamla.benchmark.maps import FrameMaps, write_maps
from siamla.cli.main import main
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.files import read_json, write_json, write_text
from siamla.report.drawing.data import Run, Score
from siamla.report.figures.confidence import on_cells
from siamla.report.study.build import (
    CONTRADICTED,
    GENERATED,
    OPEN,
    SUPPORTED,
    build,
    claim_verdict,
    markdown,
    part_verdict,
)
from siamla.report.study.doses import curves, response
from siamla.report.study.figure import draw_doses, draw_readings
from siamla.report.study.grids import Dose, Measured, Reading, correlations, drops
from siamla.report.study.job import claims_of, design, study_job
from siamla.statistics import Effect, holm
from siamla.steps.decision import outdated

ROOT = Path(__file__).parents[1]
CLAIMS = claims_of(Plan.load("mini", ROOT / "params"))
AUC = {"label": "AUC", "better": "higher", "digits": 3}
EAO = {"label": "EAO", "better": "higher", "digits": 3}
BENCHMARKS = {
    "clips": {"label": "Clips", "headline": "auc", "metrics": {"auc": AUC}, "synthetic": True},
    "films": {"label": "Films", "headline": "auc", "metrics": {"auc": AUC}, "synthetic": False},
}
LEVELS = {"siamcar": 0.5, "ladl": 0.5, "lals": 0.4, "ladl_lals": 0.6, "lafa": 0.55, "siamla": 0.7}
MADE = {"place": {"device": "cpu"}, "environment": {"git_commit": "0123456789abcdef"}}
Scores = list[Score]
Study = Callable[..., tuple[int, str]]


def test_verdicts_follow_the_rule() -> None:
    """p of 2 at an error of .8 is .012, which is not below .05 where there are five such tests."""
    up, down, across = (Effect(value, error=0.8, freedom=inf) for value in (2, -2, 1))
    verdicts = [part_verdict(effect) for effect in (up, down, across, Effect(1), None)]
    assert verdicts == [SUPPORTED, CONTRADICTED, OPEN, OPEN, OPEN]
    assert part_verdict(up, 5 * up.p) == OPEN
    assert claim_verdict([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert claim_verdict([SUPPORTED, OPEN]) == claim_verdict([]) == OPEN
    assert claim_verdict([OPEN, CONTRADICTED]) == CONTRADICTED


# Doses
# ------------------------------------------------------------------------------------------------


def dosed() -> Measured:
    """SiamLA is 0, .05 and .1 above SiamCAR at 320, 960 and 2,880 steps, LAFA was trained 320; the
    noise of all doses is one.
    """
    scores = []
    doses = []
    for steps, gap in ((320, 0.0), (960, 0.05), (2880, 0.1)):
        levels = {"siamcar": 0.5, "siamla": 0.5 + gap} | ({"lafa": 0.5} if steps < 900 else {})
        name = f"clips_{steps}" if doses else "clips"
        scores += [replace(each, benchmark=name) for each in made_up(levels=levels)]
        doses.append(Dose(steps, {"clips": name}))
    labels = {name: {"label": name.upper()} for name in ("siamcar", "siamla", "lafa")}
    used = {dose.benchmarks["clips"]: BENCHMARKS["clips"] for dose in doses}
    return Measured(labels, used, scores, doses=doses)


def test_a_slope_is_the_gain_of_three_times_the_steps() -> None:
    measured = dosed()
    (table,) = curves(measured, "siamcar")
    rows = {row["variant"]: row for row in table["rows"]}
    points = {n: effect.value for n, effect in rows["siamla"]["points"].items()}
    assert list(points) == [320, 960, 2880]
    assert np.diff([*points.values()]) == pytest.approx([0.05, 0.05], abs=1e-9)
    assert rows["siamla"]["slope"].value == pytest.approx(0.05, abs=1e-9)
    assert rows["siamla"]["slope"].low < 0.05 < rows["siamla"]["slope"].high
    assert list(rows["lafa"]["points"]) == [320]  # which has the first dose alone
    assert rows["lafa"]["slope"] is None
    largest = response(measured, "scores", {"siamla": 1, "siamcar": -1}, "largest")
    assert largest is not None
    assert largest.value == pytest.approx(points[2880])
    assert response(measured, "scores", {"lafa": 1, "siamcar": -1}, "slope") is None


def test_a_row_has_one_colour_in_every_panel_also_where_others_are_missing() -> None:
    effect = {"value": 0.1, "low": 0.0, "high": 0.2}
    row = {"label": "SiamLA", "points": {"320": effect}}
    tables = [
        {"measure": "scores", "rows": [{"label": "LAFA", "points": {"320": effect}}, row]},
        {"measure": "spearman", "rows": [row]},
    ]
    left, right = draw_doses({"tables": tables, "steps": [320]}, "SiamCAR").axes
    colours = {line.get_label(): line.get_color() for line in left.get_lines()}
    assert right.get_lines()[0].get_color() == colours["SiamLA"] != colours["LAFA"]


def test_doses_have_claims_of_their_own_and_count_no_sequence_twice() -> None:
    claims = claims_of(Plan.load("dose", ROOT / "params"))
    study = build(dosed(), claims, "siamcar")
    found = {claim["words"][:2]: claim["verdict"] for claim in study["claims"]}
    assert (found["H1"], found["H2"], found["H3"]) == (SUPPORTED, SUPPORTED, OPEN)
    assert [scope["scope"] for scope in study["scopes"]] == ["Clips"]
    assert study["scopes"][0]["rows"][0]["sequences"] == 12
    text = page_of(study)
    assert "trainings of 320, 960, 2880 steps" in text
    assert "| LAFA | " in text
    assert "H1" not in str(CLAIMS)  # of a profile without doses


def test_one_tracker_for_all_rows_stands_beside() -> None:
    names = ("clips", "clips_one")
    scores = [replace(each, benchmark=name) for name in names for each in made_up()]
    labels = {name: {"label": name} for name in LEVELS}
    used = dict.fromkeys(names, BENCHMARKS["clips"])
    beside = {"one tracker for all rows: window 0.3": ["clips_one"]}
    study = build(Measured(labels, used, scores, beside=beside), CLAIMS, "siamcar")
    assert [scope["scope"] for scope in study["scopes"]] == ["Clips", *beside]
    assert study["claims"][0]["scopes"][-1]["parts"][0]["effect"]["sequences"] == 12


def test_the_profile_has_each_dose_on_every_benchmark() -> None:
    plan = Plan.load("dose", ROOT / "params")
    jobs = [job.names for job in plan.jobs_of("train")]
    assert [job["seed"] for job in jobs if job["variant"] == "lafa@x9"] == plan.profile.seeds
    shown = design(plan)
    assert [dose["steps"] for dose in shown["doses"]] == [320, 960, 2880]
    assert shown["doses"][2]["benchmarks"] == {"otb100": "otb100_x9", "got10k": "got10k_x9"}
    (label,) = shown["beside"]
    assert label.startswith("one tracker for all rows: window 0.3")


@pytest.mark.parametrize(
    ("profile", "change", "said"),
    [
        (
            "dose",
            "benchmarks: {otb100_x3: null}\nmaps: []\nalignment: []",
            "otb100 has no benchmark of .* with training: x3",
        ),
        (
            "dose",
            "trainings: {x3: {training: {epochs: 10, frozen_epochs: 10}}}",
            "equal numbers of steps",
        ),
        ("dose", "doses: [x27]", "doses: 'x27' is unknown"),
        (
            "dose",
            "variant_seeds: {lafa: [1, 2]}",
            "doses: other seeds by row: siamcar .1.*, lafa .1, 2.",
        ),
        (
            "readings",
            "readings: [r01, r02, r03]",
            "3 of them cannot tell these switches apart",
        ),
        ("readings", "readings: [r01, r17]", "readings: 'r17' is unknown"),
        (
            "readings",
            "benchmarks: {got10k_r05: null}\nalignment: []",
            "got10k_r01 has no benchmark .*: r05",
        ),
        (
            "readings",
            "variant_seeds: {siamla: [9], '@r02': null}",
            "readings: other seeds by row",
        ),
    ],
)
def test_trainings_that_cannot_be_compared(
    profile: str, change: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    Path("params/profiles/mine.yaml").write_text(f"extends: {profile}\n{change}\n")
    with pytest.raises(UserError, match=said):
        design(Plan.load("mine"))


# Readings
# ------------------------------------------------------------------------------------------------

SWITCHES = {
    "loss.regression": [3, 1],
    "labels.reweight": [True, False],
    "model.prior": [None, 0.05],
}
EFFECTS = {"loss.regression": 0.3, "labels.reweight": -0.2}  # of the second levels


def readings_of(seeds: int = 2) -> Measured:
    """Eight readings by three switches, of which the last does nothing: SiamLA is .1 above SiamCAR,
    and EFFECTS more by the second levels; the third switch moves both rows.
    """
    scores, readings, used = [], [], {}
    for place in range(8):
        bits = [bool(place >> at & 1) for at in range(3)]
        settings = {key: SWITCHES[key][bit] for key, bit in zip(SWITCHES, bits, strict=True)}
        gap = 0.1 + 0.3 * bits[0] - 0.2 * bits[1]
        levels = {"siamcar": 0.5 + 0.1 * bits[2], "siamla": 0.5 + gap + 0.1 * bits[2]}
        name = f"clips_{place}"
        scores += [replace(each, benchmark=name) for each in made_up(seeds, levels=levels)]
        used[name] = BENCHMARKS["clips"]
        readings.append(Reading(f"r{place}", settings, {"clips_0": name}))
    labels = {name: {"label": name.upper()} for name in ("siamcar", "siamla")}
    crops = as_crops(scores)
    return Measured(labels, used, scores, crops=crops, readings=readings, switches=SWITCHES)


def test_an_effect_is_what_a_switch_adds_to_a_difference() -> None:
    study = build(readings_of(), CLAIMS, "siamcar")
    rows, gap = study["contrasts"]
    assert (rows["words"], gap["words"]) == ("mean of all rows", "SiamLA − SiamCAR")
    found = {effect["key"]: effect for effect in gap["effects"]}
    assert {key: one["scores"]["value"] for key, one in found.items()} == pytest.approx(
        {**EFFECTS, "model.prior": 0}, abs=1e-9
    )
    assert found["loss.regression"]["own"] == 3
    assert found["loss.regression"]["level"] == 1
    assert found["loss.regression"]["p"] < 0.001 < 0.9 < found["model.prior"]["p"]
    for key, effect in EFFECTS.items():  # on crops, where fewer lost is in favour
        assert found[key]["chosen"]["value"] == pytest.approx(effect)
        assert found[key]["lost"]["value"] == pytest.approx(effect / 2)
    prior = next(effect for effect in rows["effects"] if effect["key"] == "model.prior")
    assert prior["scores"]["value"] == pytest.approx(0.1, abs=1e-9)
    assert gap["mean"]["value"] == pytest.approx(np.mean([*gap["values"].values()]))
    assert gap["mean"]["low"] < 0.15 < gap["mean"]["high"]
    assert gap["mean"]["seeds"] == {"trainings": 16}  # two seeds of each reading
    assert max(gap["values"], key=gap["values"].get) == "r1"
    text = page_of(study)
    assert "| SiamLA − SiamCAR | +0.1" in text
    assert "| in 6 of 8 |" in text
    assert "| loss.regression | 1 | 3 | **+0.300 [" in text
    titles = [axes.get_title() for axes in draw_readings(study["contrasts"]).axes]
    assert titles == ["mean of all rows", "SiamLA − SiamCAR"]


def test_the_readings_of_the_profile_are_balanced() -> None:
    """Each level of a switch meets each of another equally often, and r01 is the study's own."""
    plan = Plan.load("readings", ROOT / "params")
    shown = design(plan)
    settings = {one["name"]: one["settings"] for one in shown["readings"]}
    switches = shown["switches"]
    assert {key: len(levels) for key, levels in switches.items()} == {
        "model.prior": 2,
        "model.lafa.shared_gradient": 2,
        "labels.normalize_epochs": 3,
        "labels.reweight": 2,
        "loss.regression": 2,
        "loss.boxes": 2,
        "loss.negatives": 2,
    }
    assert settings["r01"] == {key: levels[0] for key, levels in switches.items()}
    for first, second in combinations(switches, 2):
        met = Counter((str(one[first]), str(one[second])) for one in settings.values())
        lone = [Counter(str(one[key]) for one in settings.values()) for key in (first, second)]
        expected = {(a, b): n * m / 16 for a, n in lone[0].items() for b, m in lone[1].items()}
        assert met == expected
    seeds = [job.names["seed"] for job in plan.jobs_of("train") if "@r" in job.names["variant"]]
    assert len(set(seeds)) == 15  # each its own; r01 is trained as the study's


# From score files
# ------------------------------------------------------------------------------------------------


def made_up(
    seeds: int = 4, benchmarks: Iterable[str] = ("clips",), levels: Mapping[str, float] = LEVELS
) -> Scores:
    """Scores around each variant's level, with noise of sequences and seeds; the same whatever is
    asked for.
    """
    scores = []
    for place, benchmark in enumerate(benchmarks):
        hard = np.random.default_rng([place, 0]).normal(0, 0.1, 12)
        for index, (variant, level) in enumerate(levels.items()):
            for seed in range(1, seeds + 1):
                noise = np.random.default_rng([place, index, seed]).normal(0, 0.01, 13)
                values = enumerate(level + hard + noise[1:] + noise[0])
                content = {"per_sequence": {f"s{i}": {"auc": value} for i, value in values}}
                scores.append(Score(benchmark, variant, seed, content))
    return scores


def studied(scores: Scores, **more: Any) -> dict[str, Any]:
    used = {name: BENCHMARKS[name] for name in dict.fromkeys(each.benchmark for each in scores)}
    named = {name: {"label": name.upper()} for name in [each.tracker for each in scores]}
    return build(Measured(named, used, scores, **more), CLAIMS, "siamcar")


def verdicts_of(study: Mapping[str, Any]) -> list[str]:
    return [claim["verdict"] for claim in study["claims"]]


def page_of(study: Mapping[str, Any]) -> str:
    source: dict[str, Any] = {"identity": {}, "key": "k", "profile": "p", "caption": "Made up."}
    source |= {"commits": ["c"], "dirty": False, "counts": {}, "places": {}, "differences": []}
    source["work"] = {key: {"runs": 2, "hours": 0.5} for key in ("trainings", "predictions")}
    return markdown(json.loads(json.dumps({**study, **source}, allow_nan=False)))


def test_claims_have_the_verdicts_of_the_levels() -> None:
    found = studied(made_up())
    assert verdicts_of(found) == [SUPPORTED, SUPPORTED, SUPPORTED, OPEN]
    rows = {row["variant"]: row for row in found["scopes"][0]["rows"]}
    assert rows["siamla"]["effect"]["value"] == pytest.approx(0.2, abs=0.02)
    assert rows["siamla"]["effect"]["low"] > 0.1
    assert rows["siamcar"]["effect"] is None
    turned = studied(made_up(levels=LEVELS | {"siamla": 0.45, "lals": 0.55}))
    assert verdicts_of(turned) == [CONTRADICTED, CONTRADICTED, CONTRADICTED, OPEN]
    text = page_of(found)
    assert text.startswith(GENERATED)
    assert "| SiamLA is better than SiamCAR | **supported** | – | +0." in text
    assert "**Rendered clips, no real video: Clips.**" in text
    assert "With 4 seeds and 12 sequences the study sees a difference of 0.0" in text


def test_claims_are_corrected_for_their_number_in_their_widest_scope() -> None:
    levels = LEVELS | {"siamla": 0.505, "lals": 0.495, "lafa": 0.503, "ladl_lals": 0.504}
    claims = studied(made_up(benchmarks=("clips", "films"), levels=levels))["claims"][:3]

    def both(place: int) -> tuple[list[float], list[float]]:
        """p as it is told and p of each effect, of the deciding parts in one scope."""
        scopes = [claim["scopes"][place] for claim in claims]
        parts = [part for scope in scopes for part in scope["parts"] if part["decides"]]
        sizes = [(part["effect"]["value"], part["effect"]["error"]) for part in parts]
        freedom = [part["effect"]["freedom"] for part in parts]
        effects = [Effect(v, error=e, freedom=f) for (v, e), f in zip(sizes, freedom, strict=True)]
        return [part["p"] for part in parts], [effect.p for effect in effects]

    narrow, widest = both(0), both(-1)
    assert narrow[0] == pytest.approx(narrow[1])
    assert widest[0] == pytest.approx(holm(widest[1]))
    assert len(widest[0]) == 4
    assert max(widest[1]) < 1
    assert widest[0] != pytest.approx(widest[1])


def crops_of(chosen: Mapping[str, float], seeds: int = 4) -> Scores:
    """Numbers of crops around each variant's level; the worse, the more lost."""
    return as_crops(made_up(seeds, levels=chosen))


def as_crops(scores: Scores) -> Scores:
    """These scores as the numbers of crops."""
    crops = []
    for each in scores:
        numbers = {}
        for name, own in each.content["per_sequence"].items():
            numbers[name] = {"chosen": own["auc"], "lost": 0.5 - own["auc"] / 2, "middle": 0.8}
            numbers[name] |= {"rest": None if name == "s0" else own["auc"], "best": 0.9}
        crops.append(replace(each, content={"per_sequence": numbers}))
    return crops


def test_crops_are_compared_with_the_baseline() -> None:
    found = studied(made_up(), crops=crops_of({"siamcar": 0.5, "siamla": 0.6}))
    rows = {row["variant"]: row for row in found["crops"][0]["rows"]}
    effects = rows["siamla"]["effects"]
    assert effects["chosen"]["effect"]["value"] == pytest.approx(0.1, abs=0.02)
    assert effects["lost"]["effect"]["value"] == pytest.approx(0.05, abs=0.01)  # fewer: in favour
    assert {effect["verdict"] for effect in effects.values()} == {SUPPORTED}
    assert rows["siamcar"]["effects"] == {}
    text = page_of(found)
    assert "## On crops around the truth" in text
    assert re.search(r"\| SIAMLA \| 0\.6\d\d \|.*\], supported \|", text)
    turned = studied(made_up(), crops=crops_of({"siamcar": 0.6, "siamla": 0.5}))["crops"][0]
    effects = turned["rows"][1]["effects"]
    assert {effect["verdict"] for effect in effects.values()} == {CONTRADICTED}
    assert any("measured on crops (`alignment:`" in note for note in studied(made_up())["notes"])


def test_rendered_and_real_video_are_told_apart_and_together() -> None:
    found = studied(made_up(benchmarks=("clips", "films")))
    assert [scope["scope"] for scope in found["scopes"]] == ["Clips", "Films", "all"]
    effects = [scope["parts"][0]["effect"] for scope in found["claims"][0]["scopes"]]
    assert [effect["sequences"] for effect in effects] == [12, 12, 24]
    assert effects[2]["value"] == pytest.approx((effects[0]["value"] + effects[1]["value"]) / 2)
    assert effects[2]["seen"] < effects[0]["seen"]
    assert "Real video: Films." in page_of(found)


def test_one_seed_resolves_nothing_and_says_so() -> None:
    found = studied(made_up(seeds=1))
    assert {claim["verdict"] for claim in found["claims"]} == {OPEN}
    text = page_of(found)
    assert "One seed alone of SIAMCAR, LADL, LALS, LADL_LALS, LAFA, SIAMLA" in text
    assert "no difference can be told from chance" in text
    assert "no interval" in text


def test_a_seed_that_one_benchmark_lacks_counts_where_it_is() -> None:
    every = made_up(benchmarks=("clips", "films"))
    lacking = ("siamla", 4, "films")
    found = studied([s for s in every if (s.tracker, s.seed, s.benchmark) != lacking])
    scopes = found["claims"][0]["scopes"]
    seeds = [scope["parts"][0]["effect"]["seeds"]["siamla"] for scope in scopes]
    assert seeds == [4, 3, 3]


@pytest.mark.parametrize("others", [{}, {"s3": {"auc": None}}])
def test_a_sequence_that_one_variant_lacks_is_left_out_of_all(others: dict) -> None:
    scores = made_up()
    for each in scores:
        if (each.tracker, each.seed) == ("lafa", 2):
            each.content["per_sequence"].pop("s3")
            each.content["per_sequence"].update(others)
    found = studied(scores)
    assert {row["sequences"] for row in found["scopes"][0]["rows"]} == {11}
    assert any(note.startswith("Clips: s3 left out of every row") for note in found["notes"])


def test_variants_that_were_not_run_leave_their_claims_open() -> None:
    found = studied(made_up(levels={"siamcar": 0.5, "siamla": 0.7}))
    assert verdicts_of(found) == [SUPPORTED, OPEN, OPEN, OPEN]
    lacking = "lals, ladl_lals, ladl, lafa"
    assert f"Not measured, and claims about them not resolved: {lacking}." in found["notes"]
    assert "Nothing of it was measured." in page_of(found)


def test_a_headline_without_values_by_sequence_is_left_out() -> None:
    scores = [*made_up(), Score("vot", "siamcar", 1, {"per_sequence": {"s": {"accuracy": 0.5}}})]
    info = {"label": "VOT", "headline": "eao", "metrics": {"eao": EAO}, "synthetic": False}
    benchmarks = {"clips": BENCHMARKS["clips"], "vot": info}
    measured = Measured({"siamcar": {"label": "SiamCAR"}}, benchmarks, scores)
    found = build(measured, CLAIMS, "siamcar")
    assert [scope["scope"] for scope in found["scopes"]] == ["Clips"]
    assert any(note.startswith("VOT: no values by sequence of eao") for note in found["notes"])


def swept(losses: Mapping[str, float], seeds: int = 4) -> Scores:
    """Windows 0, .3 and .6: best at .3, and a loss from there to the largest."""
    scores = []
    for variant, loss in losses.items():
        for value, level in ((0.0, 0.4), (0.3, 0.6), (0.6, 0.6 - loss)):
            points = made_up(seeds, levels={variant: level})
            scores += [replace(each, value=value) for each in points]
    return scores


def test_the_loss_from_the_best_window_to_the_largest() -> None:
    found = drops(swept({"siamcar": 0.2, "siamla": 0.05}), "auc")
    np.testing.assert_allclose(found.values.loc["siamcar"], 0.2)
    np.testing.assert_allclose(found.values.loc["siamla"], 0.05)
    study = studied(made_up(), swept=swept({"siamcar": 0.2, "siamla": 0.05}))
    first, *_, drop = study["claims"][3]["scopes"][0]["parts"]
    assert (drop["kind"], drop["verdict"]) == ("drop", SUPPORTED)
    assert drop["effect"]["value"] == pytest.approx(0.15)
    assert first["effect"] is None  # no maps: nothing of the confidence


def frame(sequence: str, noise: float, rng: np.random.Generator) -> FrameMaps:
    """A frame whose confidence follows the distance of a cell from the target, but for noise."""
    row, column = np.mgrid[:25, :25] * 8 + 31.5
    near = np.exp(-(np.hypot(row - 127.5, column - 127.5) ** 2) / 3000)
    q = np.clip(near + rng.normal(0, noise, near.shape), 0, 1)
    return map_frame(sequence, 1, (60, 50), np.ones((25, 25)), q)


def mapped(noise: Mapping[str, float], seeds: int = 4, names: str = "abcd") -> list[Run]:
    runs = []
    for variant, level in noise.items():
        for seed in range(1, seeds + 1):
            rngs = {n: np.random.default_rng([seed, ord(n), len(variant)]) for n in names}
            maps = [frame(name, level, rng) for name, rng in rngs.items()]
            runs.append(Run("clips", variant, seed, maps=maps))
    return runs


def test_confidence_that_follows_the_box_supports_the_claim() -> None:
    more = {"swept": swept({"siamcar": 0.2, "siamla": 0.05})}
    found = studied(made_up(), runs=mapped({"siamcar": 0.5, "siamla": 0.05}), **more)["claims"][3]
    assert found["verdict"] == SUPPORTED
    kinds = {part["kind"]: part for part in found["scopes"][0]["parts"]}
    assert kinds["pearson"]["effect"]["low"] > 0
    assert not kinds["pearson inside"]["decides"]
    turned = studied(made_up(), runs=mapped({"siamcar": 0.05, "siamla": 0.5}))["claims"][3]
    assert turned["verdict"] == CONTRADICTED


def test_maps_are_compared_on_the_sequences_of_all_runs() -> None:
    runs = mapped({"siamcar": 0.1, "siamla": 0.1}, seeds=2)
    runs[0] = replace(runs[0], maps=runs[0].maps[1:])
    found = correlations(runs, ranks=True, inside=False)
    assert list(found.values.columns) == ["b", "c", "d"]
    assert list(found.values.index) == [(name, n) for name in ("siamcar", "siamla") for n in (1, 2)]
    points = [on_cells(run, False)[name] for run in runs[2:] for name in "bcd"]
    whole = spearmanr(*(np.concatenate(column) for column in zip(*points, strict=True)))
    assert found.values.loc["siamla"].to_numpy().mean() == pytest.approx(whole.statistic)
    assert correlations([], ranks=False, inside=False).values.empty


# The command, on made-up results of the whole study profile
# ---------------------------------------------------------


def make_results(plan: Plan) -> None:
    for job in study_job(plan).parents.values():
        names = job.names
        variant, seed = names["variant"], names["seed"]
        if job.step == "maps":
            rng = np.random.default_rng(seed)
            write_maps(job.folder / "maps.npz", [frame(name, 0.1, rng) for name in "abc"])
            finish(job, ["maps.npz"], **MADE)
            continue
        if job.step == "alignment":
            numbers = {"chosen": LEVELS[variant], "lost": 0.1}
            write_json(job.folder / "crops.json", {f"s{i}": numbers for i in range(6)})
            finish(job, ["crops.json"], **MADE)
            continue
        rng = np.random.default_rng([seed, len(variant)])
        level = LEVELS[variant] - 0.1 * float(names.get("value", 0))
        values = enumerate(level + rng.normal(0, 0.01, 6))
        content = {"per_sequence": {f"s{i}": {"auc": v, "ao": v} for i, v in values}}
        content |= {"overall": {"auc": level}, "per_attribute": {}}
        place = {"device": "cpu", "precision": "bf16", "threads": 1}
        model = plan.job("train", variant=variant, seed=seed)
        run = {"place": place, "started": "2026-11-28T10:00:00+00:00"}
        trained = {**run, "key": model.key, "content": model.key, "seconds": 1800.0}
        tracker = {**run, "key": job.key, "content": job.key, "seconds": 90.0}
        content |= {"training": trained, "predictions": tracker}
        fake(job, content, **MADE)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "params", folder / "params")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_results(Plan.load("study"))
    return folder


@pytest.fixture
def study(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Study:
    """`siamla report study` with options, in a copy of the project: its exit code and words."""
    shutil.copytree(results, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")

    def run(*options: str) -> tuple[int, str]:
        code = main(["report", "study", "--profile", "study", *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_the_profile_plans_the_study() -> None:
    plan, mini = (Plan.load(name, ROOT / "params") for name in ("study", "mini"))
    assert plan.variants == list(LEVELS)
    assert all(plan.spec(name) == mini.spec(name) for name in plan.variants)
    fetched = {name: plan.job("fetch", dataset=name).identity.plain for name in plan.datasets}
    splits = {name: each["settings"]["split"] for name, each in fetched.items()}
    assert {splits[name] for name in plan.profile.benchmarks} == {"test"}  # seen by no training
    assert {splits[name] for name in plan.profile.train} == {"train"}
    counts = Counter(job.step for job in study_job(plan).parents.values())
    scores = 6 * 8 * 2 + 4 * 2 * 8  # seeds and benchmarks; points of the sweep
    assert counts == {"score": scores, "maps": 2 * 8, "alignment": 6 * 8 * 2}


def test_the_command_writes_json_page_and_docs(study: Study) -> None:
    code, said = study("--write", "docs/results.md")
    assert (code, said) == (0, "reports/study/study.{md,json}\ndocs/results.md\n")
    text = Path("docs/results.md").read_text()
    made = read_json(Path("reports/study/study.json"))
    assert text == Path("reports/study/study.md").read_text()
    job = study_job(Plan.load("study"))
    assert (made["key"], made["identity"]) == (job.key, job.identity.plain)
    assert made["counts"] == {"score": 160, "maps": 16, "alignment": 96}
    assert len(made["made_from"]) == 272
    for words in (
        f"identity {job.key}",
        "16 sets of score maps and 96 of numbers on crops, whose identity is the plan's; trained on"
        " cpu, bf16, 1 thread",
        "48 trainings took 24.0 hours of one thread, 160 runs of the tracker 4.0.",
        "| Length of the training | 10 epochs of 512 pairs | 50 epochs |",
    ):
        assert words in text, words
    assert made["places"]["tracked"] == ["cpu"]
    chosen = {row["variant"]: row["means"]["chosen"] for row in made["crops"][0]["rows"]}
    assert chosen == pytest.approx(LEVELS)
    assert not outdated(job)
    (path,) = Path("results/study/maps/otb100/siamla/seed1").glob("record-*.json")
    record = read_json(path)
    write_json(path, record | {"content": "another"})
    assert outdated(job)
    write_json(path, record)
    again = Path("reports/study/study.json").read_bytes()
    assert study("--write", "docs/results.md")[0] == 0  # its own page is replaced
    assert Path("reports/study/study.json").read_bytes() == again


def test_readings_have_a_page_and_a_figure_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    make_results(Plan.load("thawed"))
    assert main(["report", "study", "--profile", "thawed", "--write", "docs/thawed.md"]) == 0
    assert capsys.readouterr().out == "reports/thawed/study.{md,json}\ndocs/thawed.md\n"
    text = Path("docs/thawed.md").read_text()
    assert text.startswith(GENERATED)
    assert "2 readings set 1 of them" in text
    assert re.search(r"^\| training.frozen_epochs \| 3 \| 10 \| [+−]0", text, re.MULTILINE)
    assert "LAFA" not in text.split("## Every reading")[1]  # the profile has two rows
    assert "![Effects of the switches on each difference](images/study_thawed.svg)" in text
    assert {path.name for path in Path("docs/images").iterdir()} == {"study_thawed.svg"}
    made = read_json(Path("reports/thawed/study.json"))
    (gap,) = made["contrasts"][1:]
    assert gap["mean"]["seeds"] == {"trainings": 8}
    assert gap["mean"]["value"] == pytest.approx(0.2, abs=0.02)


def test_a_page_of_somebody_else_is_kept(study: Study) -> None:
    write_text(Path("docs/results.md"), "mine\n")
    code, said = study("--write", "docs/results.md")
    assert code == 2
    assert said == "siamla: error: docs/results.md: exists already; --overwrite replaces it\n"
    assert not Path("reports/study/study.json").exists()
    assert Path("docs/results.md").read_text() == "mine\n"
    assert study("--write", "docs/results.md", "--overwrite")[0] == 0


def test_an_interrupted_study_is_one_line(study: Study) -> None:
    for seed in (7, 8):
        shutil.rmtree(f"results/study/scores/got10k/siamla/seed{seed}")
    code, said = study()
    assert (code, said.count("\n")) == (2, 1)
    first = "results/study/scores/got10k/siamla/seed7/record-"
    assert f"2 of 272 results are missing, the first {first}" in said
    assert "reproduce_study` goes on" in said
    assert not Path("reports/study").exists()


def test_results_of_other_settings_are_refused(study: Study) -> None:
    path = Path("params/profiles/mini.yaml")  # which study extends
    path.write_text(path.read_text().replace("epochs: 10\n", "epochs: 11\n", 1))
    code, said = study()
    assert code == 2
    assert "settings.training.epochs is 10, the plan has 11" in said
