"""Figures: the toolkits' numbers in their legends, equal bytes, one colour a tracker, and whatever
may be missing.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import yaml
from map_frames import map_frame
from matplotlib.legend import Legend
from plans import Change, fake

from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.geometry import iou
from siamla.report import figures
from siamla.report.drawing import settings, style
from siamla.report.drawing.data import Data, Drawn, Run, Score
from siamla.report.drawing.jobs import benchmarks, figure_job, figure_names
from siamla.report.drawing.settings import kind_of, load_figures
from siamla.report.drawing.style import write
from siamla.report.tables.job import table_job
from siamla.steps.figures import figure

ROOT = Path(__file__).parents[1]
FIGURES = load_figures(ROOT / "params" / "figures.yaml")


@pytest.fixture(scope="module")
def real() -> dict[str, dict[str, Any]]:
    """What the plan says of the paper profile's benchmarks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return benchmarks(Plan.load("paper"))


def tracker(label: str, place: int = 0, role: str = "other") -> dict[str, Any]:
    return {"label": label, "role": role, "place": place}


TWO = {"ours": tracker("Ours", role="ours"), "base": tracker("Base", role="baseline")}


def content(level: float, rng: np.random.Generator, count: int = 6, **more: Any) -> dict[str, Any]:
    """A score file of `count` sequences around an AUC, with attributes A (all), B (half) and C
    (one).
    """
    aucs = np.clip(level + rng.normal(0, 0.05, count), 0, 1)
    x = np.linspace(0, 1, 21)
    named = {f"s{i}": float(auc) for i, auc in enumerate(aucs)}
    labels = {name: ["A", *"B" * (i % 2), *"C" * (i == 0)] for i, name in enumerate(named)}
    own = {a: [auc for name, auc in named.items() if a in labels[name]] for a in "ABC"}
    success = {"x": x.tolist(), "y": (aucs.mean() * 2 * (1 - x)).clip(0, 1).tolist()}
    parts = {a: {"auc": float(np.mean(v)), "sequences": len(v)} for a, v in own.items()}
    return {
        "overall": {"auc": float(aucs.mean()), "precision": 0.5},
        "per_sequence": {name: {"auc": auc} for name, auc in named.items()},
        "per_attribute": parts,
        "attributes_of": labels,
        "curves": {"success": success},
    } | more


def data(
    real: dict,
    trackers: dict[str, dict[str, Any]] = TWO,
    seeds: int = 2,
    synthetic: bool = True,
    **more: Any,
) -> Data:
    rng = np.random.default_rng(0)
    info = {"otb100": real["otb100"] | {"synthetic": synthetic}}
    scores = [
        Score("otb100", name, seed, content(0.5 + 0.05 * (name == "ours"), rng, **more))
        for name in trackers
        for seed in range(1, seeds + 1)
    ]
    return Data(trackers, info, scores)


def entry_of(kind: str, **settings: Any) -> Any:
    """An entry of figures.yaml."""
    return kind_of(kind).Entry(kind=kind, title="A title", **settings)


CURVES = entry_of("curves", curves=["success", "precision"])
ATTRIBUTES = entry_of("attributes", benchmark="otb100")


Draw = Callable[..., Drawn]


