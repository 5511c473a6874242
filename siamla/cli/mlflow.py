"""`siamla mlflow`: MLflow's view of the results."""

import argparse
import re
import sys
from pathlib import Path

from siamla.cli.commands import Commands
from siamla.cli.options import port


def _name(text: str) -> str:
    """A profile's name: it becomes a folder."""
    from siamla.settings import NAME

    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected a name of lower-case letters, digits and _"
        )
    return text


def _sync(args: argparse.Namespace) -> None:
    from siamla.mlflow_view.sync import sync

    audit = sync(args.results, args.profile, args.results / args.profile / "mlflow_audit.json")
    for title in audit.ended:
        print(f"killed before it ended, and marked so: {title}")
    for change in audit.remade:
        print(f"made again from the files: {change}")
    counts = (
        f"{audit.parameters} parameters, {audit.epoch_values} epoch values and {audit.scores}"
        " scores"
    )
    whole = "all of" if audit.complete else "a part of"
    print(
        f"MLflow shows {whole} {args.profile}: {audit.runs} runs, {counts}; {audit.added} values"
        " were added now"
    )


def _compare(args: argparse.Namespace) -> None:
    from siamla.mlflow_view.compare import compare_runs

    parameters, metrics = compare_runs(args.results, args.profile, args.a, args.b)
    print("No parameter differs." if parameters.empty else parameters.to_string(), end="\n\n")
    print(metrics.to_string(float_format=lambda value: f"{value:.4f}"))


def _ui(args: argparse.Namespace) -> None:
    from siamla.errors import UserError
    from siamla.mlflow_view.database import NAME, prepare, private
    from siamla.mlflow_view.page import addresses
    from siamla.mlflow_view.server import check_port, serve
    from siamla.mlflow_view.view import is_own, open_client, quieten, shown, uri

    quieten()
    store = uri(args.results)
    if store.startswith("http"):
        raise UserError(f"MLFLOW_TRACKING_URI is a server, whose page is {shown(store)}")
    check_port(args.port)
    if is_own(store, args.results):
        if not (args.results / NAME).exists():
            raise UserError(
                f"{args.results / NAME}: no runs yet; `make tables` makes results and shows them,"
                " and `siamla mlflow sync --profile NAME` those that are there"
            )
        prepare(args.results)
    pages = addresses(open_client(store))

    def ready(address: str) -> None:
        print(f"MLflow shows {shown(store)}; Ctrl-C ends it")
        for profile, what, page in pages:
            print(f"{profile}  {what}:\n    {address}{page}")
        sys.stdout.flush()

    private(args.results).mkdir(parents=True, exist_ok=True)
    serve(store, args.port, private(args.results) / "server.log", ready)


def register(commands: Commands) -> None:
    """Add `mlflow sync`, `mlflow compare` and `mlflow ui`."""
    sync = commands.add(
        "mlflow sync",
        _sync,
        "Let MLflow show what the result files hold; without MLflow, only a warning",
    )
    compare = commands.add(
        "mlflow compare", _compare, "Parameters that differ between two variants, and their metrics"
    )
    compare.add_argument("a", help="a variant")
    compare.add_argument("b", help="another variant")
    ui = commands.add("mlflow ui", _ui, "Open MLflow's web page on the runs")
    ui.add_argument("--port", type=port, default=5000, help="default: 5000")
    for parser in (sync, compare):
        parser.add_argument("--profile", type=_name, default="mini", help="default: mini")
    for parser in (sync, compare, ui):
        parser.add_argument(
            "--results", type=Path, default=Path("results"), help="default: results"
        )
