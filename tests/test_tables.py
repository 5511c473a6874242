"""Tables: hand-worked cells, noise marks, best three, holes, and scores that do not belong."""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from siamla.cli import report as cli
from siamla.cli.commands import Commands
from siamla.errors import UserError
from siamla.files import read_json, write_json
from siamla.report.collect import collect
from siamla.report.settings import Layout
from siamla.report.tables import make_table, published

ROOT = Path(__file__).parents[1]
TABLES = {
    "tables": {
        3: {
            "title": "Components",
            "kind": "ablation",
            "components": True,
            "extend": True,
            "columns": [
                {"label": "OTB100 AUC", "benchmark": "otb100", "metric": "auc", "paper": "otb100_auc"},
                {"label": "fps", "benchmark": "otb100", "metric": "fps", "paper": "fps", "digits": 0, "better": None},
            ],
            "rows": [
                {"variant": "siamcar", "paper": {"ladl": 0, "lals": 0, "lafa": 0}},
                {"variant": "siamla", "paper": {"ladl": 1, "lals": 1, "lafa": 1}},
            ],
        }
    }
}
VARIANTS = {
    "siamcar": {"label": "SiamCAR", "ladl": False, "lals": False, "lafa": False, "seeds": [1, 2], "spec_digest": "a1"},
    "siamla": {
        "label": "SiamLA",
        "ladl": True,
        "lals": True,
        "lafa": True,
        "seeds": [1, 2],
        "spec_digest": {"otb100": "b1"},
        "train_spec_digest": "t1",
    },
}
BENCHMARKS = {"otb100": {"label": "OTB100", "headline": "auc", "data_digest": "d1"}}
GOLDEN = """\
**Table III.** Components

| Variant | LADL | LALS | LAFA | OTB100 AUC | OTB100 AUC, paper | fps | fps, paper |
|:--|:-:|:-:|:-:|:-:|:-:|:-:|:-:|
| SiamCAR |  |  |  | 0.500 ± 0.141 | 0.597 | 40 ± 0 | 38 |
| SiamLA | ✓ | ✓ | ✓ | 0.600 ± 0.141 | 0.649 | 40 ± 0 | 29 |

- Synthetic miniatures.
- Sequences: OTB100 3
- Mean ± sample standard deviation over 2 seeds
- Measured speed: cpu, 1 thread, with other jobs beside it, frames of OTB100
- Code: commit 0123456789ab with uncommitted changes
"""


def write_score(
    folder: Path, variant: str, seed: int, aucs: list[float], benchmark: str = "otb100", **record: object
) -> Path:
    """A score file whose overall AUC is the mean over its sequences."""
    path = folder / benchmark / variant / f"seed{seed}.json"
    digests = {
        "spec_digest": {"siamcar": "a1"}.get(variant, "b1"),
        "data_digest": "d1",
        "code_digest": "c1",
        "train_spec_digest": "t1",
    }
    git = {"git_commit": "0123456789abcdef", "git_dirty": True, "model_sha256": f"{variant}{seed}"}
    values = {"benchmark": benchmark, "variant": variant, "seed": seed, **digests, **git, **record}
    sequences = {f"s{i}": {"auc": auc} for i, auc in enumerate(aucs)}
    speed = {"fps": 40.0, "latency_ms_median": 25.0, "threads": 1, "device": "cpu"}
    overall = {"auc": float(np.mean(aucs))}
    write_json(path, {"record": values, "overall": overall, "per_sequence": sequences, "speed": speed})
    return path


def four(folder: Path) -> list[Path]:
    """Means .4 and .6, .5 and .7: 0.5 and 0.6, both with sd √.02 = .1414; siamla is better on every sequence."""
    return [
        write_score(folder, "siamcar", 1, [0.3, 0.4, 0.5]),
        write_score(folder, "siamcar", 2, [0.5, 0.6, 0.7]),
        write_score(folder, "siamla", 1, [0.4, 0.5, 0.6]),
        write_score(folder, "siamla", 2, [0.6, 0.7, 0.8]),
    ]


