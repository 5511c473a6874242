"""One step of a training: what learns, and what a batch does to it."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from siamla.hardware import Hardware
from siamla.model.checkpoint import initial_model
from siamla.model.fast import for_training
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA
from siamla.training.distributed import ALONE, GlobalBatchNorm, Ranks
from siamla.training.features import Batch
from siamla.training.losses import losses
from siamla.training.settings import Labels, LossWeights, TrainingSettings

# a step with a larger or non-finite loss is skipped, as in SiamCAR's public code (train.py)
MAX_LOSS = 1e4
PARTS = ("model", "optimizer", "scaler")  # of a learner, which have a state


@dataclass(frozen=True)
class Recipe:
    """The settings that a training depends on, and its seed."""

    model: ModelSettings
    labels: Labels
    loss: LossWeights
    training: TrainingSettings
    seed: int


@dataclass(frozen=True)
class Resources:
    """What a training is computed with: it decides no more than last digits."""

    hardware: Hardware
    ranks: Ranks = ALONE
    accumulate: int = 1  # parts in which the backbone sees a batch; more take less memory


@dataclass
class Progress:
    """Where a training stands. Random numbers need no state: each step has its own."""

    epoch: int = 0  # epochs done
    step: int = 0  # steps done of the next epoch
    rows: list[dict[str, float]] = field(default_factory=list)  # what those steps gave
    seconds: float = 0.0  # that those steps took
    waited: float = 0.0  # seconds of these, for pairs
    unusable: int = 0  # the last steps, in a row, without a usable loss or gradient
    processes: list[int] = field(default_factory=list)  # that trained, each time this changed
    history: list[dict[str, float]] = field(default_factory=list)  # rows of the epochs done

    def close_epoch(self, row: dict[str, float]) -> None:
        """Note that the epoch is done and gave `row`."""
        self.history.append(row)
        self.epoch += 1
        self.step = 0
        self.rows = []
        self.seconds = 0.0
        self.waited = 0.0


@dataclass
class Learner:
    """What a training changes from step to step."""

    recipe: Recipe
    resources: Resources
    model: SiamLA
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler  # of the losses in fp16; in other precisions it does nothing

    def state(self) -> dict[str, Any]:
        """All of it, to be saved."""
        return {name: getattr(self, name).state_dict() for name in PARTS}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])

    def thaw(self, epoch: int) -> None:
        """Let the backbone learn, or the blocks that may, from the epoch on in which they do."""
        settings, backbone = self.recipe.training, self.model.backbone
        upper = settings.thaw == "upper"
        for parameter in backbone.parameters():
            parameter.requires_grad_(not upper and epoch >= settings.frozen_epochs)
        for parameter in backbone.upper_parameters():
            parameter.requires_grad_(epoch >= settings.frozen_epochs)

    def trained(self) -> SiamLA:
        """A copy of the model as it stands, for use."""
        return copy.deepcopy(self.model).eval()


def set_up(hardware: Hardware) -> None:
    """Make this process compute with so many threads, the same bytes each time, and true fp32."""
    torch.set_num_threads(hardware.threads)
    # cuBLAS is deterministic only with a workspace
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # off: filling new memory costs 4 % of a step and only helps to find what reads it too early
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def build_optimizer(model: SiamLA, settings: TrainingSettings) -> torch.optim.Optimizer:
    """One optimiser for the whole course: it passes over frozen parameters until they thaw."""
    backbone = list(model.backbone.parameters())
    slow = {id(parameter) for parameter in backbone}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in slow], "scale": 1.0},
        {"params": backbone, "scale": settings.backbone_lr_scale},
    ]
    common: dict[str, Any] = {
        "lr": settings.lr_start,
        "weight_decay": settings.weight_decay,
        "fused": True,
    }
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, **common)
    return torch.optim.SGD(groups, momentum=settings.momentum, **common)


def _layout(device: torch.device) -> torch.memory_format:
    """Channels last for a GPU's convolutions; a CPU's group norm wants channels first."""
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def start(recipe: Recipe, resources: Resources) -> Learner:
    """The network with its initial weights, in training mode on its device, and its optimiser."""
    settings, device = recipe.training, resources.hardware.torch_device
    model = for_training(initial_model(recipe.model, recipe.seed, settings.init)).to(device)
    model = model.to(memory_format=_layout(device))  # type: ignore[call-overload]
    for neck in model.each_neck() if resources.ranks.world > 1 else ():
        neck.norm = GlobalBatchNorm(neck.norm, resources.ranks)
    optimizer = build_optimizer(model, settings)
    scaler = torch.amp.GradScaler(device.type, enabled=resources.hardware.precision == "fp16")
    return Learner(recipe, resources, model.train(), optimizer, scaler)


def _sent(x: Tensor, device: torch.device) -> Tensor:
    """On the device: the CPU does not wait for a copy out of page-locked memory."""
    if device.type != "cpu" and not x.is_pinned():
        x = x.pin_memory()
    return x.to(device, non_blocking=True)


def _on_device(side: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    """Levels or images in fp32; to a GPU they travel as they are stored, which is smaller."""
    layout = _layout(device)
    return tuple(_sent(x, device).to(torch.float32, memory_format=layout) for x in side)


def _in_parts(
    blocks: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor, parts: int
) -> tuple[Tensor, ...]:
    """Levels that blocks make of x, computed in parts, and again by the backward pass."""
    if parts == 1:
        return blocks(x)
    chunks = [
        checkpoint(blocks, chunk, use_reentrant=False, preserve_rng_state=False)
        for chunk in x.chunk(parts)
    ]
    return tuple(torch.cat(level) for level in zip(*chunks, strict=True))


def _levels(
    learner: Learner, side: tuple[Tensor, ...], frozen: bool, epoch: int
) -> tuple[Tensor, ...]:
    """The backbone's levels of one side of a batch: as they are cached, but for what learns."""
    settings, backbone = learner.recipe.training, learner.model.backbone
    parts = learner.resources.accumulate
    if not frozen:
        return _in_parts(backbone, side[0], parts)
    if epoch < settings.frozen_epochs:
        return side
    return side[0], *_in_parts(backbone.upper, side[0], parts)


