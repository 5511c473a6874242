"""The state of the git tree around the package."""

import hashlib
import os
import subprocess
from pathlib import Path

from siamla.provenance.code import ROOT


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """What a git command prints; None where git is absent or the folder is no work tree."""
    # Without optional locks, parallel jobs that ask at the same moment cannot disturb each other or
    # the user.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=given,
            capture_output=True,
            env=environment,
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def git_state(folder: Path = ROOT) -> dict[str, str | bool | None]:
    """{"commit", "dirty", "diff_sha"} of the work tree around `folder`; all None outside git.

    dirty: a tracked file differs from the commit or a file is neither tracked nor ignored. diff_sha
    (16 hex digits) covers both, and is None in a clean tree, so that two dirty runs can be told
    apart.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    top = _git(folder, "rev-parse", "--show-toplevel")
    if commit is None or top is None:
        return {"commit": None, "dirty": None, "diff_sha": None}
    base = Path(os.fsdecode(top).strip())
    difference = _git(base, "diff", "HEAD", "--binary") or b""
    untracked = _git(base, "ls-files", "--others", "--exclude-standard") or b""
    dirty = bool(difference or untracked)
    hashes = (
        _git(base, "hash-object", "--stdin-paths", given=untracked) or b"" if untracked else b""
    )
    diff_sha = hashlib.sha256(difference + b"\0" + untracked + b"\0" + hashes).hexdigest()[:16]
    return {
        "commit": commit.decode().strip(),
        "dirty": dirty,
        "diff_sha": diff_sha if dirty else None,
    }
