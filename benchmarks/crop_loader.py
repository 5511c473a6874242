"""The crop cache against the loader of the public SiamCAR code, on the same crops in one run, by
turns.

    python benchmarks/crop_loader.py [--frames 480] [--turns 12] [--quality 95] [--profile]

The other loader is rebuilt from what is known of it: two 511 px JPEG files by cv2.imread, a warp
each, the colour offset in float64, a motion blur of 5 to 45 px by a two-dimensional kernel, float32
in the network's order. Both give batches. A turn is a batch of each, or a build of the cache and
the decoding and encoding alone; ratios are medians over turns, on one thread: of CPU time, of its
share outside the kernel (fresh memory costs the public loader more), and of wall time. The frames
are photos that ship in packages, with grain.
"""

import argparse
import cProfile
import pstats
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from siamla.data.crop import crop, mean_colour
from siamla.data.crops import CropCache, build
from siamla.data.pairs import PairSampler
from siamla.data.settings import CropSettings, PairSettings
from siamla.geometry import centre, padded_size
from siamla.miniatures.photos import load_photo
from siamla.sequence import Sequence

VIDEO, STILL = (1280, 720), (640, 427)
FRAMES, BATCH, PUBLIC = 12, 32, 511
PHOTOS = (
    "skimage/data/astronaut.png",
    "skimage/data/coffee.png",
    "skimage/data/chelsea.png",
    "skimage/data/rocket.jpg",
    "skimage/data/motorcycle_left.png",
    "sklearn/datasets/images/china.jpg",
    "sklearn/datasets/images/flower.jpg",
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
)
Turn = Callable[[], object]