def optimise(learner: Learner, batch: Batch, noise: Tensor, epoch: int) -> dict[str, float]:
    """One optimisation step with this process's part of a batch.

    Returns the batch's loss terms and the norm of its gradient as numbers, the same in all
    processes, with skipped = 1 when loss or gradient was not usable: then nothing has changed.
    """
    recipe, model, hardware = learner.recipe, learner.model, learner.resources.hardware
    device, ranks = hardware.torch_device, learner.resources.ranks
    template, search = _on_device(batch.template, device), _on_device(batch.search, device)
    statistics = [buffer.clone() for buffer in model.necks.buffers()]
    learner.optimizer.zero_grad(set_to_none=True)
    with hardware.autocast():
        template = _levels(learner, template, batch.frozen, epoch)
        search = _levels(learner, search, batch.frozen, epoch)
        output = model.forward_features(template, search)
    branch = recipe.model.localization
    boxes, drawn = _sent(batch.boxes, device), _sent(noise, device)
    terms = losses(output, boxes, recipe.labels, recipe.loss, branch, epoch, drawn, ranks.sum)
    learner.scaler.scale(terms["total"]).backward()
    ranks.sum_gradients(model.parameters())
    learner.scaler.unscale_(learner.optimizer)
    norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.training.clip_norm)
    summed = ranks.sum(torch.stack([value.detach() for value in terms.values()]))
    # one wait for the device
    numbers = torch.cat([summed, norm.detach().reshape(1).to(summed)]).tolist()
    values = dict(zip([*terms, "grad_norm"], numbers, strict=True))
    finite = bool(np.isfinite([values["total"], values["grad_norm"]]).all())
    usable = finite and values["total"] < MAX_LOSS
    if usable:
        learner.scaler.step(learner.optimizer)
    else:
        for buffer, before in zip(model.necks.buffers(), statistics, strict=True):
            buffer.copy_(before)
    learner.scaler.update()
    return {**values, "skipped": 0.0 if usable else 1.0}
