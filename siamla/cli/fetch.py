"""siamla data fetch: have DVC bring or make a data set, or find it where the user put it."""

import argparse
import fcntl
import hashlib
import subprocess
from pathlib import Path

from siamla.cli.commands import Commands


def _tracked_digest(source: str, root: Path) -> str:
    """The digest that DVC recorded for the data, from dvc.lock or from the .dvc pointer."""
    import yaml

    if source.endswith(".dvc"):
        return str(yaml.safe_load(Path(source).read_text())["outs"][0]["md5"])
    stage = yaml.safe_load(Path("dvc.lock").read_text())["stages"][source]
    return next(str(out["md5"]) for out in stage["outs"] if Path(out["path"]) == root)


def _listing_digest(root: Path) -> str:
    """Digest of the names and sizes of all files: cheap, and it changes when data are exchanged."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    text = "\n".join(f"{path.relative_to(root)} {path.stat().st_size}" for path in files)
    return hashlib.sha256(text.encode()).hexdigest()


def _dvc(source: str) -> None:
    from siamla.errors import UserError

    command = ["pull", source] if source.endswith(".dvc") else ["repro", "--single-item", source]
    lock = Path(".dvc", "tmp", "siamla.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:  # DVC itself gives up after three seconds
        fcntl.flock(handle, fcntl.LOCK_EX)
        status = subprocess.run(["dvc", *command]).returncode
    if status:
        raise UserError(f"dvc {' '.join(command)} failed with status {status}; its message is above")


def _fetch(args: argparse.Namespace) -> None:
    from siamla.errors import UserError
    from siamla.files import write_json

    if args.dvc:
        _dvc(args.dvc)
    if not args.root.is_dir():
        raise UserError(f"{args.root}: no such folder; the data set's root in params/profiles must exist")
    digest = _tracked_digest(args.dvc, args.root) if args.dvc else _listing_digest(args.root)
    write_json(args.out, {"root": str(args.root), "source": args.dvc or "folder", "digest": digest})


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    parser = commands.add("data fetch", _fetch, "bring a data set by DVC, or find it; write its digest")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--dvc", default="", help="stage of dvc.yaml or .dvc pointer; none: the folder as it is")
    parser.add_argument("--out", type=Path, required=True)
