"""Search crops a second in batches of several sizes: what tracking in lock step (tracker.batch) can
gain.

    python benchmarks/lockstep_speed.py --size mini --engine openvino --batches 1 2 4 8 [--seconds
    20]

The sizes take turns, so that other load meets all alike; on a GPU where there is one. Weights are
random, since speed does not depend on them. Decoding and cropping are left out: in lock step they
run in the trackers' threads.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from frame_speed import SIZES, network

from siamla.engine.engines import ENGINES, described, prepare, resolve_engine
from siamla.grid import SEARCH, TEMPLATE
from siamla.place import Place, default_device, processor


def main() -> None:
    """Measure in turns; print medians and ratios to the first size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--engine", choices=("auto", *ENGINES), default="auto")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=20, help="for each network, all sizes together"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device, noise = default_device(), np.random.default_rng(0)
    name = f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"
    place, engine = Place(name, args.precision, args.threads), resolve_engine(args.engine, device)
    where = processor() if device.type == "cpu" else name
    print(f"{where}; {described(engine)}, {args.precision}, {args.threads} threads; {args.size}")
    for label, kind in (("SiamCAR", "centerness"), ("SiamLA", "lafa")):
        model, steps = network(args.size, kind, None), {}
        for batch in args.batches:
            ready = prepare(engine, model, place, batch)
            template, search = (
                noise.integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
                for side in (TEMPLATE, SEARCH)
            )
            steps[batch] = (ready.search, ready.embed(template), search)
            steps[batch][0](*steps[batch][1:])
        spent: dict[int, list[float]] = {batch: [] for batch in args.batches}
        end = time.perf_counter() + args.seconds
        while time.perf_counter() < end:
            for batch, (run, state, search) in steps.items():
                started = time.perf_counter()
                run(state, search)
                spent[batch].append((time.perf_counter() - started) / batch)
        rate = {batch: 1 / statistics.median(times) for batch, times in spent.items()}
        told = ", ".join(
            f"{b}: {r:.0f}/s (×{r / rate[args.batches[0]]:.2f})" for b, r in rate.items()
        )
        print(f"{label}: {told}")


if __name__ == "__main__":
    main()