@pytest.fixture
def draw(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> Draw:
    """Draws an entry as a.csv, a.md and pictures, without a warning."""

    def figure(entry: Any, given: Data) -> Drawn:
        drawn = write(tmp_path / "a", entry, given, ["Data: synthetic."])
        assert not [str(warning.message) for warning in recwarn]
        return drawn

    return figure


def legend(drawn: Drawn) -> list[str]:
    """All texts of all legends."""
    return [text.get_text() for found in drawn.figure.findobj(Legend) for text in found.get_texts()]


def texts(drawn: Drawn) -> str:
    return "\n".join(text.get_text() for text in drawn.figure.findobj(matplotlib.text.Text))


# What every figure keeps
# ------------------------------------------------------------------------------------------


def test_two_runs_give_equal_bytes(tmp_path: Path, real: dict) -> None:
    for name in ("a", "b"):
        matplotlib.rcParams["font.size"] = 20  # a user's own settings are no part of a figure
        write(tmp_path / name / "figure", CURVES, data(real), ["x"])
        write(tmp_path / name / "attributes", ATTRIBUTES, data(real), ["x"])
        assert matplotlib.rcParams["font.size"] == 20
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {Path(name).suffix for name in files} == {".pdf", ".svg", ".png", ".csv", ".md"}
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert b"matplotlib" not in (tmp_path / "a" / "figure.png").read_bytes()[:300].lower()


def test_the_numbers_stand_beside_the_picture(tmp_path: Path, draw: Draw, real: dict) -> None:
    given = data(real)
    assert "synthetic miniatures" in texts(draw(CURVES, given))
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    ours = [row for row in rows if row["tracker"] == "ours" and row["curve"] == "success"]
    scores = [score for score in given.scores if score.tracker == "ours"]
    curves = np.array([score.content["curves"]["success"]["y"] for score in scores])
    assert [float(row["y"]) for row in ours] == pytest.approx(curves.mean(0))
    assert [float(row["high"]) for row in ours] == pytest.approx(curves.max(0))
    assert {row["seeds"] for row in ours} == {"2"}
    caption = (tmp_path / "a.md").read_text()
    assert "Data: synthetic." in caption
    assert "means over 2 seeds, bands their range" in caption
    assert "synthetic" not in texts(draw(CURVES, data(real, synthetic=False)))


def swept(given: Data) -> Data:
    """The same scores at two windows."""
    points = [replace(each, value=x) for each in given.scores for x in (0.1, 0.2)]
    return replace(given, scores=points, facts={"key": "window", "used": {}})


def test_a_tracker_has_one_colour_in_every_figure(draw: Draw, real: dict) -> None:
    given = data(real, {**TWO, "other": tracker("Other")})
    expected = {style.look(each)["color"] for each in given.trackers.values()}
    sweep = entry_of("sweep", sweep="window")
    for entry, what in ((CURVES, given), (ATTRIBUTES, given), (sweep, swept(given))):
        lines = draw(entry, what).figure.axes[0].lines
        assert expected <= {line.get_color() for line in lines}, entry.kind
    assert len(expected) == 3


def test_published_scores_are_ranked_beside_real_ones_and_apart_from_miniatures(
    draw: Draw, real: dict
) -> None:
    published = kind_of("ranking").facts(None, FIGURES.figures["fig11"])["published"]
    assert (published["SiamLA"], published["DRT"]) == (0.462, 0.356)
    ranking = entry_of("ranking", benchmark="otb100")
    facts = {"published": {"A": 0.9, "B": 0.1}}
    apart = draw(ranking, replace(data(real), facts=facts))
    ranks = [(row["group"], row["tracker"], row["rank"]) for row in apart.rows]
    assert ranks == [
        *(("measured", "ours", 1), ("measured", "base", 2)),
        *(("published", "A", 1), ("published", "B", 2)),
    ]
    measured, hollow = apart.figure.axes
    assert measured.get_ylim()[1] < 0.9 < hollow.get_ylim()[1]
    assert legend(apart)[2:] == ["[0.900] A", "[0.100] B"]
    assert "synthetic" not in hollow.get_title()
    assert apart.alt.startswith("Measured here, AUC on OTB100, synthetic miniatures: Ours 0.5")
    assert apart.alt.endswith(". As published, AUC on OTB100: A 0.900, B 0.100.")
    together = draw(ranking, replace(data(real, synthetic=False), facts=facts))
    assert len({axes.get_ylim() for axes in together.figure.axes}) == 1  # of one benchmark
    many = data(real, {**TWO, **{f"t{i}": tracker(f"T{i}", i) for i in range(12)}})
    every = draw(ranking, replace(many, facts={"published": {f"P{i}": i / 30 for i in range(30)}}))
    lines = [line for axes in every.figure.axes for line in axes.lines]
    assert len({(line.get_marker(), line.get_color()) for line in lines}) == len(lines) == 44


def test_differences_have_counts_and_intervals(tmp_path: Path, draw: Draw, real: dict) -> None:
    drawn = draw(ATTRIBUTES, data(real))
    rows = {row["attribute"]: row for row in drawn.rows if row["tracker"] == "ours"}
    assert {a: row["count"] for a, row in rows.items()} == {"A": 6, "B": 3}
    assert rows["A"]["low"] < rows["A"]["difference"] < rows["A"]["high"]
    assert "B\n(3)" in texts(drawn)
    assert "fewer than 2 sequences: C (1)." in texts(drawn)
    assert "seeds (a mixed model)" in " ".join(drawn.notes)
    stored = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    kept = {row["attribute"]: row["low"] for row in stored if row["tracker"] == "ours"}
    assert float(kept["A"]) == rows["A"]["low"]
    one = draw(ATTRIBUTES, data(real, seeds=1))
    assert "with one seed what another training would change is not known" in " ".join(one.notes)
    assert np.isfinite(next(row["low"] for row in one.rows if row["tracker"] == "ours"))


def test_attributes_are_spelt_out_and_the_missing_are_named(draw: Draw, real: dict) -> None:
    entry = entry_of("attributes", benchmark="otb100", order=["IV", "FOC"])
    labels = {f"s{i}": ["IV", "camera_motion"][i > 1 :] for i in range(6)}
    parts = {"IV": {"auc": 0.5, "sequences": 2}, "camera_motion": {"auc": 0.4, "sequences": 3}}
    drawn = texts(draw(entry, data(real, per_attribute=parts, attributes_of=labels)))
    for words in ("illumination\nvariation\n(2)", "camera motion\n(3)", "full occlusion\n(none)."):
        assert words in drawn
    one = {"IV": {"auc": 0.5, "sequences": 1}}
    nothing = draw(entry, data(real, per_attribute=one, attributes_of=labels))
    assert "no attribute of OTB100 has 2 sequences" in texts(nothing)


def test_panels_have_the_order_of_the_entry_and_no_place_stays_empty(
    draw: Draw, real: dict
) -> None:
    given = data(real)
    scores = [*given.scores]
    for name in ("tnl2k", "got10k"):
        scores += [replace(score, benchmark=name) for score in given.scores]
    every = {name: real[name] for name in ("otb100", "got10k", "tnl2k")}
    for score in scores:
        score.content["curves"]["precision"] = {"x": [0, 20, 50], "y": [0, 0.5, 0.6]}
        score.content["overall"] |= {"ao": 0.5, "prec": 0.5}
    entry = entry_of(
        "curves", benchmarks=["got10k", "tnl2k", "otb100"], curves=["success", "precision"]
    )
    drawn = draw(entry, Data(TWO, every, scores))
    titles = [axes.get_title() for axes in drawn.figure.axes if axes.axison]
    assert [title.split("\n")[1].split(",")[0] for title in titles] == [
        *("TNL2K", "TNL2K", "OTB100", "OTB100"),
        "GOT-10k",  # has no precision, so it is last
    ]
    note = drawn.notes[-1]
    assert "AUC, the mean of the curve (TNL2K, OTB100)" in note
    assert "Precision, at 20 px (TNL2K, OTB100)" in note


def test_a_sweep_of_one_seed_begins_at_0_and_says_that_it_has_no_band(
    draw: Draw, real: dict
) -> None:
    entry = entry_of("sweep", sweep="window")
    one = draw(entry, swept(data(real, seeds=1)))
    assert one.figure.axes[0].get_ylim()[0] == 0
    assert "One seed each, so no band." in texts(one)
    several = draw(entry, swept(data(real)))
    assert several.figure.axes[0].get_ylim()[0] > 0.3
    assert "One seed" not in texts(several)


def histories(folder: Path, columns: str, *seeds: list[str]) -> list[Run]:
    """Trainings of ours with these rows of their history.csv."""
    runs = []
    for seed, rows in enumerate(seeds, 1):
        path = folder / f"seed{seed}" / "history.csv"
        path.parent.mkdir()
        path.write_text("\n".join([columns, *rows]) + "\n")
        runs.append(Run("", "ours", seed, path.parent))
    return runs


def test_losses_are_means_over_seeds_and_each_has_a_panel(tmp_path: Path, draw: Draw) -> None:
    columns = "epoch,total,cls,contrast,step,lr,grad_norm,skipped,val_ao,pairs_per_second"
    columns += ",wait_share,memory_mib,seconds"
    rest = ",1" * 11
    runs = histories(tmp_path, columns, ["1,4" + rest, "2,2" + rest], ["1,6" + rest, "2,3" + rest])
    given = Data(TWO, {}, runs=runs, facts={"synthetic": True})
    drawn = draw(FIGURES.figures["training"], given)
    rows = [
        tuple(row[key] for key in ("epoch", "mean", "low", "high"))
        for row in drawn.rows
        if row["loss"] == "total"
    ]
    assert rows == [(1, 5, 4, 6), (2, 2.5, 2, 3)]
    titles = [axes.get_title() for axes in drawn.figure.axes if axes.axison]
    assert titles == ["Sum", "Classification", "contrast"]
    assert "Loss on synthetic clips" in texts(drawn)
    assert "cannot be compared" in texts(drawn)
    others = draw(FIGURES.figures["training"], replace(given, facts={"synthetic": False}))
    assert "synthetic" not in texts(others)


# Bad input
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [CURVES, ATTRIBUTES])
def test_one_tracker_of_one_seed(draw: Draw, real: dict, entry: Any) -> None:
    (text,) = legend(draw(entry, data(real, {"ours": TWO["ours"]}, seeds=1)))
    assert text.endswith("Ours")