def table(tmp_path: Path, paths: list[Path], number: int = 3, tables: dict = TABLES, **changes: dict) -> str:
    collect(paths, tmp_path / "scores.csv", tmp_path / "sequences.csv")
    variants, benchmarks = changes.get("variants", VARIANTS), changes.get("benchmarks", BENCHMARKS)
    layout = Layout.model_validate(tables)
    csvs = (tmp_path / "scores.csv", tmp_path / "sequences.csv")
    return make_table(number, *csvs, layout, variants, benchmarks, "Synthetic miniatures.", tmp_path / "out")


def whole_layout() -> dict:
    return yaml.safe_load((ROOT / "params" / "tables.yaml").read_text())


def test_collect_is_sorted_whatever_the_order(tmp_path: Path) -> None:
    paths = four(tmp_path)
    assert collect(paths, tmp_path / "a.csv", tmp_path / "as.csv") == 4
    collect(paths[::-1], tmp_path / "b.csv", tmp_path / "bs.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert len(rows) == 4 * 3  # auc, fps, latency
    first = {
        name: rows[0][name] for name in ("benchmark", "variant", "seed", "metric", "git_dirty", "device", "threads")
    }
    assert list(first.values()) == ["otb100", "siamcar", "1", "auc", "True", "cpu", "1"]
    digests = ("spec_digest", "train_spec_digest", "model_sha256", "data_digest", "code_digest", "git_commit")
    assert [rows[0][name] for name in digests] == ["a1", "t1", "siamcar1", "d1", "c1", "0123456789abcdef"]
    assert float(rows[0]["value"]) == pytest.approx(0.4)
    assert len(list(csv.DictReader((tmp_path / "as.csv").open()))) == 4 * 3


def test_collect_refuses_what_is_no_score(tmp_path: Path) -> None:
    outputs = (tmp_path / "a.csv", tmp_path / "b.csv")
    good = write_score(tmp_path, "siamla", 1, [0.5])
    with pytest.raises(UserError, match="are already in"):
        collect([good, good], *outputs)
    write_json(tmp_path / "x.json", {"record": {}})
    with pytest.raises(UserError, match=r"x\.json: no mapping 'overall'"):
        collect([tmp_path / "x.json"], *outputs)
    good.write_text(good.read_text().replace('"auc": 0.5', '"auc": NaN'))
    with pytest.raises(UserError, match=r"overall\.auc is nan"):
        collect([good], *outputs)
    assert not outputs[0].exists()


def test_a_table_worked_by_hand(tmp_path: Path) -> None:
    assert table(tmp_path, four(tmp_path)) == GOLDEN
    assert (tmp_path / "out" / "table3.md").read_text() == GOLDEN
    rows = list(csv.DictReader((tmp_path / "out" / "table3.csv").open()))
    assert float(rows[1]["otb100.auc"]) == pytest.approx(0.6)
    assert float(rows[1]["otb100.auc.sd"]) == pytest.approx(0.02**0.5)
    assert (rows[1]["otb100.auc.seeds"], rows[1]["otb100.auc.within_noise"]) == ("1 2", "0")
    assert rows[1]["paper.otb100_auc"] == "0.649"


def test_a_difference_within_noise_is_marked(tmp_path: Path) -> None:
    paths = four(tmp_path)
    paths[2:] = [write_score(tmp_path, "siamla", seed, [0.1, 0.9, 0.6]) for seed in (1, 2)]
    text = table(tmp_path, paths)
    assert r"| 0.533 ± 0.000 \~ |" in text
    assert r"- \~ the difference to SiamCAR is within noise" in text
    assert r"0.533 $\pm$ 0.000 $\sim$" in (tmp_path / "out" / "table3.tex").read_text()


def test_seeds_that_only_one_of_them_has_are_left_out_of_a_comparison(tmp_path: Path) -> None:
    variants = VARIANTS | {"siamla": {**VARIANTS["siamla"], "seeds": [1]}}
    paths = [write_score(tmp_path, "siamcar", 1, [0.4, 0.5, 0.6]), write_score(tmp_path, "siamcar", 2, [0.1, 0.1, 0.1])]
    paths.append(write_score(tmp_path, "siamla", 1, [0.4, 0.5, 0.6]))
    assert r"| SiamLA | ✓ | ✓ | ✓ | 0.500 \~ |" in table(tmp_path, paths, variants=variants)


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    variants = {name: {**info, "seeds": [1]} for name, info in VARIANTS.items()}
    text = table(tmp_path, four(tmp_path), variants=variants)  # seed 2 lies about from earlier settings
    assert "| SiamCAR |  |  |  | 0.400 | 0.597 | 40 | 38 |" in text
    assert "One seed" in text


def test_holes_say_what_is_missing(tmp_path: Path) -> None:
    text = table(tmp_path, four(tmp_path)[:1])
    assert "| SiamLA | ✓ | ✓ | ✓ | not measured | 0.649 | not measured | 29 |" in text
    assert "Not measured: siamcar on otb100, seed 2" in text


def test_a_withheld_truth_and_short_sequences_are_said(tmp_path: Path) -> None:
    benchmarks = BENCHMARKS | {name: {"label": name, "headline": "auc"} for name in ("trackingnet", "vot2018")}
    server = write_score(tmp_path, "siamcar", 1, [0.0], "trackingnet")
    write_json(server, read_json(server) | {"overall": {}, "per_sequence": {}})
    short = write_score(tmp_path, "siamcar", 1, [0.0], "vot2018")
    write_json(short, read_json(short) | {"overall": {"eao": 0.25, "eao_short_frames": 50}})
    first = table(tmp_path, [server, short], 1, whole_layout(), benchmarks=benchmarks)
    row = next(line for line in first.splitlines() if line.startswith("| SiamCAR | not measured"))
    assert row.count("submit to the server") == 3
    second = table(tmp_path, [server, short], 2, whole_layout(), benchmarks=benchmarks)
    assert "- EAO: no sequence is long enough" in second
    assert "(frames 1 to 49)" in second
    assert "EAO: no" not in first


def test_own_variants_and_benchmarks_are_appended(tmp_path: Path) -> None:
    paths = four(tmp_path)
    paths += [write_score(tmp_path, "mine", 1, [0.9, 0.9, 0.9])]
    paths += [write_score(tmp_path, "siamcar", 1, [0.25], "street", data_digest="d2")]
    mine = {"label": "My_variant", "ladl": True, "lals": False, "lafa": False, "seeds": [1], "spec_digest": "b1"}
    street = {"label": "Street", "headline": "auc", "data_digest": "d2"}
    text = table(tmp_path, paths, variants=VARIANTS | {"mine": mine}, benchmarks=BENCHMARKS | {"street": street})
    assert "| fps, paper | Street AUC |" in text
    assert "| My_variant | ✓ |  |  | 0.900 | – | 40 | – | not measured |" in text
    assert "| SiamCAR |  |  |  | 0.500 ± 0.141 | 0.597 | 40 ± 0 | 38 | 0.250 |" in text
    assert "OTB100 3, Street 1" in text
    assert r"My\_variant" in (tmp_path / "out" / "table3.tex").read_text()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"spec_digest": "old"}, "siamla, seed 2, on otb100: spec_digest is old, but the settings now have b1"),
        ({"train_spec_digest": "old"}, "on otb100: train_spec_digest is old, but the settings now have t1"),
        ({"data_digest": "old"}, "siamla, seed 2, on otb100: data_digest is old, but the data now have d1"),
    ],
)
def test_scores_of_other_settings_are_refused(tmp_path: Path, record: dict, message: str) -> None:
    paths = [*four(tmp_path)[:3], write_score(tmp_path, "siamla", 2, [0.5, 0.5, 0.5], **record)]
    with pytest.raises(UserError, match=message):
        table(tmp_path, paths)
    assert not (tmp_path / "out").exists()


