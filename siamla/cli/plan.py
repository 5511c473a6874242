"""`siamla plan`, `siamla config`: what would run and why, and a look at settings before."""

import argparse
import re
import sys
from pathlib import Path

from siamla.cli.options import Commands, add_profile, load_plan, number, positive
from siamla.errors import UserError


def run(args: argparse.Namespace) -> None:
    plan = load_plan(args)
    if args.gpu:
        from siamla.steps.costs import TFLOPS, Gpus, costs

        if args.job:
            raise UserError(f"--gpu: of all trainings of a profile; leave out {' '.join(args.job)}")
        print(costs(plan, Gpus(args.gpu, args.tflops or TFLOPS, args.gpus)))
        return
    if args.job == ["accept"]:
        from siamla.steps.accept import accept

        for line in accept(plan):
            stream = sys.stderr if line.startswith("not accepted") else sys.stdout
            print(line, file=stream, flush=True)
        return
    from siamla.steps.outlook import job_named, outlook, show_job

    print(show_job(plan, job_named(plan, args.job)) if args.job else outlook(plan))


def _check(args: argparse.Namespace) -> None:
    plan = load_plan(args)
    from siamla.report.views import view_mistakes  # needs packages: first, is there a project?
    from siamla.steps.check import check, check_job

    problems, warnings = check(plan)
    views = [line for line in view_mistakes(plan) if line not in problems]
    what = "cannot run yet"
    if not problems:
        what = "can run, but not make all of its figures and pages yet"
    # a pipeline tells a mistake in a view to who asks for that view
    (warnings if args.stamp else problems).extend(views)
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    if problems:
        lines = [f"profile {plan.name} {what}:", *(f"- {line}" for line in problems)]
        raise UserError("\n".join(lines))
    print(f"profile {plan.name} can run: nothing that it needs is missing")
    if args.stamp:
        from siamla.files import write_json

        job = check_job(plan)
        stamp = {"identity": job.identity.plain, "key": job.key, "made_from": {}}
        write_json(job.record_path, stamp | {"warnings": warnings})


def _verify(args: argparse.Namespace) -> None:
    from siamla.steps.perform import damaged
    from siamla.steps.report import verify_views

    plan = load_plan(args)
    problems, whole, missing = [], 0, 0
    for job in plan.jobs():
        record = job.record()
        if record is None:
            missing += 1
        elif problem := damaged(job, record):
            problems.append(f"- {problem}; delete {job.record_path}, or `{job.command}`")
        else:
            whole += 1
    changed, views = verify_views(plan)
    problems += [f"- {line}" for line in changed]
    said = f"profile {plan.name}: {whole} results and {views} tables, figures and other views"
    said += " are what their records say"
    said += f", {missing} results are not made yet" if missing else ""
    if problems:
        raise UserError("\n".join([f"{said}, {len(problems)} have changed:", *problems]))
    print(said)


def _show(args: argparse.Namespace) -> None:
    import yaml

    from siamla.experiment.spec import plain

    spec = plain(load_plan(args).spec(args.variant))
    print(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True), end="")


def _keys(args: argparse.Namespace) -> None:
    from siamla.experiment.spec import described_keys

    rows = [("key", "type", "default", "meaning"), *described_keys()]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    for key, kind, default, meaning in rows:
        print(f"{key:{wide[0]}}  {kind:{wide[1]}}  {default:{wide[2]}}  {meaning}".rstrip())


def _schema(args: argparse.Namespace) -> None:
    from siamla.steps.schema import write_schemas

    write_schemas(Path("workflow/schemas"))


def _memory(text: str) -> int:
    """Bytes of a size with its unit."""
    units = {"GiB": 2**30, "GB": 10**9, "MiB": 2**20}
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(GiB|GB|MiB)", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a size with its unit, like 24GiB")
    return int(float(found[1]) * units[found[2]])


def register(commands: Commands) -> None:
    text = "what would run, why, and how long it took before; one job; or accept"
    parser = commands.add("plan", run, text)
    text = (
        "none: all jobs. Words of one job (train siamla 1, predict otb100 siamla 1, score otb100"
        " siamla 1, curate otb100, table 3, study): its whole identity, and how the result that is"
        " there differs. `accept`: code changed and numbers did not: a few jobs of each kind are"
        " run again, bytes are compared, and the others taken over"
    )
    parser.add_argument("job", nargs="*", help=text)
    text = "what the trainings would cost on GPUs with so much memory each, like 24GiB"
    parser.add_argument("--gpu", type=_memory, metavar="SIZE", help=text)
    text = (
        "10^12 operations a second that such a GPU sustains in a training; default: 100, which is"
        " assumed"
    )
    parser.add_argument("--tflops", type=number(0.01, 1e5, "TFLOP/s"), help=text)
    parser.add_argument("--gpus", type=positive, default=1, help="that share each training")
    add_profile(parser)
    text = "compare every result and view of a profile with its record, file by file"
    add_profile(commands.add("verify", _verify, text))
    text = (
        "check a profile: settings, data, weights, device, engine, disk, views; everything that is"
        " wrong in one list"
    )
    parser = commands.add("config check", _check, text)
    text = "write results/PROFILE/check.json when the experiment can run"
    parser.add_argument("--stamp", action="store_true", help=text)
    add_profile(parser)
    parser = commands.add("config show", _show, "print a variant's resolved spec")
    parser.add_argument("variant")
    add_profile(parser)
    commands.add(
        "config keys", _keys, "list every key that a variant can set: type, default, meaning"
    )
    text = "write the JSON schemas that editors use: workflow/schemas/*.json"
    commands.add("config schema", _schema, text)
