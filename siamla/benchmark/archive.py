"""Zip files from and for strangers: members are checked before anything is unpacked, and written reproducibly."""

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from siamla.errors import UserError
from siamla.files import atomic

MOST_BYTES = 2**32  # unpacked; a year of benchmark results is far below


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file into a folder.

    UserError, before anything is written, for a member that would land outside the folder, a link, an encrypted
    member, or more than 4 GiB.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = source.infolist()
            for member in members:
                _check(archive, member)
            total = sum(member.file_size for member in members)
            if total > MOST_BYTES:
                raise UserError(
                    f"{archive}: {total / 2**30:.1f} GiB unpacked, at most {MOST_BYTES // 2**30} are accepted"
                )
            source.extractall(folder)
    except FileNotFoundError:
        raise UserError(f"{archive}: not found") from None
    except zipfile.BadZipFile as error:
        raise UserError(f"{archive}: not a sound zip file ({error})") from None


def _check(archive: Path, member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise UserError(f"{archive}: member {name!r} leads outside the archive; nothing was unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UserError(f"{archive}: member {name!r} is a link; nothing was unpacked")
    if member.flag_bits & 1:
        raise UserError(f"{archive}: member {name!r} is encrypted; nothing was unpacked")


def pack(archive: Path, members: Mapping[str, str]) -> None:
    """Write a zip of texts by member name, atomically; equal members give equal bytes."""
    with atomic(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(members):
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), members[name], zipfile.ZIP_DEFLATED)
