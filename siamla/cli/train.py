"""siamla train: features of the frozen backbone, and one variant's training."""

import argparse
import json
from pathlib import Path
from typing import Any

from siamla.cli.commands import Commands

HISTORY = ("epoch", "step", "lr", "total", "cls", "reg", "loc", "skipped", "seconds")


def _spec(text: str) -> Any:
    from siamla.errors import UserError
    from siamla.experiment.spec import Spec
    from siamla.settings import validate

    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--spec: not valid JSON ({error})") from None
    return validate(Spec, value, "--spec")


def _features(args: argparse.Namespace) -> None:
    from siamla.provenance.code import code_digest
    from siamla.training.features import build

    spec = _spec(args.spec)
    code = code_digest("siamla.training.features")
    build(args.crops, spec.pairs, spec.model, spec.training.precision, args.out, args.jobs, code)


def _run(args: argparse.Namespace) -> None:
    import os
    import time

    import torch

    from siamla.data.crops import CropCache
    from siamla.data.pairs import PairSampler
    from siamla.experiment.spec import training_part
    from siamla.files import digest, locked, read_json, sha256, write_csv, write_json
    from siamla.mlflow_view.mirror import LiveMirror, mirror_training
    from siamla.model.checkpoint import save_model
    from siamla.provenance.code import code_digest
    from siamla.provenance.record import run_record
    from siamla.training.features import FeatureCache
    from siamla.training.loop import Recipe, Source, train

    spec = _spec(args.spec)
    torch.set_num_threads(args.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a workspace
    torch.use_deterministic_algorithms(True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    code = code_digest("siamla.training.loop")
    data = digest([read_json(args.crops / "manifest.json")])
    part = training_part(spec)
    key = digest([part, args.seed, code, data, args.threads, str(device)])
    features = FeatureCache(args.features) if args.features else None
    sampler = PairSampler(CropCache(args.crops), spec.pairs)
    source = Source(sampler, spec.pairs.count, features, workers=0 if features else max(0, args.threads - 1))
    recipe = Recipe(spec.model, spec.labels, spec.loss, spec.training, args.seed)
    record = run_record(
        kind="train", profile=args.profile, variant=args.variant, seed=args.seed, benchmark=None, spec=part,
        spec_digest=digest(part), code_digest=code, data_digest=data, device=str(device), threads=args.threads,
        started=time.time(), seconds=0.0,
    )  # fmt: skip
    mirror = LiveMirror(args.results, record)
    state = args.state / key / "state.pt"
    with locked(state.parent / "lock"):
        model, history = train(recipe, source, state, key, device, mirror.epoch)
    save_model(args.out / "model.pt", model.to("cpu"))
    write_csv(args.out / "history.csv", HISTORY, history)
    write_json(args.out / "spec.json", part)
    record |= {
        "seconds": round(sum(row["seconds"] for row in history), 3),
        "model_sha256": sha256(args.out / "model.pt"),
    }
    write_json(args.out / "run.json", record)
    mirror_training(args.out, args.results)


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    parser = commands.add("train features", _features, "compute the frozen backbone's features of all training pairs")
    parser.add_argument("--crops", type=Path, required=True, help="crop cache of the training set")
    parser.add_argument("--spec", required=True, help="resolved spec as JSON")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser = commands.add("train run", _run, "train one variant with one seed; killed, the same command resumes")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--spec", required=True, help="resolved spec as JSON")
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--features", type=Path, help="feature cache, for the epochs with a frozen backbone")
    parser.add_argument("--state", type=Path, required=True, help="folder for the resumable state")
    parser.add_argument("--results", type=Path, required=True, help="folder with the MLflow database")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
