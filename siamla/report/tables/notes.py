"""The legend of a table: data, how sure its differences are, and where its numbers come from."""

import pandas as pd

from siamla.report.differences import NOISE, UNTOLD
from siamla.report.drawing.style import span
from siamla.report.measured import BUSY, Measured, Table, places
from siamla.report.tables.job import Column

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
    rows = scores.drop_duplicates(folders)
    rows = rows[folders].assign(place=places(rows, prefix), seed="seed" + rows["seed"].astype(str))
    rows = rows[rows["place"] != ""]
    if rows["place"].nunique() < 2:
        return ""
    several = rows.groupby("variant")["place"].transform("nunique") > 1  # named by folder
    rows["name"] = rows[folders].agg("/".join, axis=1).where(several, rows["variant"])
    groups = rows.groupby("place", sort=True)["name"].unique()
    parts = [f"{place} ({', '.join(names)})" for place, names in groups.items()]
    return f"{what} on: {'; '.join(parts)}"


def _missing_note(measured: Measured, scores: pd.DataFrame) -> str:
    """Seeds that the settings ask for and that a benchmark of this table lacks."""
    missing = []
    for (variant, benchmark), part in scores.groupby(["variant", "benchmark"]):
        asked = measured.variants[str(variant)].get("seeds") or []
        if gone := sorted(set(asked) - set(part["seed"])):
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
    """Where speeds were measured, and what the machine did besides. labels: of those benchmarks."""
    rows = scores[scores["benchmark"].isin(labels)]
    devices = sorted(set(places(rows)) - {""})
    if not devices:
        return ""
    loads = rows.loc[rows["metric"] == "fps", "other_cores"]
    parts = ["what else the machine did is not known of all"] if loads.isna().any() else []
    if busy:
        parts.append(
            f"{BUSY} beside other work, which kept up to {loads.max():.1f} cores busy: lower than"
            " alone"
        )
    where = ", ".join(labels[name] for name in sorted(labels))
    load = "; " + "; ".join(parts) if parts else ", nothing else at work"
    return f"Measured speed: {'; '.join(devices)}, frames of {where}{load}"


def notes(measured: Measured, table: Table, columns: list[Column], baseline: str) -> list[str]:
    """The lines of the legend. columns: of the layout; baseline: the label of its first row."""
    cells = [cell for row in table.rows for cell in row]
    counts = {len(cell.seeds) for cell in cells if cell.seeds}
    if not counts:
        return ["Nothing of this table was measured"]
    named = [column.benchmark for column in columns]
    named += [key.partition(".")[0] for key in table.keys if "." in key]
    names = [name for name in dict.fromkeys(named) if name in measured.benchmarks]
    labels = {name: str(measured.benchmarks[name].get("label", name)) for name in names}
    every = measured.scores
    scores = every[every["benchmark"].isin(names) & every["variant"].isin(table.variants)]
    sizes = measured.sequences.groupby("benchmark")["sequence"].nunique()
    sequences = ", ".join(f"{labels[name]} {sizes[name]}" for name in names if name in sizes)
    marks = {cell.mark for cell in cells}
    speeds = {column.benchmark for column in columns if column.metric == "fps"} & set(names)
    seeds = f"Mean ± sample standard deviation over {span(counts)} seeds"
    lines = [
        f"Sequences: {sequences}",
        "One seed each: another seed would give other numbers" if counts == {1} else seeds,
        f"{NOISE} {WITHIN_NOISE.format(baseline)}" if NOISE in marks else "",
        f"{UNTOLD} {NOT_CALLED.format(baseline)}" if UNTOLD in marks else "",
        _speed_note(scores, {name: labels[name] for name in speeds}, BUSY in marks),
        _place_note(scores, "Trained", "train_"),
        _place_note(scores, "Tracked", ""),
        _eao_note(scores),
        _missing_note(measured, scores),
        _code_note(scores),
    ]
    return [line for line in lines if line]
