"""Rendering a generated set: an older one makes way for it, and nothing that somebody else put
there.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from siamla.data.formats import LAYOUTS
from siamla.data.synthetic.dataset import MANIFEST, synthesize
from siamla.data.synthetic.settings import SetSettings
from siamla.errors import UserError
from siamla.files import read_json
from siamla.sequence import Sequence
from siamla.settings import validate

NUMBERED = "NUMBER.jpg"


def _pattern(path: Path) -> str:
    """A path within a set, with one name for all numbered pictures of a folder."""
    return (
        path.with_name(NUMBERED) if path.suffix == ".jpg" and path.stem.isdecimal() else path
    ).as_posix()


def _written(settings: SetSettings) -> set[str]:
    """The files that a set has, as patterns: its layout's writer is asked, with clips of one black
    frame.
    """
    layout, names = (
        LAYOUTS[settings.layout],
        [settings.name.format(index + 1) for index in range(settings.sequences)],
    )
    picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    labels = frozenset(getattr(layout, "ATTRIBUTES", ())[:1])
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name in names:
            clip = Sequence(
                name, (Path("1.jpg"),), np.ones((1, 4)), np.ones(1, bool), attributes=labels
            )
            layout.write(root, clip, [picture])
        layout.finish(root, names)
        found = {_pattern(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return found | {
        MANIFEST,
        *(f"anno_full/{name}.txt" for name in names if settings.first_frame_only),
    }


def strangers(root: Path) -> list[str]:
    """What lies in the folder of a generated set and was not written by it, by its manifest; no
    folder has none.

    UserError where the manifest cannot be read as one.
    """
    manifest = root / MANIFEST
    if not manifest.is_file():
        return []  # rendering refuses what is not empty
    content = read_json(manifest)
    written = _written(
        validate(
            SetSettings,
            content.get("settings") if isinstance(content, dict) else content,
            str(manifest),
        )
    )
    files = (
        path.relative_to(root) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()
    )
    return sorted(path.as_posix() for path in files if _pattern(path) not in written)


def render(name: str, settings: SetSettings, root: Path, jobs: int = 1) -> None:
    """Render the set `name` into `root` as `synthesize` does; UserError where anything else lies,
    which stays.
    """
    if found := strangers(root):
        more = f" and {len(found) - 1} more" if found[1:] else ""
        raise UserError(
            f"{root}: holds {found[0]}{more}, which the set did not write; move it away or name"
            " another folder, nothing was touched"
        )
    synthesize(name, settings, root, jobs)
