"""Features of the frozen backbone, computed once for views of training crops.

A feature cache is a folder of chunks and a manifest, which is written last. A chunk is a list of
tensors: the boxes and the backbone's levels of CHUNK views. A view is one of the `pairs.views`
draws of a crop's jitter, once as a template and once as a search crop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from siamla.data.crop import to_index
from siamla.data.crops import CropCache
from siamla.data.pairs import ABSENT, SIDES, PairSampler, Parts
from siamla.data.settings import PairSettings
from siamla.errors import UserError
from siamla.files import atomic, read_json, write_json
from siamla.model.backbone import Backbone
from siamla.model.checkpoint import initial_model
from siamla.model.settings import ModelSettings
from siamla.model.siamla import crop_template
from siamla.parallel import in_parallel
from siamla.training.settings import TrainingSettings

CHUNK = 256
BATCH = 4  # what a backbone makes of more images leaves the CPU's caches
STORED = torch.float16


@dataclass(frozen=True)
class Batch:
    """Template and search, levels if `frozen`, else images; boxes (B, 4) in the search."""

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


def _levels(backbone: Backbone, template: Tensor, search: Tensor, whole: bool) -> list[Tensor]:
    """Levels, in fp32, of images (B, H, W, 3), the template's cropped to what is read unless
    `whole`.
    """
    with torch.inference_mode():
        levels = backbone(template.permute(0, 3, 1, 2))
        if not whole:
            levels = crop_template(levels, backbone.strides)
        levels += backbone(search.permute(0, 3, 1, 2))
        return [level.to(STORED).contiguous() for level in levels]


def _chunk_path(folder: Path, chunk: int) -> Path:
    return folder / f"chunk-{chunk:05d}.bin"


def _write_chunk(
    chunk: int,
    crops: Path,
    pairs: PairSettings,
    model: ModelSettings,
    training: TrainingSettings,
    out: Path,
) -> None:
    """Compute one chunk with one thread, so that bytes do not depend on the number of workers."""
    torch.set_num_threads(1)
    sampler = PairSampler(CropCache(crops), pairs)
    backbone = initial_model(model, 0, training.init).backbone.eval()
    whole = training.thaw == "upper"  # blocks that learn see beyond what the network reads
    last = min(sampler.views, (chunk + 1) * CHUNK)
    parts: list[list[Tensor]] = []
    for start in range(chunk * CHUNK, last, BATCH):
        drawn = [sampler.both(number) for number in range(start, min(start + BATCH, last))]
        template, search = (
            torch.from_numpy(np.stack([getattr(pair, side) for pair in drawn])) for side in SIDES
        )
        boxes = np.asarray([pair.box for pair in drawn], np.float32)
        parts.append([torch.from_numpy(boxes), *_levels(backbone, template, search, whole)])
    with atomic(_chunk_path(out, chunk)) as temporary, temporary.open("wb") as handle:
        torch.save([torch.cat(level) for level in zip(*parts, strict=True)], handle)


def build(
    crops: Path,
    pairs: PairSettings,
    model: ModelSettings,
    training: TrainingSettings,
    out: Path,
    jobs: int,
    key: str,
) -> None:
    """Compute the features of all views into `out`, `jobs` chunks at a time; killed, the same call
    goes on. `key` names all that they depend on.
    """
    if model.weights == "random":
        raise UserError(
            "model.weights: random weights differ from seed to seed; take pretrained ones"
        )
    count = PairSampler(CropCache(crops), pairs).views
    chunks = range(-(-count // CHUNK))
    work = partial(_write_chunk, crops=crops, pairs=pairs, model=model, training=training, out=out)
    missing = [chunk for chunk in chunks if not _chunk_path(out, chunk).exists()]
    done = len(chunks) - len(missing)
    for _ in in_parallel(work, missing, jobs, "features", "chunk", ordered=False, done=done):
        pass
    write_json(out / "manifest.json", {"key": key, "count": count, "chunk": CHUNK})


class FeatureCache:
    """A finished feature cache, memory-mapped; `batch` gathers pairs."""

    def __init__(self, folder: Path) -> None:
        manifest = read_json(folder / "manifest.json")
        self.count: int = manifest["count"]
        self._size: int = manifest["chunk"]
        self._chunks = [
            torch.load(_chunk_path(folder, chunk), mmap=True, weights_only=True)
            for chunk in range(-(-self.count // self._size))
        ]

    def batch(self, parts: Sequence[Parts]) -> Batch:
        """Features of pairs that consist of these items; the box of an absent target is ABSENT."""
        absent = torch.tensor(to_index(ABSENT), dtype=torch.float32)
        half = len(self._chunks[0]) // 2
        rows = []
        for part in parts:
            chunk, row = divmod(part.template, self._size)
            template = [level[row] for level in self._chunks[chunk][1 : half + 1]]
            chunk, row = divmod(part.search, self._size)
            boxes, *search = self._chunks[chunk]
            box = boxes[row] if part.present else absent
            rows.append([box, *template, *(level[row] for level in search[half:])])
        box, *levels = (torch.stack(column) for column in zip(*rows, strict=True))
        return Batch(tuple(levels[:half]), tuple(levels[half:]), box, frozen=True)
