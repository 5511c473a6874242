"""A tracked frame, decoded image to box, by every engine against plain PyTorch, in turns in one
process.

    python benchmarks/frame_speed.py --size mini --frames 60 [--threads 2] [--model model.pt]
    [--images FOLDER]

Each way tracks the same images and all take turns at every frame, so that other load meets all
alike. Reported are the medians of wall time and of CPU time (which other load disturbs less), and
how many times as long the plain way takes. "plain" is how a frame was tracked before there were
engines: unfolded PyTorch, three copies, a mean colour of the whole image each time. Weights are
random without --model, and images are generated without --images: speed depends on neither.
OpenCV's CSRT is measured where opencv-contrib is installed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from opencv_trackers import OpenCV

from siamla.data.crop import crop, mean_colour
from siamla.engine.engines import described, entry, installed
from siamla.engine.settings import AUTO
from siamla.geometry import padded_size
from siamla.grid import SEARCH, TEMPLATE
from siamla.hardware import Hardware, has_bf16, processor
from siamla.model.checkpoint import load_model
from siamla.model.settings import ModelSettings
from siamla.model.siamla import SiamLA, build_model
from siamla.tracker import postprocess
from siamla.tracker.loading import tracker_of
from siamla.tracker.settings import TrackerSettings

Image = NDArray[np.uint8]
BOX = (600.0, 320.0, 90.0, 120.0)
SIZES = {
    "mini": {
        "backbone": "efficientnet_lite0",
        "channels": 48,
        "tower_depth": 2,
        "groups": 8,
        "regression_bias": 3.4,
    },
    "resnet50": {
        "backbone": "resnet50",
        "channels": 256,
        "tower_depth": 4,
        "groups": 32,
        "regression_bias": 3.4,
    },
}


class Plain:
    """The tracker of before: eager PyTorch, each step as the model has it."""

    def __init__(self, model: SiamLA, settings: TrackerSettings) -> None:
        self.model = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = settings

    def _crop(self, image: Image, size: int) -> torch.Tensor:
        side = float(padded_size(*self.state.size)) * size / TEMPLATE
        pixels = crop(image, self.state.centre, side, size, mean_colour(image))
        return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)

    @torch.inference_mode()
    def init(self, image: Image, box: tuple[float, ...]) -> None:
        """Start on a box."""
        self.state = postprocess.start(box, (image.shape[1], image.shape[0]))
        self.template = self.model.embed_template(self._crop(image, TEMPLATE))

    @torch.inference_mode()
    def update(self, image: Image) -> NDArray[np.float64]:
        """The next box."""
        output = self.model.track(self.template, self._crop(image, SEARCH))
        cls = torch.softmax(output.cls[0].float(), 0)[1].cpu().numpy()
        ltrb, loc = output.ltrb[0].float().cpu().numpy(), output.loc[0, 0].float().cpu().numpy()
        s = self.settings
        found = postprocess.topn(
            cls, ltrb, loc, self.state, s.top_n, s.penalty_k, s.window, s.size_lr
        )
        self.state = found.state
        return found.box


def images(folder: Path | None, count: int) -> list[Image]:
    """Decoded images: a folder's, or 1280×720 noise with a patch that moves slowly."""
    if folder is not None:
        found = [cv2.imread(str(path)) for path in sorted(folder.glob("*.jpg"))[:count]]
        return [np.asarray(image, np.uint8) for image in found if image is not None]
    noise = np.random.default_rng(0)
    ground = cv2.resize(noise.integers(0, 256, (36, 64, 3), dtype=np.uint8), (1280, 720))
    patch = cv2.resize(noise.integers(0, 256, (8, 6, 3), dtype=np.uint8), (90, 120))
    made = []
    for number in range(count):
        image = ground.copy()
        left, top = 600 + number % 40, 320
        image[top : top + 120, left : left + 90] = patch
        made.append(image)
    return made


def network(size: str, localization: str, file: Path | None) -> SiamLA:
    """The network of a file, or one of this size with random weights."""
    if file is not None:
        return load_model(file)
    return build_model(
        ModelSettings.model_validate({**SIZES[size], "localization": localization}), seed=0
    ).eval()


def ways(args: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """What makes each tracker that is measured."""
    settings = {"top_n": 3, "penalty_k": 0.15, "window": 0.2, "size_lr": 0.12}
    kinds = {"siamcar": "centerness", "siamla": "lafa"} if args.model is None else {"model": ""}
    models = {name: network(args.size, kind, args.model) for name, kind in kinds.items()}
    ready = [engine for engine in AUTO if installed(entry(engine).package)]
    precisions = ("fp32", "bf16") if has_bf16(torch.device("cpu")) else ("fp32",)
    found: dict[str, Callable[[], object]] = {}
    for name, model in models.items():
        found[f"{name} plain"] = lambda model=model: Plain(model, TrackerSettings(**settings))
        for engine in ready:
            for precision in precisions:
                hardware = Hardware("cpu", precision, args.threads)  # type: ignore[arg-type]
                chosen = TrackerSettings(**settings, engine=engine, precision=precision)
                found[f"{name} {engine} {precision}"] = (
                    lambda model=model, chosen=chosen, hardware=hardware: tracker_of(
                        model, chosen, hardware=hardware
                    )
                )
    if hasattr(cv2, "TrackerCSRT_create"):
        found["OpenCV CSRT"] = lambda: OpenCV(cv2.TrackerCSRT_create)
    else:
        print(
            "OpenCV CSRT: not measured, cv2 has none; it is in opencv-contrib-python, in place of"
            " opencv-python"
        )
    return found


def main() -> None:
    """Measure in turns and print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--model", type=Path, help="a model file in place of random weights")
    parser.add_argument("--images", type=Path, help="a folder of .jpg in place of generated images")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    shown = images(args.images, args.frames + 4)
    trackers = {}
    for name, make in ways(args).items():
        started = time.perf_counter()
        trackers[name] = make()
        trackers[name].init(shown[0], BOX)  # type: ignore[attr-defined]
        print(f"{name}: ready after {time.perf_counter() - started:.2f} s", flush=True)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in trackers}
    for number, image in enumerate(shown[1:]):
        for name, tracker in trackers.items():
            wall, cpu = time.perf_counter(), time.process_time()
            tracker.update(image)  # type: ignore[attr-defined]
            if number >= 3:  # warm
                spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    versions = ", ".join(described(engine) for engine in AUTO if installed(entry(engine).package))
    print(
        f"\n{processor()}; {args.size}, {args.threads} threads, {len(shown) - 4} frames of"
        f" {shown[0].shape}; {versions}"
    )
    print(f"{'':32}{'wall ms':>9}{'CPU ms':>9}{'plain/it: wall':>16}{'CPU':>7}{'least CPU':>11}")
    for name, values in spent.items():
        reference = spent.get(f"{name.split()[0]} plain", spent[next(iter(spent))])
        wall, cpu = (1e3 * statistics.median(column) for column in zip(*values, strict=True))
        by_wall, by_cpu = (
            statistics.median(theirs) / statistics.median(ours)
            for theirs, ours in zip(
                zip(*reference, strict=True), zip(*values, strict=True), strict=True
            )
        )
        least = min(each[1] for each in reference) / min(each[1] for each in values)
        print(f"{name:32}{wall:9.1f}{cpu:9.1f}{by_wall:16.2f}{by_cpu:7.2f}{least:11.2f}")


if __name__ == "__main__":
    main()
