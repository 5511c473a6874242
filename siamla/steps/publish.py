"""Trained models through DVC: models/PROFILE/VARIANT/seedN holds one with its record, and git keeps
the pointer beside it.
"""

import re
import shutil
from pathlib import Path

from siamla.errors import UserError
from siamla.files import atomic, sha256
from siamla.provenance.record import RECORDS, read_record
from siamla.steps.fetch import dvc
from siamla.steps.perform import own

NAME = re.compile(r"(?P<profile>\w[\w.-]*)/(?P<variant>\w[\w.@-]*)/(?P<seed>seed\d+)", re.ASCII)
FILES = ("model.pt", "history.csv", "spec.json")  # of a training, as its record lists them


def _places(name: str) -> tuple[Path, Path]:
    """Where a model is trained and where it is published."""
    parts = NAME.fullmatch(name)
    if parts is None:
        raise UserError(f"{name!r}: expected PROFILE/VARIANT/seedN, such as mini/siamla/seed1")
    trained = Path("results", parts["profile"], "train", parts["variant"], parts["seed"])
    return trained, Path("models", name)


def _pointer(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.dvc")


def _record(folder: Path) -> Path:
    """The record of the model in a folder; UserError where there is none, or where a file is not
    what it says.
    """
    records = sorted(folder.glob(RECORDS))
    if len(records) != 1:
        raise UserError(
            f"{folder}: {len(records)} records of a model, expected one, which the end of a"
            " training writes"
        )
    said = read_record(records[0])["files"]
    for name in FILES:
        path = folder / name
        if not path.is_file() or sha256(path) != said.get(name):
            raise UserError(f"{path}: not the file of which {records[0].name} has the SHA-256")
    return records[0]


def publish(name: str) -> Path:
    """Copy the trained model PROFILE/VARIANT/seedN with its record, add it to DVC and push it; its
    pointer, which is to be committed. UserError where it is not trained, its files have changed, or
    DVC fails, which has said why.
    """
    trained, folder = _places(name)
    record = _record(trained)
    own(folder, "publish", record.stem.removeprefix("record-"))
    for path in (*(trained / file for file in FILES), record):
        with atomic(folder / path.name) as temporary:
            shutil.copyfile(path, temporary)
    dvc("add", folder)
    dvc("push", _pointer(folder))
    return _pointer(folder)


def fetch(name: str) -> Path:
    """Have DVC bring a published model, and compare every file with its digest; the model's file.
    UserError where there is no pointer of that name, DVC fails, or a file is another one.
    """
    _, folder = _places(name)
    pointer = _pointer(folder)
    if not pointer.is_file():
        raise UserError(
            f"{pointer}: no such pointer; `siamla model publish {name}` makes it, and git carries"
            " it"
        )
    dvc("pull", pointer)
    _record(folder)
    return folder / "model.pt"
