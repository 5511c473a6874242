"""The commands of the steps of the experiment: one for each entry of the table of steps."""

import argparse
from functools import partial
from typing import Any

from siamla.cli.options import Commands, add_job, load_plan, positive, seed
from siamla.errors import UserError
from siamla.experiment.step import Step
from siamla.experiment.steps import STEPS

NAMES = {
    "dataset": "a training set or benchmark of the profile",
    "benchmark": "a benchmark of the profile",
    "variant": "a variant of the profile",
    "tracker": "a tracker that the profile names under `imported`",
}
POINT = "a point of a sweep of the profile as SWEEP=VALUE, such as window=0.2"


def names_of(step: Step, args: argparse.Namespace) -> dict[str, Any]:
    """The names of a job that somebody gave."""
    given = {name: getattr(args, name, None) for name in step.names}
    if point := getattr(args, "sweep", None):
        sweep, _, value = point.partition("=")
        if not value:
            raise UserError(f"--sweep: {point!r}, expected SWEEP=VALUE, such as window=0.2")
        given |= {"sweep": sweep, "value": value}
    return {name: value for name, value in given.items() if value is not None}


def run(steps: list[Step], args: argparse.Namespace) -> None:
    """Do one job, or several that share their names, and say where each result is."""
    from importlib import import_module

    from siamla.steps.perform import Means, perform

    plan, swept = load_plan(args), bool(getattr(args, "sweep", None))
    step = next(step for step in steps if ("sweep" in step.names) == swept)
    means = Means(args.cores, allow_rejected=getattr(args, "allow_rejected", False))
    summary = getattr(import_module(f"siamla.steps.{step.result}"), "summary", None)
    for names in step.each(plan, names_of(step, args)):
        job = plan.job(step.name, **names)
        perform(plan, job, args.key, means)
        print(summary(plan, job) if summary else job.folder)


def add_names(parser: argparse.ArgumentParser, steps: list[Step]) -> None:
    """The arguments and options that name a job."""
    step = steps[0]
    for name in step.names:
        if name == "seed":
            parser.add_argument("--seed", type=seed, default=1)
        elif name in step.optional:
            parser.add_argument(f"--{name}", help=f"{NAMES[name]}, where there are several")
        elif name in NAMES:
            parser.add_argument(name, help=NAMES[name])
    if any("sweep" in step.names for step in steps):
        parser.add_argument("--sweep", help=POINT)


def by_command() -> dict[str, list[Step]]:
    """The words of each command → the entries that share it, the plain one first."""
    commands: dict[str, list[Step]] = {}
    for step in STEPS.values():
        commands.setdefault(step.command, []).append(step)
    return commands


def register(commands: Commands) -> None:
    for words, steps in by_command().items():
        if words == STEPS["train"].command:
            continue
        parser = commands.add(words, partial(run, steps), steps[0].help)
        add_names(parser, steps)
        text = "processes; they change nothing"
        parser.add_argument("--cores", "--jobs", "--workers", type=positive, default=1, help=text)
        if steps[0].name == "curate":
            text = "leave broken sequences out instead of stopping"
            parser.add_argument("--allow-rejected", action="store_true", help=text)
        add_job(parser)