def test_thirty_trackers_and_strange_names(draw: Draw, real: dict) -> None:
    names = ["a_b", "$x^2$", "A<b>&amp;", "SiamRPN++", "Fußgänger-λ", "_hidden", "x" * 60]
    names += [f"T{i}" for i in range(21)]
    given = data(real, {**TWO, **{f"t{i}": tracker(name, i) for i, name in enumerate(names)}})
    draw(ATTRIBUTES, given)
    every = legend(draw(CURVES, given))
    for name in [*names[:6], "x…"]:
        assert any(text.endswith(name) for text in every), name


def test_a_missing_sequence_counts_only_where_both_have_it(draw: Draw, real: dict) -> None:
    given = data(real)
    for one in given.scores:
        if one.tracker == "base":
            del one.content["per_sequence"]["s1"]
            one.content["per_sequence"]["s2"] = {"auc": None}  # withheld or NaN truth
    rows = draw(ATTRIBUTES, given).rows
    row = next(row for row in rows if row["tracker"] == "ours" and row["attribute"] == "B")
    assert np.isfinite([row["low"], row["difference"], row["score"]]).all()  # s3 and s5 are left


@pytest.mark.parametrize(
    ("entry", "scored", "said"),
    [
        (CURVES, False, "nothing was scored"),
        (entry_of("ranking", benchmark="otb100"), False, "nothing was scored"),
        (ATTRIBUTES, False, "no sequence of OTB100 has attributes"),
        (ATTRIBUTES, True, "no sequence of OTB100 has attributes"),
    ],
)
def test_nothing_to_draw_is_said(
    tmp_path: Path, draw: Draw, real: dict, entry: Any, scored: bool, said: str
) -> None:
    nothing: Any = {"overall": {}, "per_sequence": {}, "per_attribute": {}, "curves": {}}
    given = Data(TWO, {"otb100": real["otb100"]}, [Score("otb100", "ours", 1, nothing)])
    drawn = draw(entry, data(real, per_attribute={}, attributes_of={}) if scored else given)
    assert said in texts(drawn)
    assert said in (tmp_path / "a.md").read_text()
    assert drawn.rows == []


