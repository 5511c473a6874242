"""The card of a profile's data: photos, rendered sets, real clips, licences, digests."""

from importlib.metadata import packages_distributions, version
from pathlib import Path

from siamla import __version__
from siamla.data.real.clips import load_videos
from siamla.experiment.plan import Plan
from siamla.files import read_json, sha256
from siamla.miniatures.photos import PHOTOS, photo_path
from siamla.steps.perform import sound

CARD = Path(__file__).with_suffix(".md")


def _photo(name: str, split: str, distribution: str) -> str:
    digest = sha256(photo_path(name))[:16]
    return f"| {Path(name).name} | {distribution} {version(distribution)} | {split} | {digest} |"


def _set(plan: Plan, dataset: str, name: str) -> str:
    """The row of a set; UserError where it is not curated, or not as the plan has it."""
    settings = plan.generated_set(name)
    report = read_json(sound(plan.job("curate", dataset=dataset)) / "report.json")
    used = "training" if dataset in plan.profile.train else "a benchmark"
    each = report["frames_per_sequence"]
    frames = f"{each['min']} to {each['max']}" if each["min"] < each["max"] else str(each["min"])
    width, height = settings.size
    columns = (
        *(f"`{name}`", used, settings.layout, settings.split, report["sequences"]),
        *(report["frames"], frames, f"{width}×{height}", report["digest"]),
    )
    return f"| {' | '.join(map(str, columns))} |"


def data_card(profile: str) -> str:
    """The card as Markdown.

    Raises:
        UserError: a package lacks a photo; a set is not curated, or is not the plan's.
    """
    plan = Plan.load(profile)
    installed = packages_distributions()
    photos = [(name, split) for split, names in PHOTOS.items() for name in names]
    sets = [
        _set(plan, dataset, entry.rendered)
        for dataset, entry in plan.datasets.items()
        if entry.rendered
    ]
    videos = [
        f"| {name} | {video.split} | `{video.archive}` | {video.frames} |"
        f" {video.size[0]}×{video.size[1]} | {video.sha256[:16]} | {video.licence} |"
        for name, video in load_videos().items()
    ]
    values = {
        "profile": profile,
        "version": __version__,
        "photos": len(photos),
        "photo_rows": "\n".join(
            _photo(name, split, installed[name.partition("/")[0]][0]) for name, split in photos
        ),
        "set_rows": "\n".join(sets),
        "video_rows": "\n".join(videos),
        "train": len(PHOTOS["train"]),
        "test": len(PHOTOS["test"]),
    }
    return CARD.read_text(encoding="utf-8").format(**values)
