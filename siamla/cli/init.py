"""`siamla init`: a project, the folder that the pipeline runs in."""

import argparse
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

from siamla.cli.options import Commands
from siamla.errors import UserError


def run(args: argparse.Namespace) -> None:
    from siamla.settings import PROJECT

    folder: Path = args.folder
    if folder.exists():
        raise UserError(f"{folder}: exists already; expected the name of a new folder")
    part = folder.with_name(f".{folder.name}.part")
    shutil.copytree(PROJECT, part, copy_function=shutil.copyfile, dirs_exist_ok=True)
    part.rename(folder)
    if not find_spec("snakemake"):
        print("pip install 'siamla[pipeline]'    # in a clone: pip install '.[pipeline]'")
    print(f"cd {shlex.quote(str(folder))}")
    print("snakemake --cores all --config profile=smoke    # the pipeline in small, in a minute")
    print("snakemake --cores all                           # the profile mini")


def register(commands: Commands) -> None:
    text = "make a project: a new folder with parameters, workflow and Snakefile of the pipeline"
    parser = commands.add("init", run, text)
    parser.add_argument("folder", type=Path, metavar="NAME", help="a folder that is not there yet")
