"""Comparing two variants by their score files."""

from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.experiment.spec import plain
from siamla.provenance.record import flat
from siamla.report.differences import NOISE, UNTOLD, benchmark_lines, settings_lines
from siamla.report.drawing.jobs import benchmarks
from siamla.report.tables.notes import NOT_CALLED, WITHIN_NOISE
from siamla.steps.report import gather


def compare(plan: Plan, a: str, b: str) -> str:
    """Two variants as text, b less a; UserError for an unknown one and a missing score."""
    for name in (a, b):
        if name in plan.profile.imported:
            raise UserError(f"{name}: imported results have no settings and seeds to compare")
    specs = [flat(plain(plan.spec(name))) for name in (a, b)]
    labels = (a, b)
    parts = [settings_lines(labels, *specs)]
    shared = [name for name in plan.profile.benchmarks if {a, b} <= set(plan.experiment.runs(name))]
    if not shared:
        raise UserError(f"{a} and {b} run on no benchmark of profile {plan.name} together")
    for name in shared:
        scores = gather(
            plan.job("score", benchmark=name, variant=variant, seed=seed)
            for variant in dict.fromkeys(labels)
            for seed in plan.experiment.seeds(plan.experiment.model(variant, name))
        )
        before, after = (
            [score.content for score in scores if score.tracker == variant] for variant in labels
        )
        if not before[0]["overall"] or not after[0]["overall"]:
            parts.append([f"{name}: its truth is withheld"])
            continue
        parts.append(benchmark_lines(benchmarks(plan)[name], labels, before, after))
    parts.append(
        [
            f"difference: {b} less {a}",
            f"{NOISE} {WITHIN_NOISE.format(a)}",
            f"{UNTOLD} {NOT_CALLED.format(a)}",
        ]
    )
    return "\n\n".join("\n".join(lines) for lines in parts)
