"""Which runs on a shared server are this clone's own: an id that a copy of the results does not
inherit.
"""

import json
import os
import platform
from pathlib import Path
from typing import Any
from uuid import uuid4


def clone_id(folder: Path) -> str:
    """The id of the clone whose file `clone.json` lies in `folder`; made where there is none, or
    where it was copied.

    The file names its own inode, host and path. Two of the three hold where the clone was moved
    (inode and host), is mounted on another node of a cluster (inode and path), or lies on a file
    system that numbers its files anew (host and path). A copy keeps one at the most: it is a clone
    of its own, with a new id. Call it under a lock.
    """
    path = folder / "clone.json"
    place = {"host": platform.node(), "path": str(folder.resolve())}
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        here = {**place, "inode": path.stat().st_ino}
        if sum(known.get(name) == value for name, value in here.items()) >= 2 and known.get("id"):
            return str(known["id"])
    except (FileNotFoundError, ValueError, AttributeError):
        pass  # none yet, or cut off while it was written: a new one is made
    identity = uuid4().hex
    temporary = folder / "clone.json.new"
    with temporary.open(
        "w", encoding="utf-8"
    ) as handle:  # renamed with its inode, which the text names
        json.dump(
            {"id": identity, **place, "inode": os.fstat(handle.fileno()).st_ino}, handle, indent=1
        )
    temporary.replace(path)
    return identity
