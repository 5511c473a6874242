"""The run record: a small JSON file beside every number that says how the number came about."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import digest, read_json, write_json
from siamla.provenance.code import git_state

PACKAGES = ("siamla", "torch", "numpy", "opencv-python")
REQUIRED = ("kind", "profile", "variant", "seed", "spec", "spec_digest", "code_digest", "data_digest")


def _versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that a number depends on."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def run_key(record: Mapping[str, Any]) -> str:
    """Deterministic name (16 hex digits) of what a record describes: the same settings, code, data and seed."""
    parts = ("profile", "kind", "variant", "seed", "benchmark", "spec_digest", "code_digest", "data_digest")
    return digest({part: record.get(part) for part in parts})


def run_record(
    kind: str,
    profile: str,
    variant: str,
    seed: int,
    benchmark: str | None,
    spec: Mapping[str, Any],
    spec_digest: str,
    code_digest: str,
    data_digest: str,
    device: str,
    threads: int,
    started: float,
    seconds: float,
    **extra: Any,
) -> dict[str, Any]:
    """The record of one step as a flat dict (only `spec` and `versions` are nested).

    kind: "train", "predict" or "score". started: seconds since the epoch (time.time()), kept as ISO 8601 in UTC.
    seconds: wall time of the step. extra: further fields, model_sha256 say; they cannot replace the named ones.
    Adds key (run_key), git_commit, git_dirty, git_diff_sha, host, platform and versions.
    """
    record: dict[str, Any] = {
        "kind": kind,
        "profile": profile,
        "variant": variant,
        "seed": seed,
        "benchmark": benchmark,
        "spec": dict(spec),
        "spec_digest": spec_digest,
        "code_digest": code_digest,
        "data_digest": data_digest,
        "device": device,
        "threads": threads,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "host": platform.node(),
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": _versions(),
        **{f"git_{name}": value for name, value in git_state().items()},
    }
    clash = sorted(set(extra) & set(record))
    if clash:
        raise ValueError(f"run_record: extra fields {clash} are already part of the record")
    return {**record, **extra, "key": run_key(record)}


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record (run.json), atomically."""
    write_json(path, record)


def read_record(path: Path) -> dict[str, Any]:
    """Read a record; UserError when it is missing, broken or lacks a field."""
    record = read_json(path)
    missing = [name for name in REQUIRED if not isinstance(record, dict) or name not in record]
    if missing:
        raise UserError(f"{path}: not a run record: no field {missing[0]!r}, expected {', '.join(REQUIRED)}")
    return dict(record)
