"""siamla config: look at the settings before they cost hours."""

import argparse
from pathlib import Path

from siamla.cli.commands import Commands


def _check(args: argparse.Namespace) -> None:
    from siamla.experiment.profile import load
    from siamla.experiment.spec import training_part
    from siamla.files import digest

    experiment = load(args.profile, args.params)
    for variant, spec in experiment.specs.items():
        print(f"{variant:24} training {digest(training_part(spec))}  seeds {experiment.seeds(variant)}")
    for benchmark, entry in experiment.profile.benchmarks.items():
        print(f"{benchmark:24} {entry.layout:12} {entry.root}")


def _show(args: argparse.Namespace) -> None:
    import yaml

    from siamla.errors import UserError
    from siamla.experiment.profile import load
    from siamla.experiment.spec import plain
    from siamla.settings import nearest

    specs = load(args.profile, args.params).specs
    if args.variant not in specs:
        raise UserError(f"{args.variant}: no such variant in {args.profile}; {nearest(args.variant, sorted(specs))}")
    print(yaml.safe_dump(plain(specs[args.variant]), sort_keys=False, allow_unicode=True), end="")


def _keys(args: argparse.Namespace) -> None:
    from siamla.experiment.spec import dotted_keys

    print("\n".join(dotted_keys()))


def _schema(args: argparse.Namespace) -> None:
    from siamla.experiment.schema import write_schemas

    write_schemas(args.out)


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    for words, run, text in (
        ("config check", _check, "check a profile and all its variants; print the digests of their trainings"),
        ("config show", _show, "print a variant's resolved spec"),
    ):
        parser = commands.add(words, run, text)
        if run is _show:
            parser.add_argument("variant")
        parser.add_argument("--profile", default="mini")
        parser.add_argument("--params", type=Path, default=Path("params"))
    commands.add("config keys", _keys, "list every key that a variant can set")
    parser = commands.add("config schema", _schema, "write the JSON schemas that editors use")
    parser.add_argument("--out", type=Path, default=Path("workflow/schemas"))
