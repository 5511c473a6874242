"""The model that ships with siamla: a trained one exported into the package, with its card."""

import shutil
from pathlib import Path

from siamla.engine.export import export
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.model.checkpoint import read_model
from siamla.report.differences import OVERALL, members, parts
from siamla.settings import nearest
from siamla.statistics import mean_effect
from siamla.steps.perform import planned, sound
from siamla.steps.publish import NAME
from siamla.steps.report import gather
from siamla.tracker.api import RELEASED
from siamla.tracker.settings import exported

CARD = Path(__file__).with_name("card.md")


def _row(plan: Plan, benchmark: str, variant: str, seed: int) -> str:
    """The row of one benchmark; UserError where a score is missing or of another plan."""
    others = [number for number in plan.experiment.seeds(variant) if number != seed]
    jobs = [
        plan.job("score", benchmark=benchmark, variant=variant, seed=number)
        for number in (seed, *others)
    ]
    contents = list(gather(jobs).values())
    rules = plan.experiment.protocol(benchmark)
    metric = rules.metrics[rules.headline]
    names = members(contents, OVERALL)
    cells = []
    for group in (contents[:1], contents):
        values = {variant: parts(group, names, rules.headline)}
        effect = mean_effect(values, {variant: 1.0}, one_seed=True)
        value, low, high = (
            f"{number:.{metric.digits}f}" for number in (effect.value, effect.low, effect.high)
        )
        cells.append(f"{value} [{low}, {high}]")
    label = plan.profile.benchmarks[benchmark].label or benchmark
    return f"| {label} | {metric.label} | {cells[0]} | {cells[1]} | {len(names)} |"


def best(name: str, benchmark: str) -> str:
    """PROFILE/VARIANT with the seed of its trainings that scores best on a benchmark, on which a
    choice may be made: PROFILE/VARIANT/seedN. UserError where a score is missing.
    """
    profile, _, variant = name.partition("/")
    plan = Plan.load(profile)
    if variant not in plan.variants:
        raise UserError(
            f"{name!r}: no variant of profile {profile}; {nearest(variant, plan.variants)}"
        )
    if benchmark not in plan.profile.benchmarks:
        near = nearest(benchmark, [*plan.profile.benchmarks])
        raise UserError(f"--by {benchmark}: no benchmark of profile {profile}; {near}")
    jobs = {}
    for seed in plan.experiment.seeds(variant):
        jobs[seed] = plan.job("score", benchmark=benchmark, variant=variant, seed=seed)
    contents = gather(jobs.values())
    metric = plan.experiment.protocol(benchmark).headline
    values = {seed: contents[job.folder]["overall"][metric] for seed, job in jobs.items()}
    return f"{name}/seed{max(values, key=values.__getitem__)}"


def release(name: str, by: str | None = None, out: Path = RELEASED) -> Path:
    """Export a trained model into the package, in place of the one there; its card.

    Args:
        name: PROFILE/VARIANT/seedN of a training whose benchmarks are scored, or PROFILE/VARIANT
            with `by`.
        by: the benchmark whose score chooses the seed, as `best` does.
        out: the folder, README.md in which is the card.

    Raises:
        UserError: a result is missing or not the plan's, or onnx is not installed; the folder stays
            as it was.
    """
    name = best(name, by) if by else name
    matched = NAME.fullmatch(name)
    if matched is None:
        raise UserError(f"{name!r}: expected PROFILE/VARIANT/seedN, such as release/siamla/seed1")
    profile, variant, seed = matched["profile"], matched["variant"], int(matched["seed"][4:])
    plan = Plan.load(profile)
    job = plan.job("train", variant=variant, seed=seed)
    record = planned(job)
    file = read_model(sound(job) / "model.pt")
    plain = exported(plan.spec(variant).tracker)
    scores = [
        _row(plan, benchmark, variant, seed)
        for benchmark in plan.profile.benchmarks
        if variant in plan.experiment.runs(benchmark)
    ]
    why = f"Of all trainings this one is the best on `{by}`, which flatters it there. "
    card = CARD.read_text(encoding="utf-8").format(
        label=file.label,
        name=name,
        profile=profile,
        seed=seed,
        commit=(record["environment"].get("git_commit") or "unknown")[:12],
        key=job.key,
        digest=file.digest[:16],
        parameters=sum(values.numel() for values in file.model.parameters()) / 1e6,
        training=", ".join(plan.profile.train),
        settings=", ".join(f"{key} {value}" for key, value in plain.items()),
        seeds=len(plan.experiment.seeds(variant)),
        scores="\n".join(scores),
        chosen=why if by else "",
    )
    made = out.with_name(f"{out.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    try:
        export(file.model, made, "onnx", {"label": file.label, "tracker": plain}, half=True)
        (made / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        made.replace(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return out / "README.md"
