"""A training set read whole, part by part and in several processes.

boxes.parquet   one row a box (siamla.data.sources.rows.SCHEMA), those not kept with the reason
report.json     written last: counts, findings with first examples, and the digest of all rows
"""

import hashlib
from collections import Counter
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

GROUP = 1 << 17  # rows that can be read at a time
SHOWN = 3  # examples of a finding in the report
MOST = 0.01  # the share of annotations, or of boxes without image, that may be damaged


def _part(part: str, layout: str, root: Path) -> tuple[pa.Table, int, Notes]:
    """The table of one part, how many annotations it has, and the findings."""
    content = SOURCES[layout].read(root, part)
    return judge(content), content.records, content.notes


def runs(table: pa.Table) -> np.ndarray:
    """(M + 1,) where the rows of each segment of a track begin, and the number of rows."""
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


def _problems(report: dict[str, Any], partly: bool) -> list[str]:
    """Why a set should not be trained on as it is; `partly`: some images may be missing."""
    lines = []
    boxes, records, reasons = report["boxes"], report["records"], Counter(report["left_out"])
    damaged = report["findings"].get("damaged annotations", {"count": 0})
    if damaged["count"] > MOST * records:
        what = f"{damaged['count']} of {records} annotations are damaged"
        lines.append(f"{what}, first {damaged['first'][0]}")
    lost = reasons["no image"] + reasons["damaged image"]
    if not report["kept"]:
        most = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
        lines.append(f"none of {boxes} boxes is kept ({most})")
    elif lost > MOST * boxes and not partly:
        lines.append(f"{lost} of {boxes} boxes are without their image (unpacked in part?)")
    return [f"{report['root']}: {line}" for line in lines]


def curate_boxes(
    root: Path, layout: str, name: str, out: Path, jobs: int = 1, allow_rejected: bool = False
) -> dict[str, Any]:
    """Read a training set and write boxes.parquet and report.json to `out`; returns the report.

    The bytes do not depend on `jobs`. UserError for another layout, and where more than MOST is
    damaged or missing, unless `allow_rejected`: then nothing is written.
    """
    source = SOURCES[layout]
    parts, notes = source.parts(root)
    records = len(notes["damaged annotations"])  # parts count those that they can read
    content = hashlib.sha256()
    tables = [SCHEMA.empty_table()]
    work = partial(_part, layout=layout, root=root)
    for part, count, more in in_parallel(work, parts, jobs, f"read {layout}"):
        tables.append(part)
        records += count
        for kind, places in more.items():
            notes[kind] += places
        content.update(_digest(part))
    table = pa.concat_tables(tables).unify_dictionaries()
    if not len(table):
        raise UserError(f"{root}: no boxes; expected {source.LAYOUT}")
    kept = table.filter(table["kept"])
    reasons = Counter(filter(None, table["reason"].to_pylist()))
    findings = {kind: {"count": len(at), "first": at[:SHOWN]} for kind, at in notes.items() if at}
    report = {
        "name": name,
        "layout": layout,
        "root": root.as_posix(),
        "parts": len(parts),
        "records": records,
        "boxes": len(table),
        "kept": len(kept),
        "tracks": len(runs(kept)) - 1,  # one for each segment with a kept box
        "beyond": pc.max(table["beyond"]).as_py(),
        "left_out": reasons,
        "flags": {flag: pc.sum(table[flag]).as_py() for flag in FLAGS},
        "findings": findings,
        "digest": content.hexdigest()[:16],
    }
    problems = _problems(report, source.PARTLY)
    if not len(kept) or (problems and not allow_rejected):
        raise UserError("; ".join(problems))
    (out / "report.json").unlink(missing_ok=True)
    with atomic(out / "boxes.parquet") as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=GROUP)
    write_json(out / "report.json", report)
    return report


def load_tracks(folder: Path) -> list[Sequence]:
    """The tracks of a curated training set in order, named VIDEO/TRACK/SEGMENT."""
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
