"""Where a finished pipeline's time went: python benchmarks/pipeline_time.py --profile mini --cores
2

For each step the time at work (its record), the time of its commands (Snakemake's timings) and what
lies between: the start of Python, imports, the plan, the check of what is there. Below it the wall
time from the first job's begin to the last one's end, how many cores had a job on average, and the
critical path: the chain of jobs that would take longest with any number of cores.
"""

import argparse
import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from siamla.experiment.plan import Job, Plan

RULES = {
    "fetch": "fetch_dataset/{dataset}",
    "curate": "curate_dataset/{dataset}",
    "crops": "build_crops/{folder.parent.name}/{folder.name}",
    "features": "compute_features/{folder.name}",
    "train": "train/{variant}/seed{seed}",
    "predict": "predict/{benchmark}/{variant}/seed{seed}",
    "score": "score/{benchmark}/{variant}/seed{seed}",
}
PARALLEL = ("fetch", "crops", "features")  # rules with more than one thread


def command_seconds(job: Job) -> float:
    """How long the job's command took, by Snakemake."""
    name = RULES[job.step].format(folder=job.folder, **job.names)
    with Path("results", str(job.names["profile"]), "timings", f"{name}.tsv").open(
        newline=""
    ) as handle:
        return float(next(csv.DictReader(handle, delimiter="\t"))["s"])


def work(job: Job) -> tuple[float, float]:
    """When the job's work began (seconds since the epoch) and how long it took, by its record."""
    record = job.record()
    if record is None:
        raise SystemExit(f"{job.record_path}: not found; the pipeline has not ended")
    return datetime.fromisoformat(record["started"]).timestamp(), float(record["seconds"])


def needed(jobs: Iterable[Job]) -> list[Job]:
    """These jobs and all that they are made from, parents first."""
    found: dict[Path, Job] = {}
    for job in jobs:
        found |= {parent.folder: parent for parent in needed(job.parents.values())} | {
            job.folder: job
        }
    return list(found.values())


def longest(jobs: Iterable[Job], seconds: dict[Path, float]) -> tuple[float, list[Job]]:
    """The chain of jobs, each made from the one before, that takes longest."""
    chains: dict[Path, tuple[float, list[Job]]] = {}
    for job in jobs:
        before = max(
            (chains[parent.folder] for parent in job.parents.values()),
            key=lambda c: c[0],
            default=(0.0, []),
        )
        chains[job.folder] = before[0] + seconds[job.folder], [*before[1], job]
    return max(chains.values(), key=lambda chain: chain[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="mini")
    parser.add_argument("--cores", type=int, required=True, help="that the pipeline was given")
    args = parser.parse_args()
    plan = Plan.load(args.profile)
    jobs = needed(job for job in plan.scores() if "tracker" not in job.names)
    commands, works = (
        {job.folder: command_seconds(job) for job in jobs},
        {job.folder: work(job) for job in jobs},
    )
    print(f"{'step':10}{'jobs':>5}{'at work':>10}{'commands':>10}{'around it, a job':>18}")
    for step in RULES:
        folders = [job.folder for job in jobs if job.step == step]
        at_work, whole = sum(works[f][1] for f in folders), sum(commands[f] for f in folders)
        around = (whole - at_work) / max(1, len(folders))
        print(f"{step:10}{len(folders):5}{at_work:8.1f} s{whole:8.1f} s{around:16.2f} s")
    begin, end = (
        min(start for start, _ in works.values()),
        max(sum(each) for each in works.values()),
    )
    busy = sum(commands[job.folder] * (args.cores if job.step in PARALLEL else 1) for job in jobs)
    print(
        f"\nwall time {end - begin:.0f} s, with a job on {busy / (end - begin):.2f} of {args.cores}"
        " cores"
    )
    length, chain = longest(jobs, commands)
    print(
        f"critical path {length:.0f} s: "
        + " → ".join(f"{job.title} {commands[job.folder]:.0f} s" for job in chain)
    )


if __name__ == "__main__":
    main()
