"""`siamla results`: raw results in, submissions out."""

import argparse
import sys
from pathlib import Path

from siamla.cli.commands import Commands


def _names(root: Path | None, layout: str) -> list[str]:
    from siamla.data.formats import LAYOUTS

    return LAYOUTS[layout].names(root) if root else []


def run_import(args: argparse.Namespace) -> None:
    """Copy raw results into <out>/<name>."""
    from siamla.benchmark.importing import import_results
    from siamla.benchmark.protocols import default_protocols, load_protocols
    from siamla.errors import UserError

    protocols = load_protocols(args.protocols) if args.protocols else default_protocols()
    if args.benchmark not in protocols:
        raise UserError(f"--benchmark {args.benchmark}: unknown, expected one of {', '.join(protocols)}")
    if Path(args.name).name != args.name or args.name.startswith("."):
        raise UserError(f"--as {args.name}: expected a plain name")
    layout = protocols[args.benchmark].layout
    known = _names(args.data, layout)
    found = import_results(args.source, args.out / args.name, layout, known)
    missing = sorted(set(known) - set(found))
    if missing:
        print(f"warning: {len(missing)} sequences of {args.data} have no result, first {missing[0]}", file=sys.stderr)
    print(f"{args.out / args.name}: {len(found)} sequences of {args.benchmark}")


def run_score(args: argparse.Namespace) -> None:
    """Score imported predictions; the score file is like ours, without the digests of a training."""
    import json
    import time

    from siamla.benchmark.protocols import Protocol
    from siamla.benchmark.score import score
    from siamla.benchmark.speed import speed
    from siamla.benchmark.store import time_path
    from siamla.data.curate import load_curated
    from siamla.errors import UserError
    from siamla.files import digest, read_json, write_json
    from siamla.provenance.code import code_digest
    from siamla.provenance.record import run_record
    from siamla.settings import validate

    try:
        protocol = validate(Protocol, json.loads(args.protocol), "--protocol")
    except json.JSONDecodeError as error:
        raise UserError(f"--protocol: not valid JSON ({error})") from None
    started, sequences, code = time.time(), load_curated(args.curated), code_digest("siamla.benchmark.score")
    scores = score(sequences, args.predictions, protocol)
    timed = all(time_path(args.predictions, sequence.name, protocol.layout).is_file() for sequence in sequences)
    record = run_record(
        kind="score", profile=args.profile, variant=args.name, seed=0, benchmark=args.benchmark,
        spec={}, spec_digest="imported", code_digest=code, data_digest=digest(read_json(args.curated / "report.json")),
        device="", threads=0, started=started, seconds=time.time() - started,
    )  # fmt: skip
    write_json(
        args.out,
        {
            "record": record | {"device": None, "threads": None},  # where it ran is not ours to say
            "overall": scores.overall,
            "per_sequence": {row.pop("sequence"): row for row in scores.per_sequence},
            "per_attribute": scores.per_attribute,
            "speed": speed(args.predictions, sequences, protocol) if timed else {},
        },
    )
    print(f"{args.out}: {args.name} on {args.benchmark}, {len(scores.per_sequence)} sequences")


def run_submit(args: argparse.Namespace) -> None:
    """Validate predictions and write the zip for a server."""
    from siamla.benchmark.submission import submit
    from siamla.data.formats import LAYOUTS

    layout = LAYOUTS[args.server]
    lengths = {name: len(layout.read(args.data, name).frames) for name in layout.names(args.data)}
    count = submit(args.server, args.predictions, lengths, layout.official_count, args.out)
    print(f"{args.out}: {count} sequences, ready for the {args.server} server")


def register(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add("results import", run_import, "copy another tracker's raw results beside ours")
    parser.add_argument("source", type=Path, help="folder or zip: pysot text, got10k folders, VOT baseline, OTB .mat")
    parser.add_argument("--as", dest="name", required=True, help="the tracker's name in our tables")
    parser.add_argument("--benchmark", required=True, help="key in the protocols file, such as otb100")
    parser.add_argument("--out", type=Path, required=True, help="folder of imported trackers; <out>/<name> is made")
    parser.add_argument("--data", type=Path, help="the benchmark's data, to check and spell the sequence names")
    parser.add_argument("--protocols", type=Path, help="default: params/protocols.yaml, elsewhere the package's copy")

    parser = commands.add("results score", run_score, "score imported raw results, as a row of our tables")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--benchmark", required=True, help="the profile's name of the benchmark")
    parser.add_argument("--name", required=True, help="the tracker's name in the tables")
    parser.add_argument("--predictions", type=Path, required=True, help="folder that `results import` made")
    parser.add_argument("--curated", type=Path, required=True, help="the benchmark's curated data")
    parser.add_argument("--protocol", required=True, help="the benchmark's protocol as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the score file to write")

    parser = commands.add("results submit", run_submit, "write the zip that an evaluation server takes")
    parser.add_argument("server", choices=("got10k", "trackingnet"))
    parser.add_argument("--predictions", type=Path, required=True, help="folder of stored predictions")
    parser.add_argument("--data", type=Path, required=True, help="the test set, for names and frame counts")
    parser.add_argument("--out", type=Path, required=True, help="the zip to write")
