"""`siamla runs`: MLflow's view of the results."""

import argparse
from pathlib import Path

from siamla.cli.commands import Commands


def _init(args: argparse.Namespace) -> None:
    from siamla.files import write_json
    from siamla.mlflow_view.mirror import init_tracking, tracking_uri

    init_tracking(args.results, args.profile)
    if args.out:
        write_json(args.out, {"uri": tracking_uri(args.results), "experiment": f"siamla/{args.profile}"})
    print(f"MLflow is ready at {tracking_uri(args.results)}, experiment siamla/{args.profile}")


def _sync(args: argparse.Namespace) -> None:
    from siamla.mlflow_view.audit import sync_tracking

    audit = sync_tracking(args.results, args.profile, args.out)
    counts = f"{audit.parameters} parameters, {audit.epoch_values} epoch values and {audit.scores} scores"
    print(f"MLflow agrees with the files: {audit.runs} runs, {counts}; {audit.backfilled} entries were added now")


def _compare(args: argparse.Namespace) -> None:
    from siamla.mlflow_view.compare import compare_runs

    parameters, metrics = compare_runs(args.results, args.profile, args.a, args.b)
    print("No parameter differs." if parameters.empty else parameters.to_string(), end="\n\n")
    print(metrics.to_string(float_format=lambda value: f"{value:.4f}"))


def _ui(args: argparse.Namespace) -> None:
    import os
    import sys

    from siamla.errors import UserError
    from siamla.mlflow_view.mirror import tracking_uri

    uri = tracking_uri(args.results)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise UserError(f"{uri}: no runs yet; `make tables` makes them")
    command = ["mlflow", "ui", "--backend-store-uri", uri, "--port", str(args.port), "--workers", "1"]
    print(f"{' '.join(command)}\nopen http://localhost:{args.port} ; Ctrl-C ends it", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", *command])


def register(commands: Commands) -> None:
    """Add `runs init`, `runs sync`, `runs compare` and `runs ui`."""
    init = commands.add("runs init", _init, "Create MLflow's data base and experiment, before anything logs to it")
    init.add_argument("--out", type=Path, help="JSON file to write: where MLflow is")
    sync = commands.add("runs sync", _sync, "Bring MLflow up to date with the result files and check that both agree")
    sync.add_argument("--out", type=Path, required=True, help="tracking_audit.json to write")
    compare = commands.add("runs compare", _compare, "Parameters that differ between two variants, and their metrics")
    compare.add_argument("a", help="a variant")
    compare.add_argument("b", help="another variant")
    ui = commands.add("runs ui", _ui, "Open MLflow's web page on the runs")
    ui.add_argument("--port", type=int, default=5000)
    ui.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    for parser in (init, sync, compare):
        parser.add_argument("--profile", default="mini", help="default: mini")
        parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