LIGHT = """
import sys
from pathlib import Path
from siamla.experiment.plan import Plan
from siamla.report.drawing.jobs import figure_job, figure_names, figures_of
plan = Plan.load("mini")
assert len([figure_job(plan, name) for name in figure_names(plan)]) > 10
print({"matplotlib", "seaborn", "torch", "pandas", "scipy", "cv2"} & set(sys.modules))
from siamla.report.drawing.data import Data
from siamla.report.drawing.style import write
write(Path(sys.argv[1]), figures_of(plan).figures["fig4b"], Data({}, {}), [])
"""


def test_the_plan_loads_no_library_of_drawing_and_no_display_is_needed(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "MPLBACKEND": "TkAgg"}
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(tmp_path / "fig4b")],
        cwd=ROOT,
        env=environment | {"HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
    assert (tmp_path / "fig4b.png").is_file()


# Settings and plan
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"kind": "curve", "title": "x"},
            "figures.mine.kind: 'curve' is unknown; did you mean 'curves'",
        ),
        ({"kind": "curves", "title": "x", "curves": ["sucess"]}, "did you mean 'success'"),
        (
            {"kind": "curves", "title": "x", "curves": ["success"], "benchmark": "otb100"},
            "did you mean 'benchmarks'",
        ),
        ({"kind": "labels", "title": "x", "lambdas": [0]}, "figures.mine"),
        ("curves", "figures.mine.kind"),
    ],
)
def test_a_wrong_entry_names_file_key_and_the_nearest(
    tmp_path: Path, entry: Any, message: str
) -> None:
    path = tmp_path / "figures.yaml"
    path.write_text(yaml.safe_dump({"ours": "a", "baseline": "b", "figures": {"mine": entry}}))
    with pytest.raises(UserError, match=message) as raised:
        load_figures(path)
    assert str(raised.value).startswith(str(path))


