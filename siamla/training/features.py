"""Features of the frozen backbone for the views of training crops: computed once, shared by all
variants.

A feature cache is a folder of chunks, each one file with the backbone's levels of CHUNK views one
after another, and a manifest, which is written last. A finished chunk is never computed again. A
view is one of the `pairs.views` draws of a crop's jitter, once as a template and once as a search
crop; the sampler puts pairs together of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from siamla.data.crop import to_index
from siamla.data.crops import CropCache
from siamla.data.pairs import ABSENT, SIDES, PairSampler, Parts
from siamla.data.settings import PairSettings
from siamla.errors import UserError
from siamla.files import atomic, read_json, write_json
from siamla.grid import SEARCH, TEMPLATE
from siamla.model.backbone import Backbone, build_backbone
from siamla.model.settings import ModelSettings
from siamla.model.siamla import crop_template
from siamla.parallel import in_parallel

CHUNK = 256
# what a backbone makes of more images leaves the CPU's caches, and its memory is asked for anew
# each time
BATCH = 4
STORED = torch.float16


@dataclass(frozen=True)
class Batch:
    """What a training step needs: features or images of template and search, and the boxes (B, 4)
    in the search crop.

    `template` and `search` are the backbone's levels when `frozen`, else one tensor of images each.
    """

    template: tuple[Tensor, ...]
    search: tuple[Tensor, ...]
    boxes: Tensor
    frozen: bool

    def pinned(self) -> "Batch":
        """The same in page-locked memory, from where a GPU copies without making the CPU wait."""
        template, search = (
            tuple(x.pin_memory() for x in side) for side in (self.template, self.search)
        )
        return Batch(template, search, self.boxes.pin_memory(), self.frozen)


def _levels(backbone: Backbone, template: Tensor, search: Tensor) -> list[Tensor]:
    """The levels of template and search images (B, H, W, 3), the template's cropped to what the
    network reads.

    Always in fp32: they are computed once, and are the same on every machine's kind of CPU.
    """
    with torch.inference_mode():
        levels = crop_template(backbone(template.permute(0, 3, 1, 2)), backbone.strides)
        return [
            level.to(STORED).contiguous()
            for level in (*levels, *backbone(search.permute(0, 3, 1, 2)))
        ]


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _chunk_path(folder: Path, chunk: int) -> Path:
    return folder / f"chunk-{chunk:05d}.bin"


def _write_chunk(
    chunk: int, crops: Path, pairs: PairSettings, model: ModelSettings, out: Path
) -> int:
    """Compute one chunk with one thread, so that its bytes do not depend on how many work beside
    it.
    """
    torch.set_num_threads(1)
    sampler, backbone = PairSampler(CropCache(crops), pairs), build_backbone(model).eval()
    last = min(sampler.views, (chunk + 1) * CHUNK)
    parts: list[list[Tensor]] = []
    boxes: list[NDArray[np.float64]] = []
    for start in range(chunk * CHUNK, last, BATCH):
        drawn = [sampler.both(number) for number in range(start, min(start + BATCH, last))]
        template, search = (
            torch.from_numpy(np.stack([getattr(p, side) for p in drawn])) for side in SIDES
        )
        parts.append(_levels(backbone, template, search))
        boxes += [pair.box for pair in drawn]
    with atomic(_chunk_path(out, chunk)) as temporary, temporary.open("wb") as handle:
        handle.write(np.asarray(boxes, np.float32).tobytes())
        for level in zip(*parts, strict=True):
            handle.write(_bytes(torch.cat(level)))
    return chunk


def _shapes(model: ModelSettings) -> list[list[int]]:
    """Shapes (C, H, W) of the levels of a template and of a search crop."""
    blank = torch.zeros(1, TEMPLATE, TEMPLATE, 3), torch.zeros(1, SEARCH, SEARCH, 3)
    return [list(level.shape[1:]) for level in _levels(build_backbone(model).eval(), *blank)]


def build(
    crops: Path, pairs: PairSettings, model: ModelSettings, out: Path, jobs: int, key: str
) -> None:
    """Compute the features of all views into `out`, `jobs` chunks at a time.

    `key` names all that they depend on; `out` must hold nothing that another key left. Killed at
    any moment, the same call goes on with the chunks that are missing.
    """
    if model.weights == "random":
        raise UserError(
            "model.weights: random weights differ from seed to seed; a feature cache needs"
            " pretrained ones"
        )
    # a bad cache is told here, before the processes start
    sampler = PairSampler(CropCache(crops), pairs)
    count = sampler.views
    sampler.pair(0)
    if count < BATCH:
        raise UserError(f"pairs.views: {count} views in all; at least {BATCH} are expected")
    chunks = range(-(-count // CHUNK))
    work = partial(_write_chunk, crops=crops, pairs=pairs, model=model, out=out)
    missing = [chunk for chunk in chunks if not _chunk_path(out, chunk).exists()]
    for _ in in_parallel(
        work, missing, jobs, "features", "chunk", ordered=False, done=len(chunks) - len(missing)
    ):
        pass
    manifest = {"key": key, "count": count, "chunk": CHUNK, "shapes": _shapes(model)}
    write_json(out / "manifest.json", manifest)


class FeatureCache:
    """A finished feature cache, memory-mapped; `batch` gathers pairs."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`; UserError when it is not complete."""
        self.manifest = read_json(folder / "manifest.json")
        self.count: int = self.manifest["count"]
        self._chunks = [
            self._open(folder, chunk) for chunk in range(-(-self.count // self.manifest["chunk"]))
        ]

    def _open(self, folder: Path, chunk: int) -> list[Tensor]:
        pairs = min(self.manifest["chunk"], self.count - chunk * self.manifest["chunk"])
        shapes = [(pairs, *shape) for shape in self.manifest["shapes"]]
        path = _chunk_path(folder, chunk)
        expected = pairs * 16 + sum(int(np.prod(shape)) for shape in shapes) * STORED.itemsize
        length = path.stat().st_size if path.exists() else 0
        if length != expected:
            raise UserError(
                f"{path}: {length} bytes, expected {expected}; delete the folder to build it again"
            )
        raw = torch.from_file(str(path), shared=False, size=expected, dtype=torch.uint8)
        views, offset = [raw[: pairs * 16].view(torch.float32).view(pairs, 4)], pairs * 16
        for shape in shapes:
            size = int(np.prod(shape)) * STORED.itemsize
            views.append(raw[offset : offset + size].view(STORED).view(shape))
            offset += size
        return views

    def batch(self, parts: Sequence[Parts]) -> Batch:
        """Features of pairs that consist of these items; the box of a target that is not there is
        ABSENT.
        """
        size = self.manifest["chunk"]
        half = len(self.manifest["shapes"]) // 2
        rows = []
        for part in parts:
            _, *template = self._chunks[part.template // size]
            boxes, *search = self._chunks[part.search // size]
            box = (
                boxes[part.search % size]
                if part.present
                else torch.tensor(to_index(ABSENT), dtype=torch.float32)
            )
            levels = [level[part.template % size] for level in template[:half]]
            rows.append([box, *levels, *(level[part.search % size] for level in search[half:])])
        box, *levels = (torch.stack(column) for column in zip(*rows, strict=True))
        return Batch(tuple(levels[:half]), tuple(levels[half:]), box, frozen=True)
