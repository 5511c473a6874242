"""The resumable training loop. The same spec, seed, data and thread count give the same bytes, also when killed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from siamla.data.pairs import PairSampler
from siamla.errors import UserError
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA, build_model
from siamla.precision import uses_bf16
from siamla.progress import progress as progress_bar
from siamla.training.checkpoint import Progress, restore_state, save_state
from siamla.training.features import Batch, FeatureCache
from siamla.training.losses import losses
from siamla.training.schedule import learning_rate
from siamla.training.settings import Labels, LossWeights, TrainingSettings

MAX_LOSS = 1e4  # siamcar.md §2.5: a step with a larger or non-finite loss is skipped


@dataclass(frozen=True)
class Source:
    """Where batches come from: cached features for the frozen epochs, crops for the others."""

    sampler: PairSampler
    count: int | None
    features: FeatureCache | None = None
    workers: int = 0


@dataclass(frozen=True)
class Recipe:
    """The settings that a training depends on, and its seed."""

    model: ModelSettings
    labels: Labels
    loss: LossWeights
    training: TrainingSettings
    seed: int


def epoch_order(epoch: int, seed: int, pairs_per_epoch: int, count: int | None) -> list[int]:
    """Numbers of the pairs of an epoch: the next ones of endless seeded shuffles of `count`, or new ones for ever."""
    positions = range(epoch * pairs_per_epoch, (epoch + 1) * pairs_per_epoch)
    if count is None:
        return [seed * 10**12 + position for position in positions]
    shuffles = {
        cycle: np.random.default_rng([seed, cycle]).permutation(count)
        for cycle in range(positions[0] // count, positions[-1] // count + 1)
    }
    return [int(shuffles[position // count][position % count]) for position in positions]


class _Pairs(torch.utils.data.Dataset[tuple[np.ndarray, np.ndarray, np.ndarray]]):
    """Pairs by number, for the worker processes of a DataLoader."""

    def __init__(self, sampler: PairSampler) -> None:
        self._sampler = sampler

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pair = self._sampler.pair(index)
        return pair.template, pair.search, pair.box.astype(np.float32)


def batches(source: Source, groups: list[list[int]], frozen: bool) -> Iterator[Batch]:
    """One Batch for each group of pair numbers."""
    if frozen and source.features is not None:
        yield from map(source.features.batch, groups)
        return
    loader = torch.utils.data.DataLoader(
        _Pairs(source.sampler), batch_sampler=groups, num_workers=source.workers, persistent_workers=False
    )
    for template, search, boxes in loader:
        images = template.permute(0, 3, 1, 2), search.permute(0, 3, 1, 2)
        yield Batch((images[0],), (images[1],), boxes, frozen=False)


def build_optimizer(model: SiamLA, settings: TrainingSettings) -> torch.optim.Optimizer:
    """One optimiser for the whole course: frozen parameters get no gradient and are passed over until they thaw."""
    backbone = list(model.backbone.parameters())
    known = {id(parameter) for parameter in backbone}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in known], "scale": 1.0},
        {"params": backbone, "scale": settings.backbone_lr_scale},
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr_start, weight_decay=settings.weight_decay)
    return torch.optim.SGD(groups, lr=settings.lr_start, momentum=settings.momentum, weight_decay=settings.weight_decay)


def _step(
    model: SiamLA,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    recipe: Recipe,
    epoch: int,
    generator: torch.Generator,
    device: torch.device,
) -> dict[str, float]:
    """One optimisation step; the loss terms as numbers, with skipped = 1 when the loss was not usable."""
    template, search = (
        tuple(x.to(device, torch.float32, memory_format=torch.channels_last) for x in side)
        for side in (batch.template, batch.search)
    )
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(recipe.training.precision, device)):
        output = model.forward_features(template, search) if batch.frozen else model(template[0], search[0])
    terms = losses(
        output, batch.boxes.to(device), recipe.labels, recipe.loss, recipe.model.localization, epoch, generator
    )
    values = {name: float(value.detach()) for name, value in terms.items()}
    usable = np.isfinite(values["total"]) and values["total"] < MAX_LOSS
    if usable:
        optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.training.clip_norm)
        optimizer.step()
    return {**values, "skipped": 0.0 if usable else 1.0}


def _epoch(
    model: SiamLA,
    optimizer: torch.optim.Optimizer,
    source: Source,
    recipe: Recipe,
    epoch: int,
    device: torch.device,
    on_step: Callable[[], object],
) -> dict[str, float]:
    """Train one epoch; its row of the history: means over the steps."""
    settings = recipe.training
    frozen = epoch < settings.frozen_epochs
    model.backbone.requires_grad_(not frozen)
    generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
    order = epoch_order(epoch, recipe.seed, settings.pairs_per_epoch, source.count)
    per_epoch = settings.pairs_per_epoch // settings.batch
    groups = [order[i * settings.batch : (i + 1) * settings.batch] for i in range(per_epoch)]
    started, rows, rate = time.monotonic(), [], 0.0
    for number, batch in enumerate(batches(source, groups, frozen)):
        rate = learning_rate(epoch * per_epoch + number, settings.epochs * per_epoch, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        rows.append(_step(model, optimizer, batch, recipe, epoch, generator, device))
        on_step()
    used = [row for row in rows if not row["skipped"]]
    if not used:
        raise UserError(f"epoch {epoch + 1}: no step had a usable loss (last: {rows[-1]['total']:g}); lower lr_start")
    means = {name: float(np.mean([row[name] for row in used])) for name in ("total", "cls", "reg", "loc")}
    course = {"epoch": epoch + 1, "step": (epoch + 1) * per_epoch, "lr": rate}
    return {**course, **means, "skipped": float(len(rows) - len(used)), "seconds": time.monotonic() - started}


def train(
    recipe: Recipe,
    source: Source,
    state: Path,
    key: str,
    device: torch.device,
    on_epoch: Callable[[dict[str, float]], None],
) -> tuple[SiamLA, list[dict[str, float]]]:
    """Train from the saved state, or from the start when there is none, to the end.

    Args:
        state: file that holds the resumable state; written after every epoch.
        key: digest of all that the training depends on; a state with another key is refused.
        on_epoch: called with every finished epoch's row, also with the rows of epochs done before a kill.

    Returns the trained model and the history: one row per epoch.
    """
    model = build_model(recipe.model, recipe.seed).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train()
    optimizer = build_optimizer(model, recipe.training)
    progress: Progress = restore_state(state, key, model, optimizer)
    for row in progress.history:
        on_epoch(row)
    per_epoch = recipe.training.pairs_per_epoch // recipe.training.batch
    total, initial = recipe.training.epochs * per_epoch, progress.epoch * per_epoch
    with progress_bar(total, "train", "step", initial) as bar:
        for epoch in range(progress.epoch, recipe.training.epochs):
            row = _epoch(model, optimizer, source, recipe, epoch, device, bar.update)
            progress.history.append(row)
            progress.epoch = epoch + 1
            save_state(state, key, model, optimizer, progress)
            bar.set_postfix_str(f"epoch {epoch + 1} loss {row['total']:.3f}")
            on_epoch(row)
    return model.eval(), progress.history