NEW_KIND = """
from typing import Literal
from siamla.report.drawing import style
from siamla.report.drawing.data import Drawn
from siamla.report.drawing.settings import Figure
COLUMNS = ("sum",)
class Entry(Figure):
    kind: Literal["sums"]
    numbers: list[int]
def needs(plan, entry):
    return []
def draw(entry, data):
    return Drawn(style.new(2, 2), [{"sum": sum(entry.numbers)}], "A sum.")
"""


def test_a_new_kind_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sums.py").write_text(NEW_KIND)
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(tmp_path)])
    settings.figures_model.cache_clear()
    own = {"kind": "sums", "title": "Sums", "numbers": [1, 2]}
    path = tmp_path / "figures.yaml"
    path.write_text(yaml.safe_dump({"ours": "a", "baseline": "b", "figures": {"mine": own}}))
    write(tmp_path / "mine", load_figures(path).figures["mine"], Data({}, {}), [])
    assert (tmp_path / "mine.csv").read_text().splitlines() == ["sum", "3"]
    own["number"] = own.pop("numbers")
    path.write_text(yaml.safe_dump({"ours": "a", "baseline": "b", "figures": {"mine": own}}))
    with pytest.raises(UserError, match=r"unknown key 'number'; did you mean 'numbers'"):
        load_figures(path)
    settings.figures_model.cache_clear()


def keys(plan: Plan) -> dict[str, str]:
    return {name: figure_job(plan, name).key for name in figure_names(plan)}


def test_a_change_of_an_entry_redraws_that_figure_alone(changed: Change) -> None:
    before = keys(changed())
    after = keys(changed(figures={"figures": {"fig9": {"title": "Another"}}}))
    assert {name for name in before if before[name] != after[name]} == {"fig9"}


