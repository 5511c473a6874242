"""What LAFA costs a tracked frame: baseline and SiamLA side by side in one run, time and memory.

Both networks take turns on the same image, so that a machine whose speed drifts is fair to both;
the ratio of the median times is the result. Memory is each network's peak in a process of its own,
as the increase over the process with torch loaded. Weights are random: speed does not depend on
them.

    python benchmarks/lafa_speed.py --backbone resnet50 --channels 256 --threads 2 --frames 20
"""

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path

import torch

from siamla.grid import SEARCH, TEMPLATE
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA, build_model


def settings(localization: str, args: argparse.Namespace) -> ModelSettings:
    """The network of a variant at the size asked for."""
    return ModelSettings.model_validate(
        {
            "backbone": args.backbone,
            "channels": args.channels,
            "tower_depth": args.tower_depth,
            "groups": 32 if args.channels % 32 == 0 else 8,
            "localization": localization,
        }
    )


def network(localization: str, args: argparse.Namespace) -> SiamLA:
    """The network ready to track."""
    torch.set_num_threads(args.threads)
    return (
        build_model(settings(localization, args), seed=0)
        .eval()
        .to(memory_format=torch.channels_last)
    )


def times(args: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds of every frame, baseline and LAFA in turns, after one unmeasured frame each."""
    models = {name: network(name, args) for name in ("centerness", "lafa")}
    template, search = (
        torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8) for side in (TEMPLATE, SEARCH)
    )
    out: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
        states = {name: model.embed_template(template) for name, model in models.items()}
        for frame in range(args.frames + 1):
            for name, model in models.items():
                start = time.perf_counter()
                model.track(states[name], search)
                if frame:
                    out[name].append(1e3 * (time.perf_counter() - start))
    return out


def peak_memory(job: tuple[str, argparse.Namespace]) -> float:
    """MiB that tracking three frames adds to a fresh process."""
    localization, args = job
    before = _status("VmRSS")
    model = network(localization, args)
    template, search = (
        torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8) for side in (TEMPLATE, SEARCH)
    )
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
        state = model.embed_template(template)
        for _ in range(3):
            model.track(state, search)
    return _status("VmHWM") - before


def _status(field: str) -> float:
    """A memory figure of this process in MiB (Linux); unlike ru_maxrss, VmHWM starts afresh in a
    spawned process.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--backbone", choices=["resnet50", "efficientnet_lite0"], default="resnet50"
    )
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--tower-depth", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="autocast to bf16 (only faster where the CPU supports it)",
    )
    args = parser.parse_args()
    memory = {}
    for name in ("centerness", "lafa"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            memory[name] = pool.map(peak_memory, [(name, args)])[0]
    medians = {name: statistics.median(values) for name, values in times(args).items()}
    print(
        f"{args.backbone}, {args.channels} channels, {args.threads} threads, "
        f"{args.frames} frames, PyTorch {torch.__version__}"
    )
    for name in medians:
        print(f"{name:11s} {medians[name]:8.1f} ms a frame {memory[name]:8.0f} MiB")
    print(
        f"{'ratio':11s} {medians['lafa'] / medians['centerness']:8.3f}"
        f" {memory['lafa'] / memory['centerness']:19.3f}"
    )


if __name__ == "__main__":
    main()