def test_a_row_of_two_models_is_refused(tmp_path: Path) -> None:
    paths = [*four(tmp_path), write_score(tmp_path, "siamla", 1, [0.5], "street", model_sha256="other")]
    street = {"label": "Street", "headline": "auc"}
    with pytest.raises(UserError, match="siamla, seed 1, are of two models"):
        table(tmp_path, paths, benchmarks=BENCHMARKS | {"street": street})


def test_published_numbers() -> None:
    assert [len(published(number)) for number in range(1, 7)] == [22, 13, 6, 2, 4, 3]
    best = max(published(1), key=lambda row: float(row["got10k_ao"] or 0))
    assert (best["tracker"], best["got10k_ao"]) == ("SiamGAT", "0.627")


def test_published_numbers_are_the_papers() -> None:
    shared = Path(__file__).parents[2] / "shared" / "paper" / "tables"
    if not shared.is_dir():
        pytest.skip("the paper's tables are not beside this checkout")
    for path in shared.glob("table*.csv"):
        assert published(int(path.name[5])) == list(csv.DictReader(path.open()))


def test_all_six_tables_of_the_layout(tmp_path: Path) -> None:
    for number in range(1, 7):
        text = table(tmp_path, four(tmp_path), number, whole_layout())
        assert text.startswith("**Table ")
        assert "not measured" in text
        assert (tmp_path / "out" / f"table{number}.tex").is_file()


