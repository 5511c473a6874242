"""siamla benchmark: track the sequences of a benchmark, and score what was stored."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from siamla.cli.commands import Commands


def _json(text: str, option: str) -> Any:
    from siamla.errors import UserError

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{option}: not valid JSON ({error})") from None


def _predict(args: argparse.Namespace) -> None:
    import time

    import cv2
    import torch

    from siamla.benchmark.protocols import Protocol
    from siamla.benchmark.runner import run
    from siamla.data.curate import load_curated
    from siamla.files import claim, digest, locked, read_json, sha256, write_json
    from siamla.provenance.code import code_digest
    from siamla.provenance.record import run_record
    from siamla.settings import validate
    from siamla.tracker.settings import TrackerSettings
    from siamla.tracker.tracker import load_tracker

    settings = validate(TrackerSettings, _json(args.tracker, "--tracker"), "--tracker")
    protocol = validate(Protocol, _json(args.protocol, "--protocol"), "--protocol")
    sequences = load_curated(args.curated)
    model_sha256 = sha256(args.model)
    code = code_digest("siamla.benchmark.runner", "siamla.tracker.tracker")
    data = digest(read_json(args.curated / "report.json"))
    tracker = settings.model_dump(mode="json")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    record = run_record(
        kind="predict", profile=args.profile, variant=args.variant, seed=args.seed, benchmark=args.benchmark,
        spec=tracker, spec_digest=digest(tracker), code_digest=code, data_digest=data, device=str(_device()),
        threads=1, started=time.time(), seconds=0.0, model_sha256=model_sha256, workers=args.workers,
    )  # fmt: skip
    started = time.monotonic()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with locked(args.out.with_name(f".{args.out.name}.lock")):
        claim(args.out, digest([model_sha256, code, data, tracker, args.protocol]))
        make = partial(load_tracker, args.model, settings)
        run(make, sequences, args.out, protocol, args.workers, args.benchmark)
        write_json(args.out / "run.json", record | {"seconds": round(time.monotonic() - started, 3)})


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _score(args: argparse.Namespace) -> None:
    from siamla.benchmark.protocols import Protocol
    from siamla.benchmark.score import score
    from siamla.benchmark.speed import speed
    from siamla.data.curate import load_curated
    from siamla.files import write_json
    from siamla.provenance.code import code_digest
    from siamla.provenance.record import read_record
    from siamla.settings import validate

    protocol = validate(Protocol, _json(args.protocol, "--protocol"), "--protocol")
    sequences = load_curated(args.curated)
    record = read_record(args.predictions / "run.json")
    scores = score(sequences, args.predictions, protocol)
    timing = speed(args.predictions, sequences, protocol)
    training = read_record(args.train)
    by_name = {row["sequence"]: {k: v for k, v in row.items() if k != "sequence"} for row in scores.per_sequence}
    write_json(
        args.out,
        {
            "record": record | {"kind": "score", "train_spec_digest": training["spec_digest"],
                                "score_code_digest": code_digest("siamla.benchmark.score")},
            "overall": scores.overall,
            "per_sequence": by_name,
            "per_attribute": scores.per_attribute,
            "speed": timing | {"threads": record["threads"], "device": record["device"]},
        },
    )  # fmt: skip


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    parser = commands.add("benchmark predict", _predict, "track a benchmark's sequences; killed, it goes on")
    for name in ("profile", "benchmark", "variant"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--curated", type=Path, required=True)
    parser.add_argument("--tracker", required=True, help="tracker settings as JSON")
    parser.add_argument("--protocol", required=True, help="the benchmark's protocol as JSON")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser = commands.add("benchmark score", _score, "score stored predictions")
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True, help="run.json of the training")
    parser.add_argument("--curated", type=Path, required=True)
    parser.add_argument("--protocol", required=True, help="the benchmark's protocol as JSON")
    parser.add_argument("--out", type=Path, required=True)