def test_a_figure_of_a_benchmark_of_ones_own_is_one_entry(changed: Change) -> None:
    own = {"kind": "curves", "title": "Mine", "benchmarks": ["street"], "curves": ["success"]}
    few = {"kind": "curves", "title": "Few", "curves": ["precision"]}  # which GOT-10k lacks
    plan = changed(
        smoke={"benchmarks": {"street": {"layout": "otb", "root": "street", "label": "Street"}}},
        figures={"figures": {"mine": own, "few": few}},
    )
    identity = figure_job(plan, "mine").identity.plain["shown"]
    shown = identity["benchmarks"]["street"]
    assert (shown["label"], shown["synthetic"]) == ("Street", False)
    assert identity["caption"].endswith(" Street: data of your own.")
    drawn = {job.names["benchmark"] for job in figure_job(plan, "few").parents.values()}
    assert drawn == {"otb100", "street"}
    assert "Street" not in figure_job(plan, "ablation").identity.plain["shown"]["caption"]
    assert benchmarks(plan)["otb100"]["synthetic"]


def test_a_benchmark_of_ones_own_remakes_what_shows_it_wherever_its_folder_is(
    changed: Change,
) -> None:
    def made(root: str | None = None) -> dict[str, str]:
        own = {"layout": "otb", "root": root, "label": "Street", "frames": 60}
        benchmarks = {"street": own} if root else {}
        plan = changed(smoke={"benchmarks": benchmarks, "tables": [3, 4, 5]})
        tables = {f"table{number}": table_job(plan, number).key for number in (3, 4, 5)}
        return tables | keys(plan)

    without, here, elsewhere = made(), made("street"), made("/elsewhere/street")
    assert here == elsewhere
    assert {name for name in without if without[name] != here[name]} == {"table3", "benchmarks"}


def test_what_is_missing_names_the_command_that_makes_it(changed: Change) -> None:
    for name, said in (
        ("ablation", "`siamla benchmark score .* --profile smoke` comes first"),
        ("fig99", r"no such entry .*; did you mean 'fig9'"),
        ("fig7", "runs none of its benchmarks"),
    ):
        with pytest.raises(UserError, match=said):
            figure(changed(), name)


def test_a_score_of_other_settings_is_refused(changed: Change) -> None:
    plan = changed()
    rng = np.random.default_rng(0)
    for job in figure_job(plan, "ablation").parents.values():
        precision = "bf16" if job.names["variant"] == "siamla" else "fp32"
        place = {"device": "cpu", "precision": precision}
        fake(job, {"training": None, **content(0.5, rng)}, place=place)
    path = figure(plan, "ablation")
    caption = path.with_name("ablation.md").read_text()
    assert "Tracked on: cpu, bf16 (siamla); cpu, fp32 (siamcar)" in caption
    assert "Seeds: siamcar 1; siamla 1" in caption
    made = json.loads(path.with_name("ablation.json").read_text())
    assert made["key"] == figure_job(plan, "ablation").key
    assert len(made["made_from"]) == 4
    plan = changed(variants={"variants": {"siamla": {"set": {"tracker.window": 0.31}}}})
    refused = r"does not belong to the plan .*tracker\.window is 0\.4\d*, the plan has 0\.31"
    with pytest.raises(UserError, match=refused):
        figure(plan, "ablation")


# Maps and confidence
# ----------------------------------------------------------------------------------------------


def frame(sequence: str, number: int, picked: tuple[int, int], quality: float = 0.9) -> Any:
    """A frame whose box of cell (12, 12) is the truth, and whose confidence and quality are highest
    at `picked`.
    """
    q = np.full((25, 25), 0.1)
    q[picked] = quality
    return map_frame(sequence, number, (40, 30), np.full((25, 25), 0.8), q, picked)


def mapped(real: dict, **frames: list[Any]) -> Data:
    trackers = {name: tracker | {"localization": "quality"} for name, tracker in TWO.items()}
    return Data(
        trackers,
        {"otb100": real["otb100"] | {"synthetic": True}},
        runs=[Run("otb100", name, 1, maps=own) for name, own in frames.items()],
    )


