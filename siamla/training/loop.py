"""The resumable training loop. The same settings, seed, data and place give the same bytes, also when killed."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from siamla.errors import UserError
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA, build_model
from siamla.place import Place
from siamla.progress import progress as progress_bar
from siamla.stopping import stop_requests
from siamla.training.batches import Source, batches, negative_noise, steps_per_epoch
from siamla.training.checkpoint import Progress, restore_state, save_state
from siamla.training.features import Batch
from siamla.training.losses import losses
from siamla.training.schedule import learning_rate
from siamla.training.settings import Labels, LossWeights, TrainingSettings

MAX_LOSS = 1e4  # siamcar.md §2.5: a step with a larger or non-finite loss is skipped


@dataclass(frozen=True)
class Recipe:
    """The settings that a training depends on, and its seed."""

    model: ModelSettings
    labels: Labels
    loss: LossWeights
    training: TrainingSettings
    seed: int


class Stopped(KeyboardInterrupt):
    """The training was asked to stop, and its state is saved."""


def set_up(place: Place) -> None:
    """Make this process compute as the place says: its threads, the same bytes each time, and fp32 that is fp32."""
    torch.set_num_threads(place.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a workspace
    torch.use_deterministic_algorithms(True)
    # off: filling new memory costs 4 % of a step and only helps to find what reads it too early
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def build_optimizer(model: SiamLA, settings: TrainingSettings) -> torch.optim.Optimizer:
    """One optimiser for the whole course: frozen parameters get no gradient and are passed over until they thaw."""
    backbone = list(model.backbone.parameters())
    known = {id(parameter) for parameter in backbone}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in known], "scale": 1.0},
        {"params": backbone, "scale": settings.backbone_lr_scale},
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr_start, weight_decay=settings.weight_decay, fused=True)
    return torch.optim.SGD(
        groups, lr=settings.lr_start, momentum=settings.momentum, weight_decay=settings.weight_decay, fused=True
    )


def _layout(device: torch.device) -> torch.memory_format:
    """Channels last for a GPU's convolutions; a CPU's bring their own, its group norm wants channels first."""
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def start(recipe: Recipe, place: Place) -> tuple[SiamLA, torch.optim.Optimizer]:
    """The network with its initial weights, in training mode and on its device, and its optimiser."""
    model = build_model(recipe.model, recipe.seed).to(place.torch_device)
    model = model.to(memory_format=_layout(place.torch_device))  # type: ignore[call-overload]
    return model.train(), build_optimizer(model, recipe.training)


def _on_device(side: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    """Levels or images in fp32; to a GPU they travel as they are stored, which is smaller."""
    there = (x.to(device, non_blocking=device.type == "cuda") for x in side)
    return tuple(x.to(torch.float32, memory_format=_layout(device)) for x in there)


def optimise(
    model: SiamLA,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    noise: Tensor,
    recipe: Recipe,
    epoch: int,
    place: Place,
) -> dict[str, float]:
    """One optimisation step; the loss terms as numbers, with skipped = 1 when the loss was not usable."""
    device = place.torch_device
    template, search = _on_device(batch.template, device), _on_device(batch.search, device)
    with place.autocast():
        output = model.forward_features(template, search) if batch.frozen else model(template[0], search[0])
    terms = losses(output, batch.boxes.to(device), recipe.labels, recipe.loss, recipe.model.localization, epoch, noise)
    numbers = torch.stack([value.detach() for value in terms.values()]).tolist()  # one wait for the device, not four
    values = dict(zip(terms, numbers, strict=True))
    usable = np.isfinite(values["total"]) and values["total"] < MAX_LOSS
    if usable:
        optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.training.clip_norm)
        optimizer.step()
    return {**values, "skipped": 0.0 if usable else 1.0}


def _rate(recipe: Recipe, epoch: int, step: int) -> float:
    per_epoch = steps_per_epoch(recipe.training)
    return learning_rate(epoch * per_epoch + step, recipe.training.epochs * per_epoch, recipe.training)


def _epoch(
    model: SiamLA,
    optimizer: torch.optim.Optimizer,
    stream: Iterator[Batch],
    recipe: Recipe,
    progress: Progress,
    place: Place,
    on_step: Callable[[], object],
) -> dict[str, float]:
    """Train what is left of an epoch; its row of the history: means over the steps, also those done before."""
    settings, epoch = recipe.training, progress.epoch
    model.backbone.requires_grad_(epoch >= settings.frozen_epochs)
    per_epoch, clock = steps_per_epoch(settings), time.monotonic()
    while progress.step < per_epoch:
        batch, noise = next(stream), negative_noise(recipe.seed, epoch, progress.step, settings)
        for group in optimizer.param_groups:
            group["lr"] = _rate(recipe, epoch, progress.step) * group["scale"]
        progress.rows.append(optimise(model, optimizer, batch, noise, recipe, epoch, place))
        progress.step += 1
        clock, before = time.monotonic(), clock
        progress.seconds += clock - before
        on_step()
    used = [row for row in progress.rows if not row["skipped"]]
    if not used:
        last = progress.rows[-1]["total"]
        raise UserError(f"epoch {epoch + 1}: no step had a usable loss (last: {last:g}); lower lr_start")
    course = {"epoch": epoch + 1, "step": (epoch + 1) * per_epoch, "lr": _rate(recipe, epoch, per_epoch - 1)}
    means = {name: float(np.mean([row[name] for row in used])) for name in used[0] if name != "skipped"}
    return {**course, **means, "skipped": float(per_epoch - len(used)), "seconds": progress.seconds}


@contextmanager
def _readers_alive(workers: int) -> Iterator[None]:
    """The death of a process that loads pairs becomes a UserError."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(
            f"train: a process that loads pairs died (killed, or out of memory: {workers} were at work); "
            "run the same command again to go on"
        ) from None


