"""The measured tables in README.md, written between two markers and from nothing but results."""

import itertools
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from siamla.errors import UserError
from siamla.experiment.tables import Layout
from siamla.files import write_text
from siamla.report.measured import MISSING, places
from siamla.report.render import Table, markdown

BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"
TITLE = re.compile(r"^\*\*(Table \w+)\.\*\* (.*)$")
SHOWN = 4  # reasons that a refusal names


def numbers(layout: Layout, chosen: Iterable[int]) -> list[int]:
    """Which of a profile's tables README shows: the ablations."""
    return sorted(number for number in chosen if layout.tables[number].kind == "ablation")


def _parts(text: str) -> tuple[str, str, str]:
    """What stands before, between and after the markers; UserError unless each is there once, in
    this order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise UserError(f"README.md: expected {BEGIN} and {END} once each, in this order")
    before, _, rest = text.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before, inside, after


def _shown(tables: Sequence[Table], scores: pd.DataFrame) -> pd.DataFrame:
    """The scores that the tables are of."""
    variants = {variant for table in tables for variant in table.variants}
    benchmarks = {key.partition(".")[0] for table in tables for key in table.keys}
    return scores[scores["variant"].isin(variants) & scores["benchmark"].isin(benchmarks)]


def _uncommitted(folder: Path, excepted: str) -> list[str]:
    """Files that differ from the commit, or are neither tracked nor ignored; UserError outside
    git.
    """
    command = [
        "git",
        "-C",
        str(folder),
        "status",
        "--porcelain",
        "--untracked-files=all",
        "--no-renames",
        "-z",
    ]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command += ["--", ":(top)", f":(exclude){excepted}"]
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
    except OSError as error:
        raise UserError(
            f"git cannot be run ({error.strerror}); README is written from a clean tree alone"
        ) from None
    if done.returncode:
        raise UserError(f"{folder}: no git repository; README is written from a clean tree alone")
    return [os.fsdecode(entry[3:]) for entry in done.stdout.split(b"\0") if entry]


def _unfit(tables: Sequence[Table], scores: pd.DataFrame) -> list[str]:
    """Why the results cannot stand in README: what is not measured, and what no commit has the code
    of.
    """
    reasons = []
    for table in tables:
        for row in table.rows:
            reasons += (
                []
                if any(cell.seeds for cell in row)
                else [f"{table.name}: {row[0].text} not measured"]
            )
        reasons += [f"{table.name}: {gone} not measured" for gone in table.missing]
    names = ["benchmark", "variant", "seed"]
    unclean = scores[
        scores["git_dirty"].fillna(True) | scores["git_commit"].isna()
    ].drop_duplicates(names)
    for benchmark, variant, seed in unclean[names].itertuples(index=False):
        reasons.append(f"{variant}, seed {seed}, on {benchmark}: made with uncommitted changes")
    return reasons


def _head(
    profile: str, tables: Sequence[Table], scores: pd.DataFrame, sequences: pd.DataFrame
) -> str:
    """What the tables were made from, in a line."""
    commits = dict.fromkeys(
        commit[:12] for text in scores["git_commit"] for commit in str(text).split()
    )
    seeds = scores.groupby("variant", sort=False)["seed"].agg(
        lambda own: ", ".join(map(str, sorted(set(own))))
    )
    order = [variant for table in tables for variant in table.variants if variant in seeds]
    by_seeds: dict[str, dict[str, None]] = {}
    for variant in order:
        by_seeds.setdefault(seeds[variant], {})[variant] = None
    told = [f"{own} of {', '.join(variants)}" for own, variants in by_seeds.items()]
    counts = sequences.groupby("benchmark", sort=False)["sequence"].nunique()
    sentences = [
        f"Profile `{profile}`, commit {', '.join(commits)}",
        f"Trained on {'; '.join(sorted(set(places(scores, 'train_')) - {''}))}",
        f"Tracked on {'; '.join(sorted(set(places(scores)) - {''}))}",
        f"Seeds: {'; '.join(told)}",
        f"Sequences: {', '.join(f'{name} {count}' for name, count in counts.items())}",
    ]
    return ". ".join(sentences) + ". Written by `make readme`."


def write_readme(
    readme: Path,
    profile: str,
    tables: Sequence[Table],
    scores: pd.DataFrame,
    sequences: pd.DataFrame,
) -> None:
    """Write the tables, as siamla.report.tables.build made them of these frames, between README's
    markers.

    UserError, and nothing written, when the tree has uncommitted changes in another file, a row or
    a planned seed is not measured, or a result was made with uncommitted changes.
    """
    text = readme.read_text(encoding="utf-8")
    before, _, after = _parts(text)
    changed = _uncommitted(readme.resolve().parent, readme.name)
    scores, sequences = _shown(tables, scores), _shown(tables, sequences)
    reasons = [f"{name} has uncommitted changes" for name in changed] + _unfit(tables, scores)
    if reasons:
        more = f" (and {len(reasons) - SHOWN} more)" if len(reasons) > SHOWN else ""
        raise UserError(
            f"{readme}: not written: {'; '.join(reasons[:SHOWN])}{more}; commit, run the pipeline,"
            " and write it again"
        )
    head = _head(profile, tables, scores, sequences)
    inside = "\n".join([head + "\n", *(markdown(table) for table in tables)])
    write_text(readme, f"{before}{BEGIN}\n{inside}{END}{after}")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _read(text: str) -> dict[str, list[list[str]]]:
    """Name of each Markdown table → its title, caption, head and rows, as cells."""
    found: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in text.splitlines():
        if match := TITLE.match(line):
            current = found.setdefault(match[1], [[match[2]], []])
        elif line.startswith("|") and not line.startswith("|:--"):
            current.append(_cells(line))
        elif line.startswith("- ") and current and not current[1]:
            current[1] = [line.removeprefix("- ")]
    return found


def check_form(text: str, profile: str, tables: Sequence[Table]) -> list[str]:
    """Where README's tables differ in form from those that the settings would give now; empty when
    they do not.

    text: README's; tables: built from empty frames, so that a cell to be measured says so. Compared
    are the profile, which tables there are, titles, captions, heads, rows and every cell that is
    not measured, not the numbers.
    """
    try:
        _, inside, _ = _parts(text)
    except UserError as error:
        return [str(error)]
    wrong = []
    if not inside.lstrip().startswith(f"Profile `{profile}`"):
        wrong.append(f"the text between the markers does not begin with the profile {profile}")
    found, expected = _read(inside), _read("\n".join(markdown(table) for table in tables))
    if list(found) != list(expected):
        wrong.append(f"tables {', '.join(found)}; expected {', '.join(expected)}")
    for name in [name for name in expected if name in found]:
        ours, planned = found[name], expected[name]
        if len(ours) != len(planned):
            wrong.append(f"{name}: {len(ours) - 3} rows; expected {len(planned) - 3}")
            continue
        for line, wanted in zip(ours, planned, strict=True):
            same = [
                b if b == MISSING and a else a for a, b in itertools.zip_longest(line, wanted)
            ] == wanted
            wrong += [] if same else [f"{name}: {' | '.join(line)}; expected {' | '.join(wanted)}"]
    return wrong
