"""README's measured tables: their form is what the settings would give, their numbers are of clean
results alone.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.report.tables.layout import Layout
from siamla.report.collect import frames
from siamla.report.readme import BEGIN, END, check_form, numbers, write_readme
from siamla.report.render import Table
from siamla.report.tables.build import build

ROOT = Path(__file__).parents[1]
LAYOUT = Layout.model_validate(
    yaml.safe_load((ROOT / "params" / "tables.yaml").read_text(encoding="utf-8"))
)
PLACE = {"device": "cpu", "precision": "fp32", "threads": 1}


TWICE = ("siamcar", "ladl", "lals", "ladl_lals", "lafa", "siamla")


def plan(profile: str, twice: bool = True) -> dict[str, Any]:
    """What a profile's tables are of, as siamla.report.tables.build takes it; `twice`: Table III's
    with two seeds.
    """
    whole = Plan.load(profile, ROOT / "params")
    variants = whole.table_variants()
    for name in TWICE if twice else ():
        variants[name]["seeds"] = [1, 2]
    return {
        "numbers": numbers(LAYOUT, whole.profile.tables),
        "variants": variants,
        "benchmarks": whole.table_benchmarks(),
        "caption": whole.caption(),
    }


def build_all(profile: str, scores: dict[Path, Any], twice: bool = True) -> tuple[list[Table], Any]:
    of, both = plan(profile, twice), frames(scores)
    own = (LAYOUT, of["variants"], of["benchmarks"], of["caption"])
    return [build(number, *both, *own) for number in of["numbers"]], both


def score(
    benchmark: str,
    variant: str,
    seed: int,
    dirty: bool = False,
    commit: str | None = "0123456789abcdef",
) -> Any:
    names = {"benchmark": benchmark, "variant": variant, "seed": seed}
    environment = {"git_commit": commit, "git_dirty": dirty}
    metric = {"otb100": "auc", "got10k": "ao"}[benchmark]
    return {
        "record": {"names": names, "place": PLACE, "environment": environment},
        "training": {"place": PLACE, "environment": environment},
        "overall": {metric: 0.5 + seed / 100},
        "per_sequence": {name: {metric: 0.5 + seed / 100} for name in ("a", "b", "c")},
        "speed": {"fps": 30.0},
    }


def all_scores() -> dict[Path, Any]:
    """One for each score that Tables III to VI of the mini profile need."""
    return {
        Path(f"{benchmark}-{variant}-{seed}.json"): score(benchmark, variant, seed)
        for benchmark in ("otb100", "got10k")
        for variant, info in plan("mini")["variants"].items()
        for seed in info["seeds"]
    }


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    """A README with old tables in a clean git tree."""
    path = tmp_path / "README.md"
    path.write_text(f"# siamla\n\nBefore.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    (tmp_path / "other.txt").write_text("1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "start")
    return path


def test_the_repositorys_readme_is_not_stale() -> None:
    """Heads, rows, captions and published numbers; after a change of them `make readme` writes
    README anew.
    """
    tables, _ = build_all("mini", {}, twice=False)
    assert [table.name for table in tables] == ["Table III", "Table IV", "Table V", "Table VI"]
    assert check_form((ROOT / "README.md").read_text(encoding="utf-8"), "mini", tables) == []


def test_what_is_written_has_the_form_and_the_numbers(readme: Path) -> None:
    tables, both = build_all("mini", all_scores())
    readme.write_text(
        readme.read_text().replace("old", "edited by hand")
    )  # README itself may differ
    write_readme(readme, "mini", tables, *both)
    text = readme.read_text()
    assert text.startswith(
        f"# siamla\n\nBefore.\n\n{BEGIN}\nProfile `mini`, commit 0123456789ab. Trained on cpu,"
        " fp32, "
    )
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "edited by hand" not in text
    two, one = (
        "1, 2 of siamcar, ladl, lals, ladl_lals, lafa, siamla",
        "1 of ladl_linear, ladl_lals_04, ladl_lals_03",
    )
    assert f"Seeds: {two}; {one}" in text
    assert "Sequences: got10k 3, otb100 3. Written by `make readme`.\n" in text
    assert "| SiamCAR |  |  |  | 0.515 ± 0.007 | 0.597 |" in text
    assert "| 0.3 | 0.510 † | 0.624 |" in text
    assert check_form(text, "mini", build_all("mini", {})[0]) == []
    write_readme(readme, "mini", tables, *both)
    assert readme.read_text() == text


def test_another_file_with_changes_is_refused(readme: Path) -> None:
    before, (tables, both) = readme.read_text(), build_all("mini", all_scores())
    (readme.parent / "other.txt").write_text("2")
    (readme.parent / "new name.txt").write_text("3")
    with pytest.raises(
        UserError,
        match=r"not written: (other\.txt|new name\.txt) has uncommitted changes; .*; commit",
    ):
        write_readme(readme, "mini", tables, *both)
    assert readme.read_text() == before


@pytest.mark.parametrize("how", [{"dirty": True}, {"commit": None}, {"dirty": None}])
def test_results_that_no_commit_explains_are_refused(readme: Path, how: Any) -> None:
    scores = all_scores()
    scores[Path("otb100-siamla-2.json")] = score("otb100", "siamla", 2, **how)
    tables, both = build_all("mini", scores)
    before = readme.read_text()
    with pytest.raises(
        UserError, match="not written: siamla, seed 2, on otb100: made with uncommitted changes"
    ):
        write_readme(readme, "mini", tables, *both)
    assert readme.read_text() == before


def test_missing_results_are_refused(readme: Path) -> None:
    scores = all_scores()
    del scores[Path("otb100-lals-2.json")], scores[Path("otb100-ladl_linear-1.json")]
    del scores[Path("got10k-ladl_linear-1.json")]
    tables, both = build_all("mini", scores)
    missing = "Table III: lals on otb100, seed 2 not measured; Table IV: Linear IoU not measured"
    with pytest.raises(UserError, match=f"not written: {missing}; commit, run the pipeline"):
        write_readme(readme, "mini", tables, *both)
    tables, both = build_all("mini", {})
    with pytest.raises(
        UserError, match=r"Table III: SiamCAR not measured; .* \(and 11 more\); commit"
    ):
        write_readme(readme, "mini", tables, *both)


def test_no_repository_and_no_markers_are_refused(
    readme: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tables, both = build_all("mini", all_scores())
    outside = tmp_path_factory.mktemp("outside") / "README.md"
    outside.write_text(readme.read_text())
    with pytest.raises(UserError, match="no git repository"):
        write_readme(outside, "mini", tables, *both)
    readme.write_text(f"{END} {BEGIN}")
    with pytest.raises(UserError, match="once each, in this order"):
        write_readme(readme, "mini", tables, *both)
    assert check_form(f"{BEGIN}", "mini", tables) == [
        f"README.md: expected {BEGIN} and {END} once each, in this order"
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("| Variant |", "| Tracker |", "Table III: Tracker | LADL"),
        ("| LADL | ✓ |", "| LADL |  |", "Table III: LADL |  |"),
        ("| 0.4 |", "| 0.5 |", "Table V: 0.5 |"),
        ("| 0.618 |", "| 0.619 |", ""),  # a measured number is none of the form
        (
            "| 0.649 |",
            "| 0.648 |",
            "expected SiamLA (LADL + LALS + LAFA) | ✓ | ✓ | ✓ | not measured | 0.649",
        ),
        (
            "**Table IV.** Abl",
            "**Table VII.** Abl",
            "tables Table III, Table VII, Table V, Table VI; expected Table III",
        ),
        ("Ablation of the localization-aware dyn", "Of the dyn", "Table IV: Of the dynamic label"),
        ("synthetic miniatures", "real videos", "Table III: Data: real videos of"),
        ("Profile `mini`", "Profile `paper`", "does not begin with the profile mini"),
    ],
)
def test_a_stale_form_is_told(readme: Path, old: str, new: str, message: str) -> None:
    scores = all_scores()
    scores[Path("otb100-ladl_linear-1.json")]["overall"]["auc"] = 0.618
    tables, both = build_all("mini", scores)
    write_readme(readme, "mini", tables, *both)
    text = readme.read_text()
    assert old in text
    found = check_form(text.replace(old, new, 1), "mini", build_all("mini", {})[0])
    assert [message in line for line in found] == ([True] if message else [])


def test_a_row_too_many_is_told(readme: Path) -> None:
    tables, both = build_all("mini", all_scores())
    write_readme(readme, "mini", tables, *both)
    lines = readme.read_text().splitlines()
    row = next(index for index, line in enumerate(lines) if line.startswith("| LALS |"))
    text = "\n".join([*lines[:row], *lines[row + 1 :]])
    assert check_form(text, "mini", build_all("mini", {})[0]) == ["Table III: 5 rows; expected 6"]
