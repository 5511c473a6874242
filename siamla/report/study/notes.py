"""What a reader of the study has to know of seeds, sequences and what is missing."""

from collections.abc import Mapping

from siamla.report.study.claims import Claims
from siamla.report.study.grids import Grid, Measured

NAMED = 6  # sequences that a note lists


def _on_seeds(counts: Mapping[str, int]) -> list[str]:
    """counts: label of a variant → its seeds."""
    lines = []
    if single := [label for label, count in counts.items() if count == 1]:
        lines.append(
            f"One seed alone of {', '.join(single)}: another training would give another number,"
            " and how far it would lie away is not known; nothing about it is resolved."
        )
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{label} {count}" for label, count in counts.items())
        lines.append(
            f"The variants have different numbers of seeds ({told}); each counts with its own."
        )
    return lines


def _on_grid(grid: Grid, labels: Mapping[str, str], seeds: Mapping[str, set[int]]) -> list[str]:
    lines = []
    if grid.dropped:
        more = f" and {len(grid.dropped) - NAMED} more" if len(grid.dropped) > NAMED else ""
        lines.append(
            f"{', '.join(grid.dropped[:NAMED])}{more} left out of every row, since a variant or"
            " seed has no score of it."
        )
    for variant, own in grid.seeds.items():
        if lacking := sorted(seeds[variant] - set(own)):
            lines.append(
                f"{labels[variant]} has no seed {', '.join(map(str, lacking))} there; where"
                " benchmarks are taken together, it counts with the seeds that it has in all."
            )
    return lines


def _on_parts(measured: Measured, claims: Claims) -> list[str]:
    measures = (
        (measured.runs, "No score maps are stored (`maps:`", "confidence and IoU"),
        (measured.swept, f"No sweep of the {claims.swept} was run (`sweeps:`", "it"),
        (measured.crops, "Nothing was measured on crops (`alignment:`", "them"),
    )
    return [
        f"{said} of the profile): nothing is said of {what}."
        for results, said, what in measures
        if not results
    ]


def notes(measured: Measured, grids: Mapping[str, Grid], claims: Claims) -> list[str]:
    """Sentences. grids: benchmark → that of the headline."""
    labels = {name: str(info["label"]) for name, info in measured.variants.items()}
    seeds: dict[str, set[int]] = {}
    for score in measured.scores:
        if score.tracker in labels:
            seeds.setdefault(score.tracker, set()).add(score.seed)
    lines = _on_seeds({labels[name]: len(own) for name, own in seeds.items()})
    for name, info in measured.benchmarks.items():
        told = [f"no values by sequence of {info['headline']} in which higher is better; left out."]
        if name in grids:
            told = _on_grid(grids[name], labels, seeds)
        lines += [f"{info['label']}: {line}" for line in told]
    weights = [part.weights for claim in claims.claims for part in claim.parts]
    needed = dict.fromkeys(name for own in weights for name in own)
    if lacking := [name for name in needed if name not in seeds]:
        lines.append(f"Not measured, and claims about them not resolved: {', '.join(lacking)}.")
    return lines + _on_parts(measured, claims)
