"""Several processes that train one model, started by torchrun: what they sum, batch norm over all.

Gradients are summed in buckets that are cut in the order of the parameters: DistributedDataParallel
cuts other ones in its first step after a start, so that a training taken up again would end with
other bytes.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from siamla.errors import UserError

BUCKET = 25 * 2**18  # numbers of a bucket: 25 MiB in fp32
PATIENCE = timedelta(hours=2)  # for what the first process does alone: saving, a validation


@contextmanager
def _connected(world: int) -> Iterator[None]:
    """What a lost connection raises becomes a UserError."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0][:80]
        raise UserError(
            f"train: one of {world} processes has ended ({reason}); the same command goes on"
        ) from None


@dataclass(frozen=True)
class Ranks:
    """This process, number `rank` of `world` that train together; the first one writes."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's part of `count` things; UserError when there are too few for all."""
        if count < self.world:
            raise UserError(
                f"training.batch: {count} pairs for {self.world} processes; start at most {count}"
            )
        return slice(self.rank * count // self.world, (self.rank + 1) * count // self.world)

    def sum(self, tensor: Tensor) -> Tensor:
        """The tensor, overwritten by the sum over all processes."""
        if self.world > 1:
            with _connected(self.world):
                dist.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.sum(torch.tensor(int(flag)))) if self.world > 1 else flag

    def broadcast(self, value: Any) -> Any:
        """The first process's value."""
        box = [value]
        if self.world > 1:
            with _connected(self.world):
                dist.broadcast_object_list(box)
        return box[0]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Overwrite the gradients by their sums over all processes."""
        if self.world == 1:
            return
        bucket: list[Tensor] = []
        for gradient in (p.grad for p in parameters if p.grad is not None):
            if bucket and sum(g.numel() for g in bucket) + gradient.numel() > BUCKET:
                self._sum_bucket(bucket)
                bucket = []
            bucket.append(gradient)
        self._sum_bucket(bucket)

    def _sum_bucket(self, bucket: list[Tensor]) -> None:
        flat = self.sum(torch.cat([gradient.reshape(-1) for gradient in bucket]))
        for gradient, part in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
            gradient.copy_(part.view(gradient.shape))


ALONE = Ranks()


def _own_gpu(rank: int) -> int:
    """The GPU of the process of this number on its machine; UserError where there are too few."""
    count = torch.cuda.device_count()
    if rank >= count:
        raise UserError(
            f"train: process {rank + 1} of this machine has no GPU of its own, there are {count};"
            f" start torchrun with --nproc-per-node {count}"
        )
    return rank


@contextmanager
def joined() -> Iterator[Ranks]:
    """This process among those of torchrun, with a GPU of its own if there are any; else alone."""
    world = os.environ.get("WORLD_SIZE", "1")
    if world == "1":
        yield ALONE
        return
    backend = "gloo"
    try:
        if torch.cuda.is_available():
            backend = "cpu:gloo,cuda:nccl"
            torch.cuda.set_device(_own_gpu(int(os.environ["LOCAL_RANK"])))
            # sums inside a switch differ from run to run
            os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
        dist.init_process_group(backend, timeout=PATIENCE)
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"WORLD_SIZE={world}, but the processes do not meet ({reason}); start them by torchrun"
        ) from None
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum over all processes. Its gradient is summed too: each process's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.sum(x.clone())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.sum(grads[0].clone()), None


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm by the statistics of all processes, on any device, of parts of unequal size.

    PyTorch's SyncBatchNorm is for GPUs alone. Sums meet in fp64, where nothing cancels out.
    """

    def __init__(self, norm: nn.BatchNorm2d, ranks: Ranks) -> None:
        """In place of `norm`, with its parameters and statistics."""
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias, self.ranks = norm.weight, norm.bias, ranks
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked

    def forward(self, x: Tensor) -> Tensor:
        """The normalised values (B, C, H, W), of the type of x."""
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            values, count = x.float(), x.numel() // x.shape[1]
            local = values.mean((0, 2, 3))
            spread = (values - local[:, None, None]).square().sum((0, 2, 3)).double()
            local = local.double()
            number = local.new_full((1,), count)  # a tensor of a list is a copy from the CPU
            sums = _Sum.apply(
                torch.cat([local * count, spread + local.square() * count, number]), self.ranks
            )
            mean, square = (sums[:-1] / sums[-1]).chunk(2)
            variance = square - mean.square()
            scale = torch.rsqrt(variance + self.eps).float() * self.weight
            shifted = (values - mean.float()[:, None, None]) * scale[:, None, None]
            out = shifted + self.bias[:, None, None]
            unbiased = variance * sums[-1] / (sums[-1] - 1)
            running = {"running_mean": mean, "running_var": unbiased}
            for name, statistic in running.items():
                getattr(self, name).lerp_(statistic.detach().float(), self.momentum)
            self.get_buffer("num_batches_tracked").add_(1)
        return out.to(x.dtype)
