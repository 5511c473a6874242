"""Tables: hand-worked cells, marks, best three, holes, and what a table says about where its
numbers come from.
"""

import copy
import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from siamla.benchmark.protocols import load_protocols
from siamla.errors import UserError
from siamla.experiment.spec import merge
from siamla.report.collect import COLUMNS, Score, write
from siamla.report.tables.build import build, published, write_table
from siamla.report.tables.job import Layout, plain_metrics

ROOT = Path(__file__).parents[1]
AUC = {"label": "OTB100 AUC", "benchmark": "otb100", "metric": "auc", "paper": "otb100_auc"}
FPS = {"label": "fps", "benchmark": "otb100", "metric": "fps", "paper": "fps", "digits": 0}
TABLE = {
    "title": "Components",
    "kind": "ablation",
    "components": {"LADL": {"labels.ladl": True}, "LALS": {}, "LAFA": {}},
    "extend": True,
    "columns": [AUC, FPS],
    "rows": [
        {"variant": "siamcar", "paper": {"ladl": 0, "lals": 0, "lafa": 0}},
        {"variant": "siamla", "paper": {"ladl": 1, "lals": 1, "lafa": 1}},
    ],
}
TABLES = {"tables": {3: TABLE}}
VARIANTS = {
    "siamcar": {"label": "SiamCAR", "components": []},
    "siamla": {"label": "SiamLA", "components": ["LADL", "LALS", "LAFA"]},
}
PROTOCOLS = load_protocols(ROOT / "params" / "protocols.yaml")


LAYOUT = yaml.safe_load((ROOT / "params" / "tables.yaml").read_text())


EVERY: dict[str, Any] = {
    name: {
        "label": rules.title,
        "headline": rules.headline,
        "metrics": plain_metrics(rules.metrics),
    }
    for name, rules in PROTOCOLS.items()
}
GOLDEN = """\
**Table III.** Components

| Variant | LADL | LALS | LAFA | OTB100 AUC | OTB100 AUC, paper | fps | fps, paper |
|:--|:-:|:-:|:-:|:-:|:-:|:-:|:-:|
| SiamCAR |  |  |  | 0.500 ± 0.014 | 0.597 | 40 ± 0 | 38 |
| SiamLA | ✓ | ✓ | ✓ | 0.600 ± 0.014 | 0.649 | 40 ± 0 | 29 |

- Synthetic miniatures.
- Sequences: OTB100 3
- Mean ± sample standard deviation over 2 seeds
- Measured speed: cpu, fp32, 1 thread, frames of OTB100; what else the machine did is not \
known of all
- Code: commit 0123456789ab with uncommitted changes
"""
CPU = {"device": "cpu", "precision": "fp32", "threads": 1}


def score(
    variant: str, seed: int, aucs: Sequence[float], benchmark: str = "otb100", **content: Any
) -> Score:
    """A score whose overall AUC is the mean over its sequences; content: laid over what it has."""
    environment = {"git_commit": "0123456789abcdef", "git_dirty": True}
    mean = float(np.mean(aucs))
    attributes = {"FM": {"sequences": 1.0, "auc": aucs[0]}}
    attributes["SV"] = {"sequences": 2.0, "auc": float(np.mean(aucs[1:] or aucs))}
    made = {
        "record": {"place": CPU, "environment": environment},
        "training": {"place": CPU, "environment": environment},
        "overall": {"auc": mean},
        "per_sequence": {f"s{i}": {"auc": auc} for i, auc in enumerate(aucs)},
        "per_attribute": attributes,
        "curves": {"success": {"x": [0, 0.5, 1], "y": [1, mean, 0]}},
        "speed": {"fps": 40.0, "latency_ms_median": 25.0},
    }
    return Score(benchmark, variant, seed, merge(made, content))


def imported(tracker: str, benchmark: str = "otb100") -> Score:
    """A score of another tracker's results: no seed, no training, no speed."""
    one = score(tracker, 0, [0.2, 0.2, 0.2], benchmark, record={"place": {}}, training=None)
    return replace(one, content={**one.content, "speed": {}})


