"""The legend of a table: what its data are, how sure its differences, and where its numbers come
from.
"""

import pandas as pd

from siamla.report.measured import BUSY, NOISE, UNTOLD, Measured, places
from siamla.report.render import Table
from siamla.report.tables.layout import Column

WITHIN_NOISE = (
    "the difference to {} is within noise: its 95 % interval covers 0 (a mixed model of sequences,"
    " in pairs, and seeds)"
)
NOT_CALLED = (
    "no difference to {} can be called: fewer than two seeds of either, or no values by sequence"
)


def _code_note(scores: pd.DataFrame) -> str:
    texts = set()
    states = scores[["git_commit", "git_dirty"]].drop_duplicates()
    for commits, dirty in states.itertuples(index=False):
        if pd.isna(commits):
            texts.add("outside git")
            continue
        names = " and ".join(commit[:12] for commit in str(commits).split())
        changed = " with uncommitted changes" if not pd.isna(dirty) and dirty else ""
        texts.add(f"commit {names}{changed}")
    return "Code: " + "; ".join(sorted(texts))


def _place_note(scores: pd.DataFrame, what: str, prefix: str) -> str:
    """Which variants were trained or tracked where, if not all in the same way."""
    folders = ["variant", "seed"] if prefix else ["benchmark", "variant", "seed"]
    rows = scores.drop_duplicates(folders)[folders]
    seeds = "seed" + rows["seed"].astype(str)
    rows = rows.assign(place=places(scores.loc[rows.index], prefix), seed=seeds)
    rows = rows[rows["place"] != ""]
    if rows["place"].nunique() < 2:
        return ""
    several = rows.groupby("variant")["place"].nunique() > 1  # these are named by folder
    rows["name"] = [
        "/".join(row[name] for name in folders) if several[row["variant"]] else row["variant"]
        for row in rows.to_dict("records")
    ]
    groups = rows.groupby("place", sort=True)["name"].unique()
    parts = [f"{place} ({', '.join(names)})" for place, names in groups.items()]
    return f"{what} on: {'; '.join(parts)}"


def _seeds_note(table: Table) -> str:
    counts = sorted({len(cell.seeds) for row in table.rows for cell in row if cell.seeds})
    if counts == [1]:
        return "One seed each: another seed would give other numbers"
    numbers = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Mean ± sample standard deviation over {numbers} seeds"


def _missing_note(measured: Measured, scores: pd.DataFrame) -> str:
    """Seeds that the settings ask for and that a benchmark of this table lacks."""
    missing = []
    for (variant, benchmark), part in scores.groupby(["variant", "benchmark"]):
        gone = sorted(set(measured.seeds(str(variant))) - set(part["seed"]))
        if gone:
            missing.append(f"{variant} on {benchmark}, seed {', '.join(map(str, gone))}")
    return f"Not measured: {'; '.join(missing)}" if missing else ""


def _eao_note(scores: pd.DataFrame) -> str:
    """That a benchmark's sequences are too short for the window that its EAO is defined on."""
    frames = scores.loc[scores["metric"] == "eao_short_frames", "value"]
    if frames.empty:
        return ""
    return (
        "EAO: no sequence is long enough for the benchmark's window, so it is the mean of the"
        f" whole expected-overlap curve (frames 1 to {int(frames.max()) - 1}) and comparable only"
        " within this table's measured rows"
    )


def _speed_note(scores: pd.DataFrame, labels: dict[str, str], busy: bool) -> str:
    """Where speeds were measured, and what the machine did besides. labels: benchmark → its label,
    of those with a speed. busy: whether a speed is marked.
    """
    rows = scores[scores["benchmark"].isin(labels)]
    devices = sorted(set(places(rows)) - {""})
    if not devices:
        return ""
    loads = rows.loc[rows["metric"] == "fps", "other_cores"]
    told = ["what else the machine did is not known of all"] if loads.isna().any() else []
    if busy:
        told.append(
            f"{BUSY} beside other work, which kept up to {loads.max():.1f} cores busy: lower than"
            " alone"
        )
    where = ", ".join(labels[name] for name in sorted(labels))
    load = "; " + "; ".join(told) if told else ", nothing else at work"
    return f"Measured speed: {'; '.join(devices)}, frames of {where}{load}"


def notes(measured: Measured, table: Table, columns: list[Column], baseline: str) -> list[str]:
    """The lines of the legend. columns: of the layout; baseline: the label of its first row."""
    named = [column.benchmark for column in columns]
    named += [key.partition(".")[0] for key in table.keys if "." in key]
    names = [name for name in dict.fromkeys(named) if name in measured.benchmarks]
    labels = {name: str(measured.benchmarks[name].get("label", name)) for name in names}
    every = measured.scores
    scores = every[every["benchmark"].isin(names) & every["variant"].isin(table.variants)]
    if not any(cell.seeds for row in table.rows for cell in row):
        return ["Nothing of this table was measured"]
    counts = {label: measured.sequence_count(name) for name, label in labels.items()}
    sequences = [f"{label} {count}" for label, count in counts.items() if count]
    marks = {cell.mark for row in table.rows for cell in row}
    speeds = {column.benchmark for column in columns if column.metric == "fps"} & set(names)
    timed = {name: labels[name] for name in speeds}
    lines = [
        f"Sequences: {', '.join(sequences)}",
        _seeds_note(table),
        f"{NOISE} {WITHIN_NOISE.format(baseline)}" if NOISE in marks else "",
        f"{UNTOLD} {NOT_CALLED.format(baseline)}" if UNTOLD in marks else "",
        _speed_note(scores, timed, BUSY in marks),
        _place_note(scores, "Trained", "train_"),
        _place_note(scores, "Tracked", ""),
        _eao_note(scores),
        _missing_note(measured, scores),
        _code_note(scores),
    ]
    return [line for line in lines if line]