def test_comparison_keeps_published_and_measured_apart(tmp_path: Path) -> None:
    imported = {"label": "KCF", "imported": True}
    paths = [*four(tmp_path), write_score(tmp_path, "kcf", 1, [0.2, 0.2, 0.2], "lasot")]
    benchmarks = BENCHMARKS | {"lasot": {"label": "LaSOT", "headline": "auc"}}
    text = table(tmp_path, paths, 1, whole_layout(), variants=VARIANTS | {"kcf": imported}, benchmarks=benchmarks)
    lines = text.splitlines()
    measured = next(i for i, line in enumerate(lines) if "Measured here" in line)
    names = [line.split("|")[1].strip() for line in lines[measured + 1 : measured + 4]]
    assert names == ["SiamCAR", "SiamLA", "KCF"]
    assert "0.200" in lines[measured + 3]
    # AO: SiamGAT .627, SiamRCR .624, SiamLA .619
    assert "| SiamGAT | **0.627** |" in text
    assert "| SiamRCR | <u>0.624</u> |" in text
    assert "| SiamLA | *0.619* | *0.724* | <u>0.510</u> | **0.767** |" in text
    assert r"SiamGAT & \textcolor{red}{0.627}" in (tmp_path / "out" / "table1.tex").read_text()


def test_lower_robustness_is_better(tmp_path: Path) -> None:
    text = table(tmp_path, four(tmp_path), 2, whole_layout())
    assert "| SiamLA | <u>0.462</u> | 0.593 | **0.136** |" in text
    assert "| Ocean | **0.467** | 0.598 | 0.169 |" in text


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    cli.register(Commands(parser))
    scores, sequences = str(tmp_path / "scores.csv"), str(tmp_path / "sequences.csv")
    paths = [str(path) for path in four(tmp_path)]
    args = parser.parse_args(["report", "collect", *paths, "--out", scores, "--sequences", sequences])
    args.run(args)
    data = ["--variants", json.dumps(VARIANTS), "--benchmarks", json.dumps(BENCHMARKS), "--caption", "Miniatures"]
    files = ["--scores", scores, "--sequences", sequences, "--layout", str(ROOT / "params" / "tables.yaml")]
    args = parser.parse_args(["report", "table", "3", *files, *data, "--out", str(tmp_path / "out")])
    args.run(args)
    write_json(tmp_path / "report.json", {"frames": 3})
    args = parser.parse_args(
        ["report", "table", "3", *files, *data, "--out", str(tmp_path), "--data", f"otb100={tmp_path}/report.json"]
    )
    with pytest.raises(UserError, match="data_digest is d1, but the data now have"):
        args.run(args)
    args = parser.parse_args(["report", "show", str(tmp_path / "out" / "table3.md")])
    args.run(args)
    assert capsys.readouterr().out.count("**Table III.**") == 2
    args = parser.parse_args(["report", "table", "3", *files, *data[:1], "[1]", *data[2:], "--out", str(tmp_path)])
    with pytest.raises(UserError, match="expected a JSON object of objects"):
        args.run(args)
