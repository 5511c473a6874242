"""A training set read whole, part by part and in several processes.

boxes.parquet   one row a box (siamla.data.sources.rows.SCHEMA), those not kept with the reason
report.json     written last: counts, findings with first examples, and the digest of all rows
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from siamla.data.curate import curated_root
from siamla.data.sources import SOURCES
from siamla.data.sources.rows import FLAGS, SCHEMA, Notes, judge
from siamla.errors import UserError
from siamla.files import atomic, parsed_by, write_json
from siamla.parallel import in_parallel
from siamla.sequence import Sequence

GROUP = 1 << 17  # rows that are written at a time
MOST = 0.01
"""The share of annotations, or of boxes without their image, above which a set counts as damaged.
"""


def _part(part: str, layout: str, root: Path) -> tuple[pa.Table, int, Notes]:
    """The table of one part, how many annotations it has, and the findings."""
    found = SOURCES[layout].read(root, part)
    return judge(found), found.records, found.notes


def runs(table: pa.Table) -> np.ndarray:
    """(M + 1,) where the rows of each segment of a track begin, and the number of rows; a segment's
    stand together.
    """
    if not len(table):
        return np.zeros(1, np.int64)
    changes = np.zeros(len(table) - 1, bool)
    for name in ("sequence", "track"):
        codes = np.asarray(table[name].unify_dictionaries().combine_chunks().indices)
        changes |= np.diff(codes) != 0
    changes |= np.diff(table["segment"].to_numpy()) != 0
    return np.concatenate([[0], np.flatnonzero(changes) + 1, [len(table)]])


def _digest(table: pa.Table) -> bytes:
    """Digest of what rows say, whatever the file's format: numbers as bytes, texts as lines."""
    content = hashlib.sha256()
    for field in SCHEMA:
        column = table[field.name]
        if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type):
            content.update("\n".join(column.cast(pa.string()).to_pylist()).encode())
        else:
            numbers = column.cast(pa.int8()) if pa.types.is_boolean(field.type) else column
            content.update(np.asarray(numbers.fill_null(-1)).tobytes())
    return content.digest()


class Survey:
    """Reads a set and counts.

    Attributes:
        notes: the findings.
        counts: boxes, kept ones, records, and tracks, which count as often as they have segments
            with a kept box.
        reasons, flags: how many boxes are not kept for a reason, have a flag.
        beyond: the most pixels by which a box leaves its image.
    """

    def __init__(self, root: Path, layout: str) -> None:
        self.root, self.layout, self.source = root, layout, SOURCES[layout]
        self.reasons: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.beyond = 0.0
        self._content = hashlib.sha256()
        self.parts, self.notes = self.source.parts(root)
        # parts count those that they can read
        self.counts = Counter(records=self.notes.counts["damaged annotations"])

    def tables(self, jobs: int) -> Iterator[pa.Table]:
        """The table of each part in order, counted; UserError when there is no box at all."""
        work = partial(_part, layout=self.layout, root=self.root)
        for table, records, notes in in_parallel(work, self.parts, jobs, f"read {self.layout}"):
            self.notes.join(notes)
            kept = table.filter(table["kept"])
            tracks = len(runs(kept)) - 1
            self.counts.update(records=records, boxes=len(table), kept=len(kept), tracks=tracks)
            self.reasons.update(reason for reason in table["reason"].to_pylist() if reason)
            self.flags.update({flag: pc.sum(table[flag]).as_py() or 0 for flag in FLAGS})
            self.beyond = max(self.beyond, pc.max(table["beyond"]).as_py() or 0)
            self._content.update(_digest(table))
            yield table
        if not self.counts["boxes"]:
            raise UserError(f"{self.root}: no boxes; expected {self.source.LAYOUT}")

    def problems(self) -> list[str]:
        """Why the set should not be trained on as it is."""
        lines = []
        boxes, records = self.counts["boxes"], self.counts["records"]
        damaged = self.notes.counts["damaged annotations"]
        if damaged > MOST * records:
            first = self.notes.first["damaged annotations"][0]
            lines.append(f"{damaged} of {records} annotations are damaged, first {first}")
        lost = self.reasons["no image"] + self.reasons["damaged image"]
        if not self.counts["kept"]:
            most = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common(3))
            lines.append(f"none of {boxes} boxes is kept ({most})")
        elif lost > MOST * boxes and not self.source.PARTLY:
            lines.append(f"{lost} of {boxes} boxes are without their image (unpacked in part?)")
        return lines

    def report(self, name: str) -> dict[str, Any]:
        """The counts and findings, as JSON data."""
        first = self.notes.first
        kinds = sorted(self.notes.counts.items())
        return {
            "name": name,
            "layout": self.layout,
            "root": self.root.as_posix(),
            **{key: self.counts[key] for key in ("records", "boxes", "kept", "tracks")},
            "beyond": self.beyond,
            "left_out": dict(sorted(self.reasons.items())),
            "flags": {flag: self.flags[flag] for flag in FLAGS},
            "findings": {kind: {"count": count, "first": first[kind]} for kind, count in kinds},
            "digest": self._content.hexdigest()[:16],
        }


def _groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of GROUP: what is written does not depend on how the set is
    parted.
    """
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) < GROUP:
            continue
        whole = pa.concat_tables(held)
        full = len(whole) // GROUP * GROUP
        yield from (whole.slice(start, GROUP) for start in range(0, full, GROUP))
        held = [whole.slice(full)]
    if any(map(len, held)):
        yield pa.concat_tables(held)


def curate_boxes(
    root: Path,
    layout: str,
    name: str,
    out: Path,
    jobs: int = 1,
    allow_rejected: bool = False,
) -> dict[str, Any]:
    """Read a training set and write boxes.parquet and report.json to `out`; returns the report.

    The bytes do not depend on `jobs`. Annotations are read and image files looked for; that images
    can be decoded is found when they are cut. UserError for another layout, and for a set of which
    more than MOST is damaged or missing, unless `allow_rejected`: then nothing is written.
    """
    survey = Survey(root, layout)
    with atomic(out / "boxes.parquet") as temporary:
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
            for table in _groups(survey.tables(jobs)):
                writer.write_table(table.unify_dictionaries())
        if not survey.counts["kept"] or (not allow_rejected and survey.problems()):
            raise UserError("; ".join(survey.problems()))
        (out / "report.json").unlink(missing_ok=True)
    report = survey.report(name)
    write_json(out / "report.json", report)
    return report


def load_tracks(folder: Path) -> list[Sequence]:
    """The tracks of a curated training set in order, named VIDEO/TRACK/SEGMENT; no image is
    touched.

    UserError as `curated_root` raises it, and for a table that cannot be read.
    """
    root = curated_root(folder)
    path = folder / "boxes.parquet"
    keys = ("sequence", "track", "segment")
    with parsed_by("pyarrow", path, "the boxes of a training set"):
        columns = ["image", *keys, "frame", "x", "y", "w", "h"]
        table = pq.read_table(path, columns=columns, filters=[("kept", "=", True)])
    boxes = np.stack([table[name].to_numpy() for name in "xywh"], 1)
    numbers, images = table["frame"].to_numpy(), table["image"]
    starts = runs(table)
    names = zip(*(table[key].take(starts[:-1]).to_pylist() for key in keys), strict=True)
    tracks = []
    for start, end, name in zip(starts[:-1], starts[1:], names, strict=True):
        files = tuple(root / image for image in images[start:end].to_pylist())
        seen = np.ones(len(files), bool)
        video = Sequence("/".join(map(str, name)), files, boxes[start:end], seen)
        tracks.append(replace(video, numbers=numbers[start:end]))
    return tracks
