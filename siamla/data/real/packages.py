"""Files inside packages as they are downloaded: wheels, source archives, Debian's .deb."""

import gzip
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from siamla.errors import UserError
from siamla.files import parsed_by


def _unpack(archive: Path, folder: Path) -> None:
    with parsed_by("Python", archive, "a package"):
        if archive.suffix == ".deb":
            unpack = ["dpkg-deb", "--extract", str(archive), str(folder)]
            subprocess.run(unpack, check=True, stderr=subprocess.DEVNULL)
        elif archive.suffix == ".whl":
            shutil.unpack_archive(archive, folder, "zip")
        else:
            with tarfile.open(archive) as source:
                source.extractall(folder, filter="data")


def _content(path: Path) -> bytes:
    """A file's content, unpacked where it is a .gz."""
    with parsed_by("Python", path, "a packed file"):
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _files(roots: Iterable[Path], names: Sequence[str]) -> dict[str, bytes] | None:
    """The files of the first root that has all of them."""
    for root in roots:
        if all((root / name).is_file() for name in names):
            return {name: _content(root / name) for name in names}
    return None


def read(folder: Path, archive: str, names: Sequence[str]) -> dict[str, bytes] | None:
    """The files `names` of a package in this order, unpacked where they are a .gz; None where the
    package is not there.

    They are read in `folder` where it is unpacked there, where it is installed (Python's packages,
    Debian's), else in `folder` from the archive, a pattern with *; of several the last. UserError
    for an archive that is damaged, or holds them not.
    """
    found = _files((folder, Path(sysconfig.get_path("purelib")), Path("/")), names)
    archives = sorted(folder.glob(archive))
    if found is not None or not archives:
        return found
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        _unpack(archives[-1], place)
        found = _files((place, *place.iterdir()), names)  # a source archive has a folder more
    if found is None:
        raise UserError(f"{archives[-1]}: holds no {names[0]}, or a part; another version?")
    return found