def test_figure_2_finds_the_frame_whose_picked_box_is_worst(draw: Draw, real: dict) -> None:
    entry = entry_of(
        "maps", benchmark="otb100", variants=["base", "ours"], show="misplaced", rows=1
    )
    base = [frame("a", 3, (12, 13)), frame("b", 5, (2, 2)), frame("b", 6, (12, 12))]
    given = mapped(real, base=base, ours=[frame("a", 3, (12, 12))])
    drawn = draw(entry, given)
    rows = {(row["tracker"], row["cell"]): row for row in drawn.rows}
    picked, best = rows["base", "picked"], rows["base", "best"]
    assert (picked["sequence"], picked["frame"]) == ("b", 5)
    assert (picked["cell_row"], picked["iou"]) == (2, 0)
    assert (best["cell_row"], best["cell_column"]) == (12, 12)
    assert best["iou"] == pytest.approx(1)
    assert "synthetic miniatures" in texts(drawn)
    assert any("anchor-based" in note for note in drawn.notes)
    maps = [
        image for axes in drawn.figure.axes for image in axes.images if image.get_array().ndim == 2
    ]
    assert [image.get_clim()[1] for image in maps] == pytest.approx([0.72, 0.72])


def test_figure_13_shows_a_gain_a_distractor_and_a_loss(draw: Draw, real: dict) -> None:
    entry = entry_of("maps", benchmark="otb100", variants=["base", "ours"], show="quality", rows=3)
    cells = {"gain": (2, 2), "loud": (20, 20), "loss": (12, 12)}
    base = [frame(n, 1, cells[n], q) for n, q in zip(cells, (0.5, 0.99, 0.9), strict=True)]
    cells |= {"gain": (12, 12), "loss": (2, 2)}
    ours = [frame(n, 1, cells[n], q) for n, q in zip(cells, (0.9, 0.2, 0.5), strict=True)]
    drawn = draw(entry, mapped(real, base=base, ours=ours))
    rows = [row["sequence"] for row in drawn.rows if row["tracker"] == "ours"]
    assert rows == ["gain", "loud", "loss"]
    ours_iou = [row["iou"] for row in drawn.rows if row["tracker"] == "ours"]
    assert ours_iou == pytest.approx([1, 0, 0])
    unknown = replace(base[0], truth=np.full(4, np.nan))
    nothing = draw(entry, mapped(real, base=[unknown], ours=ours[:1]))
    assert "no frame was found" in texts(nothing)


def test_a_dark_frame_is_passed_over(draw: Draw, real: dict) -> None:
    entry = entry_of("maps", benchmark="otb100", variants=["base"], show="misplaced", rows=2)
    night = replace(frame("a", 1, (2, 2)), crop=np.full((255, 255, 3), 9, np.uint8))
    drawn = draw(entry, mapped(real, base=[night, frame("b", 5, (12, 13))]))
    assert {row["sequence"] for row in drawn.rows} == {"b"}
    assert "span less than 48 of 255 levels are passed over" in " ".join(drawn.notes)


def test_figure_12_has_three_correlations_with_intervals(draw: Draw, real: dict) -> None:
    rng = np.random.default_rng(0)
    entry = entry_of("confidence", benchmark="otb100", variants=["base", "ours"])

    def scattered(name: str, follows: bool) -> Any:
        one = frame(name, 1, (12, 12))
        ious = iou(np.broadcast_to(one.truth, (625, 4)), one.boxes.reshape(-1, 4))
        follow = 0.2 + 0.6 * ious.reshape(25, 25)
        return replace(one, q=follow if follows else rng.uniform(0, 1, (25, 25)))

    frames = {name: [scattered(n, name == "ours") for n in "abcd"] for name in ("ours", "base")}
    drawn = draw(entry, mapped(real, **frames))
    told = {(r["tracker"], r["points"], r["statistic"]): r for r in drawn.rows if "statistic" in r}
    assert told["ours", "cells", "pearson"]["value"] == pytest.approx(1)
    assert abs(told["base", "cells", "spearman"]["value"]) < 0.1
    found = told["base", "inside", "spearman"]
    assert found["low"] < found["value"] < found["high"]
    assert np.isnan(told["base", "tracked", "pearson"]["value"])  # no predictions were given
    assert "none stored" in texts(drawn)
    cells = [row for row in drawn.rows if row["points"] == "cells"]
    assert sum(row.get("count", 0) for row in cells) == 2 * 4 * 625
