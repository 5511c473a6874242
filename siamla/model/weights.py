"""ImageNet weights of a backbone: found or fetched, checked against their SHA-256, read safely."""

import http.client
import urllib.error
import urllib.request
from pathlib import Path

import torch
from torch import Tensor

from siamla.errors import UserError
from siamla.files import cache_folder, locked, parsed_by, sha256
from siamla.model.settings import Weights
from siamla.progress import progress

CHUNK = 1 << 20


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict on disk, by key; unwraps `state_dict` and strips the prefix
    `module.`.

    Raises UserError when the file is missing, is no state dict of tensors, or holds NaN or
    infinity.
    """
    if not path.is_file():
        raise UserError(f"{path}: not found; expected a PyTorch state dict")
    with parsed_by("torch", path, "a state dict of tensors"):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if (
        not isinstance(loaded, dict)
        or not loaded
        or not all(isinstance(v, Tensor) for v in loaded.values())
    ):
        raise UserError(
            f"{path}: expected a state dict (names to tensors), possibly under the key state_dict"
        )
    state = {str(key).removeprefix("module."): value for key, value in loaded.items()}
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UserError(
                f"{path}: {key} holds NaN or infinite values; the file is damaged or its training"
                " diverged"
            )
    return state


def locate(weights: Weights) -> Path:
    """The local file of `weights`, fetched into the cache if it is a URL, with its SHA-256 checked.

    A transfer that was cut off goes on from where it stopped; a whole one with another checksum is
    deleted. Of processes that want the same file one fetches it. Raises UserError that says what to
    do.
    """
    if weights.path is not None:
        if not weights.path.is_file():
            raise UserError(
                f"weights.path: {weights.path} not found; put the file there or give weights.url"
            )
        _check(weights.path, weights.sha256, "check the file or correct weights.sha256")
        return weights.path
    target = cache_folder() / "weights" / f"{weights.sha256}.pth"
    if target.is_file():
        return target
    with locked(target.with_suffix(".lock")):
        if target.is_file():  # another process was at work
            return target
        partial = target.with_suffix(".part")
        _fetch(str(weights.url), partial)
        try:
            _check(
                partial,
                weights.sha256,
                f"fetched from {weights.url} and deleted; correct weights.url or its sha256",
            )
        except UserError:
            partial.unlink()
            raise
        partial.replace(target)
    return target


def _check(path: Path, expected: str, advice: str) -> None:
    found = sha256(path)
    if found != expected:
        raise UserError(f"{path}: SHA-256 is {found}, expected {expected}: {advice}")


def _fetch(url: str, partial: Path) -> None:
    """Download `url` to `partial`; of a part that is there only the rest, by an HTTP Range."""
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            if start and reply.status != 206:  # the server sends the whole file again
                start = 0
            length = reply.headers.get("Content-Length")
            total = start + int(length) if length else None
            with (
                partial.open("ab" if start else "wb") as out,
                progress(total, url.rsplit("/", 1)[-1], "B", start) as bar,
            ):
                while chunk := reply.read(CHUNK):
                    out.write(chunk)
                    bar.update(len(chunk))
        size = partial.stat().st_size
        if total is not None and size < total:
            raise UserError(
                f"weights.url: {url} ended after {size} of {total} bytes; run again to resume"
            )
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing is left to fetch; the checksum decides
            return
        raise UserError(
            f"weights.url: {url} answered {error.code} {error.reason}; correct it or give"
            " weights.path"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UserError(
            f"weights.url: cannot fetch {url} ({error}); run again to resume, or give weights.path"
        ) from None
