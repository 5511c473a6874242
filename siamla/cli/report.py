"""`siamla report`: from score files to tables."""

import argparse
import json
from pathlib import Path
from typing import Any

from siamla.cli.commands import Commands
from siamla.errors import UserError


def _mapping(text: str) -> dict[str, Any]:
    """A mapping of mappings given as JSON on the command line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"argument {text[:40]!r}: not valid JSON ({error})") from None
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise UserError(f"argument {text[:40]!r}: expected a JSON object of objects")
    return value


def _frames(paths: list[Path]) -> tuple[Any, Any]:
    from siamla.files import read_json
    from siamla.report.collect import frames

    return frames({path: read_json(path) for path in paths})


def _collect(args: argparse.Namespace) -> None:
    from siamla.report.collect import write

    write(*_frames(args.scores), args.out, args.sequences)
    print(f"{args.out}: {len(args.scores)} score files")


def _table(args: argparse.Namespace) -> None:
    from siamla.report.settings import Layout
    from siamla.report.tables import make_table
    from siamla.settings import read_yaml, validate

    layout = validate(Layout, read_yaml(args.layout), str(args.layout))
    variants, benchmarks = _mapping(args.variants), _mapping(args.benchmarks)
    print(make_table(args.number, *_frames(args.scores), layout, variants, benchmarks, args.caption, args.out))


def _show(args: argparse.Namespace) -> None:
    missing = [path for path in args.tables if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]}: not found")
    for path in args.tables:
        print(path.read_text(encoding="utf-8"))


def register(commands: Commands) -> None:
    """Add `report collect`, `report table` and `report show`."""
    collect = commands.add("report collect", _collect, "Gather score files into scores.csv and sequences.csv")
    collect.add_argument("scores", type=Path, nargs="+", help="score files (JSON)")
    collect.add_argument("--out", type=Path, required=True, help="scores.csv to write")
    collect.add_argument("--sequences", type=Path, required=True, help="sequences.csv to write")
    table = commands.add("report table", _table, "Write one of the paper's tables as Markdown, LaTeX and CSV")
    table.add_argument("number", type=int, help="1 to 6")
    table.add_argument("--scores", type=Path, nargs="+", required=True, help="score files (JSON)")
    table.add_argument("--layout", type=Path, default=Path("params/tables.yaml"), help="default: params/tables.yaml")
    table.add_argument("--variants", required=True, help="JSON: name → label, ladl, lals, lafa, seeds")
    table.add_argument("--benchmarks", required=True, help="JSON: name → label, headline, metrics")
    table.add_argument("--caption", required=True, help="what the data were")
    table.add_argument("--out", type=Path, required=True, help="folder to write tableN.md, .csv and .tex into")
    show = commands.add("report show", _show, "Print tables in the terminal")
    show.add_argument("tables", type=Path, nargs="+", help="tableN.md files")
