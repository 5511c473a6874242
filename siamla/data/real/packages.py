"""Files inside packages as they are downloaded: wheels, source archives, Debian's .deb. Nothing is
unpacked: what is asked for is read into memory.
"""

import gzip
import io
import subprocess
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from siamla.errors import UserError
from siamla.files import parsed_by

MOST_BYTES = 2**26  # of a file
Entry = tuple[str, int, IO[bytes] | None]


def _limited(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise UserError(f"{name}: {size} bytes, at most {MOST_BYTES} are accepted")


def _tarred(source: tarfile.TarFile) -> Iterator[Entry]:
    for member in source:
        yield member.name, member.size, source.extractfile(member) if member.isreg() else None


def _entries(archive: Path) -> Iterator[Entry]:
    """Name, size and content of each entry; None for what is no file, such as a link."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as wheel:
            for entry in wheel.infolist():
                with wheel.open(entry) as content:
                    yield entry.filename, entry.file_size, None if entry.is_dir() else content
    elif archive.suffix == ".deb":
        unpack = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        with (
            subprocess.Popen(unpack, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacked,
            tarfile.open(fileobj=unpacked.stdout, mode="r|") as source,
        ):
            yield from _tarred(source)
    else:
        with tarfile.open(archive) as source:
            yield from _tarred(source)


def _archived(archive: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The files of these names; what an archive puts before a name (./, NAME-VERSION/) is let go.
    UserError for a damaged archive, and for one that lacks a file.
    """
    wanted, found = set(names), dict[str, bytes]()
    with parsed_by("Python", archive, "a package"):
        for path, size, handle in _entries(archive):
            name = next(filter(wanted.__contains__, (path, path.partition("/")[2])), None)
            if name and handle:
                _limited(f"{archive}: {name}", size)
                found[name] = handle.read()
                if len(found) == len(wanted):
                    return found
    raise UserError(f"{archive}: holds no {min(wanted.difference(found))}; another version?")


def _plain(name: str, data: bytes) -> bytes:
    """The file itself where it is packed as a .gz."""
    if not name.endswith(".gz"):
        return data
    with parsed_by("gzip", Path(name), "a packed file"), gzip.open(io.BytesIO(data)) as handle:
        data = handle.read(MOST_BYTES + 1)
    _limited(name, len(data))
    return data


def read(folder: Path, archive: str, names: Sequence[str]) -> dict[str, bytes] | None:
    """The files `names` of a package in this order, unpacked where they are a .gz; None where the
    package is not there.

    They are read in `folder` where it is unpacked there, where it is installed (Python's packages,
    Debian's), else in `folder` from the archive, a pattern with *; of several the last. UserError
    for an archive that is damaged, or holds them not.
    """
    for root in (folder, Path(sysconfig.get_path("purelib")), Path("/")):
        if all((root / name).is_file() for name in names):
            return {name: _plain(name, (root / name).read_bytes()) for name in names}
    archives = sorted(folder.glob(archive))
    if not archives:
        return None
    found = _archived(archives[-1], names)
    return {name: _plain(name, found[name]) for name in names}
