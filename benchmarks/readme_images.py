"""README's opening images from a profile that has run: a looping strip of one clip, and Fig. 9.

    python benchmarks/readme_images.py --profile mini --benchmark otb100 --out docs/images

The strip is the sequence on which our tracker is nearest to its median score, so neither its best
nor its worst; truth white, ours orange, the baseline blue. Both images need the results, the videos
and `siamla report figure fig9`.
"""

import argparse
import base64
import shutil
import sys
from pathlib import Path

import numpy as np

from siamla.benchmark import store
from siamla.data.curate import load_curated
from siamla.errors import UserError
from siamla.experiment.plan import Plan
from siamla.files import atomic
from siamla.report.differences import OVERALL, by_sequence, members
from siamla.report.drawing.jobs import benchmarks, figures_of, trackers
from siamla.report.drawing.style import look
from siamla.report.page.clips import clip
from siamla.steps.report import gather


def strip(plan: Plan, benchmark: str) -> tuple[str, bytes]:
    """(name of the sequence, animated WebP)."""
    chosen = figures_of(plan)
    info, known = benchmarks(plan)[benchmark], trackers(plan)
    if info["layout"] == "vot":
        raise UserError(
            f"--benchmark {benchmark}: its runs start anew after a failure; expected a one-pass"
            " benchmark"
        )
    seed = plan.experiment.seeds(chosen.ours)[0]
    score = next(iter(gather([plan.score(benchmark, chosen.ours, seed)]).values()))
    names = members([score], OVERALL)
    values = by_sequence([score], names, info["headline"])[0]
    name = names[int(np.argsort(values, kind="stable")[len(values) // 2])]
    video = next(
        video for video in load_curated(plan.curate(benchmark).folder) if video.name == name
    )
    folders = {
        v: plan.predict(benchmark, v, plan.experiment.seeds(v)[0]).folder
        for v in (chosen.baseline, chosen.ours)
    }
    boxes = {v: store.read_boxes(folder, name, info["layout"]) for v, folder in folders.items()}
    moving = clip(video, boxes, {v: look(known[v])["color"] for v in boxes}).moving
    return name, base64.b64decode(moving.partition(",")[2])


def main() -> None:
    """Write strip.webp and fig9.png."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="mini")
    parser.add_argument("--benchmark", default="otb100")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    plan = Plan.load(args.profile)
    source = Path("reports", plan.name, "figures", "fig9.png")
    if not source.is_file():
        raise UserError(
            f"{source}: not found; `siamla report figure fig9 --profile {plan.name}` makes it"
        )
    name, data = strip(plan, args.benchmark)
    with atomic(args.out / "strip.webp") as temporary:
        temporary.write_bytes(data)
    shutil.copyfile(source, args.out / "fig9.png")
    print(f"{args.out}/strip.webp ({name}), {args.out}/fig9.png")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
