"""What a reader of the study has to know of seeds, sequences and what is missing."""

from collections.abc import Mapping

from siamla.report.study.claims import Claims
from siamla.report.study.grids import Grid, Measured

NAMED = 6  # sequences that a note lists


def _seeds(measured: Measured) -> dict[str, set[int]]:
    """Variant → the seeds that it has on any benchmark."""
    seeds: dict[str, set[int]] = {}
    for score in measured.scores:
        if score.tracker in measured.variants:
            seeds.setdefault(score.tracker, set()).add(score.seed)
    return seeds


def _on_seeds(labels: Mapping[str, str], counts: Mapping[str, int]) -> list[str]:
    notes = []
    if single := [labels[name] for name, count in counts.items() if count == 1]:
        notes.append(
            f"One seed alone of {', '.join(single)}: another training would give another number,"
            " and how far it would lie away is not known; nothing about it is resolved."
        )
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{labels[name]} {count}" for name, count in counts.items())
        notes.append(
            f"The variants have different numbers of seeds ({told}); each counts with its own."
        )
    return notes


def _on_grid(
    label: str, grid: Grid, labels: Mapping[str, str], seeds: Mapping[str, set[int]]
) -> list[str]:
    notes = []
    if grid.dropped:
        more = f" and {len(grid.dropped) - NAMED} more" if len(grid.dropped) > NAMED else ""
        notes.append(
            f"{label}: {', '.join(grid.dropped[:NAMED])}{more} left out of every row, since a"
            " variant or seed has no score of it."
        )
    for variant, own in grid.seeds.items():
        if lacking := sorted(seeds[variant] - set(own)):
            notes.append(
                f"{label}: {labels[variant]} has no seed {', '.join(map(str, lacking))} there;"
                " where benchmarks are taken together, it counts with the seeds that it has in all."
            )
    return notes


def notes(measured: Measured, grids: Mapping[str, Grid], claims: Claims) -> list[str]:
    """Sentences. grids: benchmark → that of the headline."""
    labels = {name: str(info["label"]) for name, info in measured.variants.items()}
    seeds = _seeds(measured)
    lines = _on_seeds(labels, {name: len(own) for name, own in seeds.items()})
    for name, grid in grids.items():
        lines += _on_grid(str(measured.benchmarks[name]["label"]), grid, labels, seeds)
    for name, info in measured.benchmarks.items():
        if name not in grids:
            lines.append(
                f"{info['label']}: no values by sequence of {info['headline']} in which higher is"
                " better; left out."
            )
    weights = [part.weights for claim in claims.claims for part in claim.parts]
    needed = dict.fromkeys(name for own in weights for name in own)
    if lacking := [name for name in needed if name not in seeds]:
        lines.append(f"Not measured, and claims about them not resolved: {', '.join(lacking)}.")
    if not measured.runs:
        lines.append(
            "No score maps are stored (`maps:` of the profile): nothing is said of confidence and"
            " IoU."
        )
    if not measured.swept:
        lines.append(
            f"No sweep of the {claims.swept} was run (`sweeps:` of the profile): nothing is said of"
            " it."
        )
    if not measured.crops:
        lines.append(
            "Nothing was measured on crops (`alignment:` of the profile): nothing is said of them."
        )
    return lines
