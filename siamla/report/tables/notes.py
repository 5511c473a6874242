"""The legend of a table: data, how sure its differences are, and where its numbers come from."""

from collections.abc import Sequence

from siamla.report.collect import Score, origin
from siamla.report.differences import NOISE, UNTOLD
from siamla.report.drawing.style import span
from siamla.report.measured import BUSY, Cell, Measured, place_notes, places_told
from siamla.report.tables.job import Column

WITHIN_NOISE = (
    "the difference to {} is within noise: its 95 % interval covers 0 (a mixed model of sequences,"
    " in pairs, and seeds)"
)
NOT_CALLED = (
    "no difference to {} can be called: fewer than two seeds of either, or no values by sequence"
)


def _code_note(scores: Sequence[Score]) -> str:
    texts = set()
    for made in map(origin, scores):
        names = " and ".join(commit[:12] for commit in (made["git_commit"] or "").split())
        changed = " with uncommitted changes" if made["git_dirty"] else ""
        texts.add(f"commit {names}{changed}" if names else "outside git")
    return "Code: " + "; ".join(sorted(texts))


def _eao_note(scores: Sequence[Score]) -> str:
    """That a benchmark's sequences are too short for the window that its EAO is defined on."""
    frames = max(score.numbers.get("eao_short_frames", 0) for score in scores)
    if not frames:
        return ""
    return (
        "EAO: no sequence is long enough for the benchmark's window, so it is the mean of the"
        f" whole expected-overlap curve (frames 1 to {int(frames) - 1}) and comparable only"
        " within this table's measured rows"
    )


def _speed_note(scores: Sequence[Score], labels: dict[str, str], busy: bool) -> str:
    """Where speeds were measured, and what the machine did besides. labels: of those benchmarks."""
    rows = [score for score in scores if score.benchmark in labels]
    devices = places_told(rows)
    if not devices:
        return ""
    loads = [origin(score)["other_cores"] for score in rows if "fps" in score.numbers]
    parts = ["what else the machine did is not known of all"] if None in loads else []
    if busy:
        most = max(load for load in loads if load is not None)
        parts.append(
            f"{BUSY} beside other work, which kept up to {most:.1f} cores busy: lower than alone"
        )
    where = ", ".join(labels[name] for name in sorted(labels))
    load = "; " + "; ".join(parts) if parts else ", nothing else at work"
    return f"Measured speed: {'; '.join(devices)}, frames of {where}{load}"


def notes(
    measured: Measured, rows: Sequence[Sequence[Cell]], columns: Sequence[Column], baseline: str
) -> list[str]:
    """The lines of the legend. columns: what was measured; baseline: the label of the first row."""
    cells = [cell for row in rows for cell in row]
    counts = {len(cell.seeds) for cell in cells if cell.seeds}
    if not counts:
        return ["Nothing of this table was measured"]
    names = dict.fromkeys(column.benchmark for column in columns)
    labels = {n: measured.benchmarks[n]["label"] for n in names if n in measured.benchmarks}
    scores = [score for score in measured.scores if score.benchmark in labels]
    sequences = []
    for name, label in labels.items():
        own = [score.content["per_sequence"] for score in scores if score.benchmark == name]
        if every := set().union(*own):
            sequences.append(f"{label} {len(every)}")
    marks = {cell.mark for cell in cells}
    speeds = {column.benchmark for column in columns if column.metric == "fps"} & labels.keys()
    seeds = f"Mean ± sample standard deviation over {span(counts)} seeds"
    lines = [
        f"Sequences: {', '.join(sequences)}",
        "One seed each: another seed would give other numbers" if counts == {1} else seeds,
        f"{NOISE} {WITHIN_NOISE.format(baseline)}" if NOISE in marks else "",
        f"{UNTOLD} {NOT_CALLED.format(baseline)}" if UNTOLD in marks else "",
        _speed_note(scores, {name: labels[name] for name in speeds}, BUSY in marks),
        *place_notes(scores),
        _eao_note(scores),
        _code_note(scores),
    ]
    return [line for line in lines if line]