def make_videos(folder: Path, frames: int, size: tuple[int, int]) -> list[Sequence]:
    """Videos of 12 frames: a photo that drifts, with a target of 7 to 50 % of the height."""
    folder.mkdir()
    rng, videos, (wide, high) = np.random.default_rng(0), [], size
    for number in range(-(-frames // FRAMES)):
        photo = load_photo(PHOTOS[number % len(PHOTOS)])
        scale = 1.1 * max(wide / photo.shape[1], high / photo.shape[0])
        large = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        sides, files, boxes = (
            np.exp(rng.uniform(np.log(0.07 * high), np.log(0.5 * high), 2)),
            [],
            [],
        )
        for frame in range(FRAMES):
            x, y = (rng.uniform(0, 1, 2) * (large.shape[1] - wide, large.shape[0] - high)).astype(
                int
            )
            view = large[y : y + high, x : x + wide] + rng.normal(0, 2, (high, wide, 1))
            files.append(folder / f"{number:03d}-{frame:02d}.jpg")
            cv2.imwrite(
                str(files[-1]),
                np.clip(view, 0, 255).astype(np.uint8),
                [cv2.IMWRITE_JPEG_QUALITY, 92],
            )
            boxes.append([*rng.uniform(0, 1, 2) * (wide - sides[0], high - sides[1]), *sides])
        videos.append(
            Sequence(f"video{number}", tuple(files), np.array(boxes), np.ones(FRAMES, bool))
        )
    return videos


class Public:
    """The other loader: its files, and batches from them."""

    def __init__(self, videos: list[Sequence], folder: Path, quality: int) -> None:
        folder.mkdir()
        self.tracks, self.rng = [], np.random.default_rng(1)
        for video in videos:
            files = []
            for file, box in zip(video.frames, video.boxes, strict=True):
                image, side = cv2.imread(str(file)), padded_size(box[2], box[3]) * PUBLIC / 127
                view = crop(
                    np.asarray(image, np.uint8),
                    centre(box),
                    float(side),
                    PUBLIC,
                    mean_colour(image),
                )
                files.append(str(folder / file.name))
                cv2.imwrite(files[-1], view, [cv2.IMWRITE_JPEG_QUALITY, quality])
            self.tracks.append(files)
        self.bytes = sum(path.stat().st_size for path in folder.iterdir())

    def view(self, file: str, size: int, shift: float, scale: float, blur: float) -> np.ndarray:
        image = cv2.imread(file)
        zoom, move = 1 + self.rng.uniform(-scale, scale, 2), self.rng.uniform(-shift, shift, 2)
        half = size * zoom / 2
        corner = PUBLIC // 2 + move - half
        matrix = np.array(
            [[1 / zoom[0], 0, -corner[0] / zoom[0]], [0, 1 / zoom[1], -corner[1] / zoom[1]]]
        )
        out = cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_CONSTANT)
        out = out - np.dot(np.eye(3) * 4, self.rng.standard_normal((3, 1))).reshape(3)
        if self.rng.random() < blur:
            length, share = self.rng.choice(np.arange(5, 46, 2)), self.rng.random()
            kernel = np.zeros((length, length))
            kernel[:, length // 2] += share / length
            kernel[length // 2] += (1 - share) / length
            out = cv2.filter2D(out, -1, kernel)
        return out.transpose(2, 0, 1).astype(np.float32)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = []
        for _ in range(BATCH):
            files = self.tracks[self.rng.integers(len(self.tracks))]
            template, search = self.rng.integers(len(files), size=2)
            pairs.append(
                (
                    self.view(files[template], 127, 4, 0.05, 0),
                    self.view(files[search], 255, 64, 0.18, 0.2),
                )
            )
        return np.stack([template for template, _ in pairs]), np.stack(
            [search for _, search in pairs]
        )


def seconds(turn: Turn) -> np.ndarray:
    """CPU, user and wall seconds of a turn."""

    def clocks() -> np.ndarray:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return np.array([used.ru_utime + used.ru_stime, used.ru_utime, time.perf_counter()])

    before = clocks()
    turn()
    return clocks() - before


def compare(title: str, first: Turn, second: Turn, turns: int, things: int) -> None:
    """Print the rates of two and the ratio of the first to the second."""
    for turn in (first, second):
        turn()
    times = np.array([[seconds(first), seconds(second)] for _ in range(turns)])
    rates = np.median(things / times, axis=0)
    cpu, user, wall = (float(np.median(times[:, 1, kind] / times[:, 0, kind])) for kind in range(3))
    told = f"{rates[0][0]:.0f} against {rates[1][0]:.0f} per s of CPU"
    print(f"{title}: {told}, ratio {cpu:.2f} (user {user:.2f}, wall {wall:.2f})")


def reading(videos: list[Sequence], folder: Path, quality: int, turns: int, profile: bool) -> None:
    """Pairs per second and the disk, both forms of the cache."""
    public = Public(videos, folder / "public", quality)
    crops = sum(len(video.frames) for video in videos)
    print(f"public: {public.bytes / crops / 1024:.1f} KiB a crop of {PUBLIC} px")
    for form in ("jpeg", "raw"):
        out = folder / form
        build(videos, CropSettings(form=form, quality=quality), out)
        taken = sum(path.stat().st_size for path in out.iterdir())
        sampler, starts = PairSampler(CropCache(out), PairSettings(dataset="x")), count(0, BATCH)

        def ours(sampler: PairSampler = sampler, starts: Iterator[int] = starts) -> object:
            first = next(starts)
            return sampler.batch(range(first, first + BATCH))

        print(
            f"{form}: {taken / crops / 1024:.1f} KiB a crop, {taken / public.bytes:.2f} of the"
            " public one's disk"
        )
        compare(f"{form}: pairs", ours, public.batch, turns, BATCH)
        if profile:
            with cProfile.Profile() as profiler:
                for _ in range(20):
                    ours()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(18)


def building(title: str, videos: list[Sequence], folder: Path, quality: int, turns: int) -> None:
    """Crops per second of a build and of decoding the frames and encoding the crops alone."""
    settings, number = CropSettings(quality=quality), count()
    files = [file for video in videos for file in video.frames]
    packed = folder / f"packed {title}"
    build(videos, settings, packed)
    views = [np.ascontiguousarray(view) for view, _ in CropCache(packed)]

    def alone() -> None:
        for file, view in zip(files, views, strict=True):
            cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, quality])

    def whole() -> None:
        # in one shard, as the thousands of a large set are written
        build(videos, settings, folder / f"{title} {next(number)}", shard_crops=len(files))

    compare(f"build from {title}: crops", whole, alone, turns, len(files))


def main() -> None:
    """Make the frames, build and read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--quality", type=int, default=95)
    parser.add_argument(
        "--profile", action="store_true", help="print where the time of our loader goes"
    )
    args = parser.parse_args()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = make_videos(folder / "frames", args.frames, VIDEO)
        reading(videos, folder, args.quality, args.turns, args.profile)
        for size in (VIDEO, STILL):
            title = "{}×{}".format(*size)
            building(
                title,
                make_videos(folder / title, args.frames, size),
                folder,
                args.quality,
                args.turns,
            )


if __name__ == "__main__":
    main()