def train(
    recipe: Recipe,
    source: Source,
    place: Place,
    state: Path,
    key: str,
    on_epoch: Callable[[dict[str, float]], None],
    save_minutes: float = 10.0,
) -> tuple[SiamLA, list[dict[str, float]]]:
    """Train from the saved state, or from the start when there is none, to the end.

    Args:
        state: file that holds the resumable state; written after every epoch, every `save_minutes`, and at the next
            step when SIGTERM or SIGINT asks for an end.
        key: digest of all that the training depends on; a state with another key is refused.
        on_epoch: called with every finished epoch's row, also with the rows of epochs done before a stop.

    Returns the trained model and the history: one row per epoch. Raises Stopped when a signal asked for it, and
    UserError for a state that does not fit, a loss that is never usable, or a loading process that died.
    """
    with stop_requests() as asked, _readers_alive(source.workers):
        settings, per_epoch = recipe.training, steps_per_epoch(recipe.training)
        model, optimizer = start(recipe, place)
        progress = restore_state(state, key, model, optimizer)
        for row in progress.history:
            on_epoch(row)
        saved = time.monotonic()

        def save() -> None:
            nonlocal saved
            save_state(state, key, model, optimizer, progress)
            saved = time.monotonic()
            if asked() and progress.epoch < settings.epochs:
                where = f"epoch {progress.epoch + 1}, {progress.step} of {per_epoch} steps done"
                print(f"{state}: saved ({where}); the same command goes on from here", file=sys.stderr, flush=True)
                raise Stopped

        initial = progress.epoch * per_epoch + progress.step
        pinned = place.torch_device.type == "cuda"
        stream = batches(source, recipe.seed, settings, progress.epoch, progress.step, pinned)
        with progress_bar(settings.epochs * per_epoch, "train", "step", initial) as bar, closing(stream):

            def on_step() -> None:
                bar.update()
                if progress.step < per_epoch and (asked() or time.monotonic() - saved > 60 * save_minutes):
                    save()

            while progress.epoch < settings.epochs:
                row = _epoch(model, optimizer, stream, recipe, progress, place, on_step)
                progress.close_epoch(row)
                bar.set_postfix_str(f"epoch {progress.epoch} loss {row['total']:.3f}")
                save()
                on_epoch(row)
        return model.eval(), progress.history
