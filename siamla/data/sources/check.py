"""A look at a training set before hours are spent: what is missing, damaged or odd, and the disk it
will take.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from siamla.data.images import complete, decode
from siamla.data.layout import Preset
from siamla.data.settings import CropSettings
from siamla.data.sources.disk import crop_bytes
from siamla.data.sources.survey import Survey, runs
from siamla.errors import UserError
from siamla.files import regular

DECODED = 200  # images that are read to their end
EXPECTED = ("images of negatives", "images without a box")
"""Findings that every whole set has."""


@dataclass
class Looked:
    """What a look at a set found.

    Attributes:
        problems: why it should not be trained on as it is; none of a usable set.
        lines: counts, findings with first examples, and the disk, for people.
        disk: bytes of the crops.
    """

    problems: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    disk: float = 0.0


def _taken(table: pa.Table, settings: CropSettings) -> tuple[float, int]:
    """Bytes and number of the crops of a part's kept boxes."""
    boxes = np.stack([table[name].to_numpy() for name in "xywh"], 1).reshape(-1, 4)
    images = np.stack([table[name].to_numpy() for name in ("width", "height")], 1).reshape(-1, 2)
    lengths = np.diff(runs(table))
    most = np.minimum(lengths, settings.max_frames or lengths.max(initial=0))
    share = np.repeat(most / np.maximum(lengths, 1), lengths)
    return float((crop_bytes(boxes, images, settings) * share).sum()), int(most.sum())


def _sample(table: pa.Table, count: int) -> dict[str, tuple[int, int]]:
    """Path → (width, height) of up to `count` images of a table, evenly spaced."""
    rows = np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).astype(int))
    chosen = table.select(["image", "width", "height"]).take(rows).to_pylist()
    return {row["image"]: (row["width"], row["height"]) for row in chosen}


def _decode(root: Path, images: dict[str, tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """(finding, example) of each image that is not what its set says."""
    for name, size in images.items():
        try:
            data = regular(root / name).read_bytes()
        except (OSError, UserError) as error:
            yield "cannot be read", f"{name} ({error})"
            continue
        image, hurt = decode(data) if complete(data) else (None, False)
        if image is None:
            yield "are cut short or no images", f"{name} ({len(data)} bytes)"
        elif image.shape[1::-1] != size:
            yield (
                "have another size than the set says",
                f"{name}: {image.shape[1]}×{image.shape[0]}",
            )
        elif hurt:
            yield "are damaged inside", name


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}".replace(",", " ")


def check_set(
    root: Path, layout: str, preset: Preset, settings: CropSettings, jobs: int = 1
) -> Looked:
    """Read all annotations, look for all images and decode some; nothing is written.

    UserError where the folder does not have the layout, or a file that all depends on cannot be
    read.
    """
    survey, found = Survey(root, layout, preset), Looked()
    crops = 0
    images: dict[str, tuple[int, int]] = {}
    for table in survey.tables(jobs):
        kept = table.filter(table["kept"])
        disk, count = _taken(kept, settings)
        found.disk, crops = found.disk + disk, crops + count
        images |= _sample(kept, -(-DECODED // len(survey.parts)))
    chosen = dict(list(images.items())[:: max(1, len(images) // DECODED)][:DECODED])
    wrong: dict[str, list[str]] = {}
    for kind, example in _decode(root, chosen):
        wrong.setdefault(kind, []).append(example)
    found.problems = survey.problems()
    found.lines = [
        *_told(survey.report()),
        f"decoded: {len(chosen)} images, of which {_wrong(wrong)}",
    ]
    mean = f"{found.disk / crops / 1024:.0f} KiB each" if crops else "none"
    found.lines.append(
        f"crop cache: about {found.disk / 2**30:.2f} GiB for {_count(crops, 'crops')}, {mean}"
    )
    return found


def _wrong(found: dict[str, list[str]]) -> str:
    if not found:
        return "all are sound"
    return "; ".join(
        f"{len(examples)} {kind}, first {examples[0]}" for kind, examples in sorted(found.items())
    )


def _told(report: dict[str, Any]) -> list[str]:
    """The lines of a report."""
    boxes, kept = report["boxes"], report["kept"]
    lines = [
        f"{_count(boxes, 'boxes')}, {_count(kept, 'kept')} by the preset {report['preset']}"
        f" ({kept / boxes:.1%}), in {_count(report['tracks'], 'tracks')}"
    ]
    for title, counts in (("left out", report["left_out"]), ("flagged", report["flags"])):
        if some := [
            f"{count} {word} ({count / boxes:.2%})" for word, count in counts.items() if count
        ]:
            lines.append(f"{title}: {', '.join(some)}")
    if report["beyond"]:
        lines.append(
            f"boxes leave their image by up to {report['beyond']:.1f} px; they are cut at its"
            " border"
        )
    for kind, entry in report["findings"].items():
        usual = " (as expected)" if kind in EXPECTED else ""
        lines.append(f"{kind}: {entry['count']}{usual}, first {'; '.join(entry['first'])}")
    return lines