FOUR = [
    score("siamcar", 1, [0.39, 0.49, 0.59]),
    score("siamcar", 2, [0.41, 0.51, 0.61]),
    score("siamla", 1, [0.49, 0.59, 0.69]),
    score("siamla", 2, [0.51, 0.61, 0.71]),
]
"""Means .49 and .51, .59 and .61: 0.5 and 0.6, both with sd √.0002 = .0141; siamla is better on
every sequence.
"""


def table(
    folder: Path, scores: Sequence[Score], number: int = 3, tables: Any = TABLES, **changes: Any
) -> str:
    layout = Layout.model_validate(tables).tables[number]
    named = {column.benchmark for column in layout.columns}
    used = {name: info for name, info in EVERY.items() if name in named}
    shown = {"variants": VARIANTS, "benchmarks": used, "caption": "Synthetic miniatures."}
    return write_table(build(number, scores, layout, shown | changes), folder)


def stored(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def firsts(text: str) -> list[str]:
    """The first cells of a table's rows."""
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [row.split("|")[1].strip() for row in rows]


HOSTILE = """=cmd|' /C calc'!A0 <script>alert(1)</script> \\input{x} | ~ $&%#_{}^"""


def test_a_hostile_label_and_caption_are_text_in_every_format(tmp_path: Path) -> None:
    """No tag, cell, command or formula of theirs."""
    variants = {**VARIANTS, "siamla": VARIANTS["siamla"] | {"label": HOSTILE}}
    text = table(tmp_path, FOUR, variants=variants, caption=f"{HOSTILE}\n\n{HOSTILE}")
    assert "<script" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    latex = (tmp_path / "table3.tex").read_text()
    assert r"\textbackslash{}input\{x\}" in latex
    assert r"\input{" not in latex
    assert "<" not in latex.replace("$<$", "")
    firsts = [next(iter(row.values())) for row in stored(tmp_path / "table3.csv")]
    assert f"'{HOSTILE}" in firsts


def test_collected_scores_are_sorted_whatever_the_order(tmp_path: Path) -> None:
    for folder, order in (("a", FOUR), ("b", FOUR[::-1])):
        write(order, tmp_path / folder)
    for name in ("scores", "sequences", "curves", "attributes"):
        one, other = (tmp_path / folder / f"{name}.csv" for folder in "ab")
        assert one.read_bytes() == other.read_bytes()
    rows = stored(tmp_path / "a/scores.csv")
    assert len(rows) == 4 * 3  # auc, fps, latency
    names = ["otb100", "siamcar", "1"]
    auc = repr(float(np.mean([0.39, 0.49, 0.59])))
    cpu = ["cpu", "fp32", "1"]
    end = ["0123456789abcdef", "True", ""]
    assert list(rows[0].values()) == [*names, "auc", auc, *cpu, "", *cpu, *end]
    assert list(rows[0]) == list(COLUMNS)
    assert len(stored(tmp_path / "a/sequences.csv")) == 4 * 3
    for name, expected in (
        ("curves", [["success", "0.0", "1.0"], ["success", "0.5", "0.49"]]),
        ("attributes", [["FM", "auc", "0.39", "1"], ["SV", "auc", "0.54", "2"]]),
    ):
        rows = stored(tmp_path / f"a/{name}.csv")[:2]
        assert [list(row.values()) for row in rows] == [[*names, *each] for each in expected]


@pytest.mark.parametrize("dirty", [False, True])
def test_every_commit_that_a_score_rests_on_is_told(tmp_path: Path, dirty: bool) -> None:
    a, b, c = ({"environment": {"git_commit": x, "git_dirty": dirty and x == "a"}} for x in "abc")
    text = table(tmp_path, [score("siamla", 1, [0.5], training=a, predictions=b, record=c)])
    changed = " with uncommitted changes" if dirty else ""
    assert text.endswith(f"- Code: commit a and b and c{changed}\n")


def test_a_table_worked_by_hand(tmp_path: Path) -> None:
    assert table(tmp_path, FOUR) == GOLDEN
    assert (tmp_path / "table3.md").read_text() == GOLDEN
    rows = stored(tmp_path / "table3.csv")
    assert float(rows[1]["otb100.auc"]) == pytest.approx(0.6)
    assert float(rows[1]["otb100.auc.sd"]) == pytest.approx(0.0002**0.5)
    assert (rows[1]["otb100.auc.seeds"], rows[1]["otb100.auc.mark"]) == ("1 2", "")
    assert rows[1]["paper.otb100_auc"] == "0.649"


def test_a_difference_within_noise_is_marked(tmp_path: Path) -> None:
    """Where sequences go both ways; and where seeds do, .517 ± .037 against .566 ± .009, on each of
    14 sequences alike.
    """
    text = table(tmp_path, FOUR[:2] + [score("siamla", seed, [0.1, 0.9, 0.6]) for seed in (1, 2)])
    assert r"| 0.533 ± 0.000 \~ |" in text
    assert r"- \~ the difference to SiamCAR is within noise: its 95 % interval covers 0" in text
    assert r"0.533 $\pm$ 0.000 $\sim$" in (tmp_path / "table3.tex").read_text()
    assert [row["otb100.auc.mark"] for row in stored(tmp_path / "table3.csv")] == ["", "~"]
    spread = {"siamcar": (0.5723, 0.5597), "siamla": (0.4908, 0.5432)}
    alike = [
        score(variant, seed, [mean] * 14)
        for variant, means in spread.items()
        for seed, mean in enumerate(means, start=1)
    ]
    text = table(tmp_path, alike)
    assert "0.566 ± 0.009 |" in text
    assert r"0.517 ± 0.037 \~ |" in text


def test_one_seed_tells_no_difference(tmp_path: Path) -> None:
    one = [each for each in FOUR if each.seed == 1]
    text = table(tmp_path, one)
    assert "| SiamCAR |  |  |  | 0.490 | 0.597 | 40 | 38 |" in text
    assert "| SiamLA | ✓ | ✓ | ✓ | 0.590 † | 0.649 | 40 | 29 |" in text
    assert "- † no difference to SiamCAR can be called: fewer than two seeds" in text
    assert "One seed each" in text
    assert r"0.590 $\dagger$" in (tmp_path / "table3.tex").read_text()
    of_baseline = [each for each in FOUR if each.seed == 1 or each.tracker == "siamla"]
    assert "| 0.600 ± 0.014 † |" in table(tmp_path, of_baseline)


def test_no_difference_is_told_without_values_by_sequence(tmp_path: Path) -> None:
    runs = [(variant, seed) for variant in VARIANTS for seed in (1, 2)]
    scores = [score(*run, [0.5], "vot2018", overall={"eao": 0.25}) for run in runs]
    text = table(tmp_path, scores, 2, LAYOUT)
    assert "| SiamCAR | 0.250 ± 0.000 |" in text
    assert "| SiamLA | 0.250 ± 0.000 † |" in text


def test_holes_say_what_is_missing(tmp_path: Path) -> None:
    street = {"label": "Street", "benchmark": "street", "metric": "auc"}  # of another profile
    layout = {"tables": {3: TABLE | {"columns": [AUC, FPS, street]}}}
    text = table(tmp_path, FOUR[:1], 3, layout, benchmarks={"otb100": EVERY["otb100"]})
    assert (
        "| SiamLA | ✓ | ✓ | ✓ | not measured | 0.649 | not measured | 29 | not measured |" in text
    )


def test_a_withheld_truth_and_short_sequences_are_said(tmp_path: Path) -> None:
    server = score("siamcar", 1, [0.0], "trackingnet")
    server = replace(server, content=server.content | {"overall": {}, "per_sequence": {}})
    eao = {"eao": 0.25, "eao_short_frames": 50}
    short = score("siamcar", 1, [0.0], "vot2018", overall=eao)
    first = table(tmp_path, [server, short], 1, LAYOUT)
    row = next(line for line in first.splitlines() if line.startswith("| SiamCAR | not measured"))
    assert row.count("submit to the server") == 3
    second = table(tmp_path, [server, short], 2, LAYOUT)
    assert "- EAO: no sequence is long enough" in second
    assert "(frames 1 to 49)" in second
    assert "EAO: no" not in first


def test_own_variants_and_benchmarks_are_appended(tmp_path: Path) -> None:
    more = [score("mine", 1, [0.9, 0.9, 0.9]), score("siamcar", 1, [0.25], "street")]
    mine = {"label": "My_variant", "components": ["LADL"]}
    benchmarks = {"otb100": EVERY["otb100"], "street": EVERY["otb100"] | {"label": "Street"}}
    variants = VARIANTS | {"mine": mine}
    text = table(tmp_path, FOUR + more, variants=variants, benchmarks=benchmarks)
    assert "| fps, paper | Street AUC |" in text
    assert "| My_variant | ✓ |  |  | 0.900 † | – | 40 | – | not measured |" in text
    assert "| SiamCAR |  |  |  | 0.500 ± 0.014 | 0.597 | 40 ± 0 | 38 | 0.250 |" in text
    assert "OTB100 3, Street 1" in text
    assert r"My\_variant" in (tmp_path / "table3.tex").read_text()


def test_a_table_says_that_it_mixes_places(tmp_path: Path) -> None:
    """On a GPU threads are no difference."""
    gpu = {"device": "cuda: Some GPU", "precision": "bf16"}
    on_gpu = [{"place": gpu | {"threads": threads}} for threads in (1, 2)]
    first, second = (score("siamla", seed, [0.6] * 3, training=on_gpu[seed - 1]) for seed in (1, 2))
    text = table(tmp_path, [*FOUR[:2], first, second])
    assert "- Trained on: cpu, fp32, 1 thread (siamcar); cuda: Some GPU, bf16 (siamla)\n" in text
    assert "Tracked on" not in text
    second = score("siamla", 2, [0.6] * 3, record={"place": {"threads": 2}})
    text = table(tmp_path, [*FOUR[:2], FOUR[2], second])
    assert "Trained on" not in text
    assert (
        "- Tracked on: cpu, fp32, 1 thread (siamcar, otb100/siamla/seed1); cpu, fp32, 2 threads"
        " (otb100/siamla/seed2)\n"
    ) in text


def test_a_metric_has_one_description(tmp_path: Path) -> None:
    """Digits and direction come from the protocol; the layout neither repeats nor invents them."""
    turned = {"vot2018": {"metrics": {"robustness": {"better": "higher", "digits": 1}}}}
    scores = [score("siamcar", 1, [0.5], "vot2018", overall={"robustness": 0.25})]
    text = table(tmp_path, scores, 2, LAYOUT, benchmarks=merge(EVERY, turned))
    assert "| SiamFC | 0.188 | 0.503 | **0.585** |" in text
    assert "| 0.2 |" in text
    layout = copy.deepcopy(LAYOUT)
    column = layout["tables"][2]["columns"][2]
    for change, said in (
        ({"digits": 2}, "'Robustness ↓': digits: those of robustness stand in the protocol"),
        ({"digits": None, "metric": "robustnes"}, "did you mean 'robustness'"),
    ):
        column |= change
        with pytest.raises(UserError, match=said):
            table(tmp_path, scores, 2, layout)


def test_published_numbers_are_the_papers() -> None:
    assert [len(published(number)) for number in range(1, 7)] == [22, 13, 6, 2, 4, 3]
    shared = ROOT.parent / "shared" / "paper" / "tables"  # beside some checkouts
    for path in shared.glob("table*.csv"):
        assert published(int(path.name[5])) == list(csv.DictReader(path.open()))


def test_all_six_tables_of_the_layout(tmp_path: Path) -> None:
    texts = {number: table(tmp_path, FOUR, number, LAYOUT) for number in range(1, 7)}
    for number, text in texts.items():
        assert text.startswith("**Table ")
        assert "not measured" in text
        assert (tmp_path / f"table{number}.tex").is_file()
    # where the lowest robustness is the best
    assert "| SiamLA | <u>0.462</u> | 0.593 | **0.136** |" in texts[2]
    assert "| Ocean | **0.467** | 0.598 | 0.169 |" in texts[2]


KCF = {"label": "KCF", "imported": True}


def test_comparison_keeps_published_and_measured_apart(tmp_path: Path) -> None:
    """AO: SiamGAT .627, SiamRCR .624, SiamLA .619."""
    variants = VARIANTS | {"kcf": KCF}
    text = table(tmp_path, [*FOUR, imported("kcf", "lasot")], 1, LAYOUT, variants=variants)
    measured = text.partition("Measured here")[2].splitlines()[1:]
    assert [line.split("|")[1].strip() for line in measured[:3]] == ["SiamCAR", "SiamLA", "KCF"]
    assert "0.200" in measured[2]
    assert "| SiamGAT | **0.627** |" in text
    assert "| SiamRCR | <u>0.624</u> |" in text
    assert "| SiamLA | *0.619* | *0.724* | <u>0.510</u> | **0.767** |" in text
    assert r"SiamGAT & \textcolor{red}{0.627}" in (tmp_path / "table1.tex").read_text()


def test_other_trackers_are_a_section_of_the_ablation_that_shows_their_benchmark(
    tmp_path: Path,
) -> None:
    variants = VARIANTS | {"kcf": KCF, "elsewhere": KCF, "mosse": KCF | {"label": "MOSSE"}}
    others = [imported("kcf"), imported("mosse"), imported("elsewhere", "lasot")]
    text = table(tmp_path, FOUR + others, variants=variants)
    head = "***Other trackers' raw results, scored here***"
    assert firsts(text) == ["SiamCAR", "SiamLA", head, "KCF", "MOSSE"]
    assert "| KCF |  |  |  | 0.200 † | – | not measured | – |" in text
    assert stored(tmp_path / "table3.csv")[2]["section"].startswith("Other trackers")
    latex = (tmp_path / "table3.tex").read_text()
    assert "midrule\n\\multicolumn{8}{l}{\\textit{Other trackers" in latex


def test_a_table_takes_up_variants_by_what_they_set(tmp_path: Path) -> None:
    names = ("ladl_lals_04", "ladl_lals_03", "ladl_lals", "ladl_lals_01")
    known = dict.fromkeys(names, VARIANTS["siamla"])
    mine = {"mine": {"label": "Mine", "components": [], "row": "0.25"}}
    scores = [score(name, 1, [0.5, 0.5, 0.5]) for name in [*names, "mine"]]
    text = table(tmp_path, scores, 5, LAYOUT, variants=known | mine)
    assert firsts(text) == ["0.4", "0.3", "0.2", "0.1", "0.25"]
    assert "\n| 0.25 | 0.500 † | – |" in text


UNSURE = "what else the machine did is not known of all"
ALONE = "‡ beside other work, which kept up to 1.2 cores busy: lower than alone"


@pytest.mark.parametrize(
    ("loads", "marks", "note"),
    [
        ([0.0, 0.1], 0, ", nothing else at work"),
        ([0.0, 1.25], 1, f"; {ALONE}"),
        ([0.0, None], 0, f"; {UNSURE}"),
        ([None, 0.5], 1, f"; {UNSURE}; ‡ beside other work"),
    ],
)
def test_a_speed_measured_under_load_is_marked(
    tmp_path: Path, loads: list[float | None], marks: int, note: str
) -> None:
    second = score("siamla", 1, [0.5, 0.5, 0.5])
    scores = [
        replace(one, content=one.content | {"predictions": {"other_cores": load}})
        for one, load in zip((FOUR[0], second), loads, strict=True)
    ]
    text = table(tmp_path, scores)
    rows = [line for line in text.splitlines() if line.startswith("| SiamLA")]
    assert sum(line.count("40 ‡") for line in rows) == marks
    assert "| SiamCAR |  |  |  | 0.490 | 0.597 | 40 | 38 |" in text
    assert f"frames of OTB100{note}" in text
