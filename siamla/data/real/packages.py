"""Files inside packages as they are downloaded: wheels, source archives, Debian's .deb. Nothing is
unpacked: what is asked for is read into memory.
"""

import gzip
import io
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

from siamla.errors import UserError
from siamla.files import parsed_by

Entry = tuple[str, int, IO[bytes] | None]
"""Name, size and content of an entry of an archive; None for what is no file, such as a link."""
Way = Literal["r|gz", "r|xz"]

MOST_BYTES = 2**26  # of a file
WAYS: dict[str, Way] = {"data.tar.gz": "r|gz", "data.tar.xz": "r|xz"}
_MAGIC, _HEADER = b"!<arch>\n", 60  # of the ar archive that a .deb is


def _limited(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise UserError(f"{name}: {size} bytes, at most {MOST_BYTES} are accepted")


def _zipped(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as source:
        for entry in source.infolist():
            with source.open(entry) as handle:
                yield entry.filename, entry.file_size, None if entry.is_dir() else handle


def _tarred(handle: IO[bytes], way: Way) -> Iterator[Entry]:
    with tarfile.open(fileobj=handle, mode=way) as source:
        for member in source:
            yield member.name, member.size, source.extractfile(member) if member.isreg() else None


def _data(archive: Path, handle: IO[bytes]) -> Way:
    """How a .deb's files are packed; `handle` then stands at their tar archive, which is last."""
    if handle.read(len(_MAGIC)) != _MAGIC:
        raise UserError(f"{archive}: not a Debian package")
    while len(header := handle.read(_HEADER)) == _HEADER:
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if name in WAYS:
            return WAYS[name]
        if name.startswith("data.tar"):
            unpack = f"dpkg-deb -x {archive.name} ."
            raise UserError(f"{archive}: {name} is not read here; in {archive.parent}: {unpack}")
        handle.seek(size + size % 2, io.SEEK_CUR)
    raise UserError(f"{archive}: no data.tar in it; not a whole Debian package")


def _entries(archive: Path) -> Iterator[Entry]:
    if archive.suffix in (".whl", ".zip"):
        yield from _zipped(archive)
        return
    with archive.open("rb") as handle:
        yield from _tarred(handle, _data(archive, handle) if archive.suffix == ".deb" else "r|gz")


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
    """The files `names` of a package by name, unpacked where they are a .gz; None where the package
    is not there.

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
    return {name: _plain(name, data) for name, data in _archived(archives[-1], names).items()}
