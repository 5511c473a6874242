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
from typing import IO

from siamla.errors import UserError
from siamla.files import parsed_by

MOST_BYTES = 2**26  # of a file
_MAGIC, _HEADER = b"!<arch>\n", 60  # of the ar archive that a .deb is


def _limited(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise UserError(f"{name}: {size} bytes, at most {MOST_BYTES} are accepted")


def _to_data(archive: Path, handle: IO[bytes]) -> None:
    """Move `handle` to the tar archive of a .deb's files, its last part."""
    if handle.read(len(_MAGIC)) != _MAGIC:
        raise UserError(f"{archive}: not a Debian package")
    while len(header := handle.read(_HEADER)) == _HEADER:
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if name == "data.tar.zst":
            unpack = f"dpkg-deb -x {archive.name} ."
            raise UserError(f"{archive}: {name} is not read here; in {archive.parent}: {unpack}")
        if name.startswith("data.tar"):
            return
        handle.seek(size + size % 2, io.SEEK_CUR)
    raise UserError(f"{archive}: no data.tar in it; not a whole Debian package")


def _entries(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    """Name, size and content of each entry; None for what is no file, such as a link."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as wheel:
            for entry in wheel.infolist():
                with wheel.open(entry) as content:
                    yield entry.filename, entry.file_size, None if entry.is_dir() else content
        return
    with archive.open("rb") as handle:
        if archive.suffix == ".deb":
            _to_data(archive, handle)
        with tarfile.open(fileobj=handle, mode="r|*") as source:
            for member in source:
                file = source.extractfile(member) if member.isreg() else None
                yield member.name, member.size, file


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
