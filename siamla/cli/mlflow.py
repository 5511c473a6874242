"""`siamla mlflow`: MLflow's view of the results."""

import argparse
import os
import sys
from pathlib import Path

from siamla.cli.options import Commands, add_profile, whole

RESULTS = Path("results")


def _sync(args: argparse.Namespace) -> None:
    from siamla.mlflow_sink.sink import sync

    runs, changed = sync(RESULTS, args.profile)
    print(
        f"MLflow shows all of {args.profile}: {runs} runs, {changed} of them made or completed now"
    )


def _ui(args: argparse.Namespace) -> None:
    """Become MLflow's own server: it ends as it does by itself, by Ctrl-C for one."""
    from siamla.errors import UserError
    from siamla.mlflow_sink.sink import DATABASE, address_of, without_password

    address = address_of(RESULTS)
    if address.startswith("http"):
        page = without_password(address)
        raise UserError(f"MLFLOW_TRACKING_URI is a server, whose page is {page}")
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (RESULTS / DATABASE).exists():
        raise UserError(
            f"{RESULTS / DATABASE}: no runs yet; `make tables` makes results and shows them, and"
            " `siamla mlflow sync --profile NAME` those that are there"
        )
    page = f"http://localhost:{args.port}/#/experiments"
    print(f"MLflow shows {without_password(address)} at {page}", flush=True)
    print('choose "Model training" at the top left of the page; Ctrl-C ends it', flush=True)
    # the address is no argument, which others could read: it may hold a password
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    environment["MLFLOW_BACKEND_STORE_URI"] = address
    options = ["--host", "127.0.0.1", "--port", str(args.port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "server", *options]
    os.execve(sys.executable, command, environment)


def register(commands: Commands) -> None:
    """Add `mlflow sync` and `mlflow ui`."""
    add_profile(commands.add("mlflow sync", _sync, "Let MLflow show what the result files hold"))
    ui = commands.add("mlflow ui", _ui, "Open MLflow's web page on the runs")
    ui.add_argument("--port", type=whole(1, 65535), default=5000, help="default: 5000")
