"""Zip files from and for strangers: members are checked before anything is unpacked, and written
reproducibly.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from siamla.errors import UserError
from siamla.files import atomic

MOST_BYTES = 2**32  # unpacked; a year of benchmark results is far below
MOST_NAME, MOST_PART = (
    1024,
    200,
)  # of a member's name, and bytes of a part of it: file systems take 255


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file into a folder.

    UserError, before anything is written, for a member that would land outside the folder, a link,
    an encrypted member, a name that is too long or stands for two things, or more than 4 GiB; and
    for damage inside.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = source.infolist()
            for member in members:
                _check(archive, member)
            total = sum(member.file_size for member in members)
            if total > MOST_BYTES:
                raise UserError(
                    f"{archive}: {total / 2**30:.1f} GiB unpacked, at most {MOST_BYTES // 2**30}"
                    " are accepted"
                )
            _check_clashes(archive, members)
            folder.mkdir(parents=True, exist_ok=True)
            source.extractall(folder)
    except FileNotFoundError:
        raise UserError(f"{archive}: not found") from None
    # zipfile's NotImplementedError: packed in a way that it cannot unpack
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{archive}: not a sound zip file ({error})") from None


def _check(archive: Path, member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise UserError(
            f"{archive}: member {name!r} leads outside the archive; nothing was unpacked"
        )
    if len(name) > MOST_NAME or any(len(part.encode()) > MOST_PART for part in path.parts):
        raise UserError(
            f"{archive}: the name of member {name[:40]!r}… is too long; nothing was unpacked"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UserError(f"{archive}: member {name!r} is a link; nothing was unpacked")
    if member.flag_bits & 1:
        raise UserError(f"{archive}: member {name!r} is encrypted; nothing was unpacked")


def _check_clashes(archive: Path, members: Iterable[zipfile.ZipInfo]) -> None:
    """UserError where two members have one name, or a file that of another's folder."""
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for member in members:
        path = PurePosixPath(member.filename)
        folders.update(path.parents)
        if member.is_dir():
            folders.add(path)
        elif path in files:
            raise UserError(
                f"{archive}: two members are named {member.filename!r}; nothing was unpacked"
            )
        else:
            files.add(path)
    if clash := sorted(files & folders):
        raise UserError(
            f"{archive}: member {str(clash[0])!r} is both a file and a folder; nothing was unpacked"
        )


def pack(archive: Path, members: Mapping[str, str]) -> None:
    """Write a zip of texts by member name, atomically; equal members give equal bytes."""
    with (
        atomic(archive) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in sorted(members):
            target.writestr(
                zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), members[name], zipfile.ZIP_DEFLATED
            )
