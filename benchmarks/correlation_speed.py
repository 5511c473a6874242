"""The depth-wise correlation with its own gradient, against autograd's of the same grouped
convolution, in one run.

python benchmarks/correlation_speed.py --batch 16 --channels 64 --threads 1
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from siamla.grid import CELLS, KERNEL, SCORE
from siamla.model.correlation import _correlate, depthwise_correlation


def seconds(
    correlate: Callable[[Tensor, Tensor], Tensor], search: Tensor, template: Tensor, grad: Tensor
) -> float:
    """Time of one forward and backward pass."""
    search, template = search.detach().requires_grad_(), template.detach().requires_grad_()
    start = time.perf_counter()
    correlate(search, template).backward(grad)
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns and print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    sides = (CELLS, KERNEL, SCORE)
    tensors = [
        torch.randn(args.batch, args.channels, side, side, generator=generator) for side in sides
    ]
    ways = {"own gradient": depthwise_correlation, "autograd's": _correlate}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(args.repeats + 1):
        for name, correlate in ways.items():
            spent = seconds(correlate, *tensors)
            if repeat:
                times[name].append(1e3 * spent)
    own, plain = (statistics.median(times[name]) for name in ways)
    print(
        f"batch {args.batch}, {args.channels} channels, {args.threads} threads, PyTorch"
        f" {torch.__version__}"
    )
    print(f"own gradient {own:.1f} ms, autograd's {plain:.1f} ms, ratio {plain / own:.1f}")


if __name__ == "__main__":
    main()
