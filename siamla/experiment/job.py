"""A job: one step for one set of names, with the identity that decides its result.

An identity holds the step's settings, its seed, the identities of what it is made from and the
digest of the code that computes it. It holds no path, name, host or date. So a result is the same
wherever it was made. The device, the precision and the number of threads stand in the record: they
are known only where the step runs, and they are no reason to make a result again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from siamla.errors import UserError
from siamla.files import digest
from siamla.provenance.record import RECORDS, read_record


@dataclass(frozen=True)
class Identity:
    """All that decides a result, and nothing else."""

    step: str  # the kind of result
    plain: Mapping[str, Any]  # JSON-ready, not to be changed: parents' are nested, and shared

    @cached_property
    def key(self) -> str:
        """16 hex digits."""
        return digest([self.step, self.plain])


@dataclass(frozen=True, eq=False)
class Job:
    """One step for one set of names."""

    identity: Identity
    names: Mapping[str, Any]  # profile, and dataset, benchmark, variant, seed or tracker
    folder: Path  # where the result stands, relative to the project
    command: str  # what a person types to do this job
    title: str  # for people: "predict otb100 siamla, seed 1"
    entry: str  # its name in the table of steps, or in that of views
    parents: Mapping[str, "Job"] = field(default_factory=dict)  # input name → job that makes it
    outside: Mapping[str, Path] = field(default_factory=dict)  # … → folder that no job makes
    sources: Path | None = None  # of a view the file that says what it is made from

    @property
    def step(self) -> str:
        return self.identity.step

    @property
    def key(self) -> str:
        """Digest of the identity."""
        return self.identity.key

    @property
    def record_path(self) -> Path:
        """The record of the plan's result; that of other settings or code has another name."""
        return self.sources or self.folder / f"record-{self.key}.json"

    def record(self) -> dict[str, Any] | None:
        """The record of the plan's result; None where there is none.

        UserError where the file is no record, or its identity is not the one that its name says.
        """
        path = self.record_path
        if not path.is_file():
            return None
        record = read_record(path)
        if Identity(record["step"], record["identity"]).key != self.key:
            raise UserError(
                f"{path}: its identity is not that of key {self.key}: the file has changed, or it"
                f" has the name of another; delete it and run `{self.command}`"
            )
        return record

    def read(self) -> list[Path]:
        """All that Snakemake knows to be read: the parents' records, and folders of others."""
        records = [parent.record_path for parent in self.parents.values()]
        return [*records, *self.outside.values()]

    def former(self) -> dict[str, Any] | None:
        """The newest record that can be read of a result in place of the plan's, or None."""
        others = [path for path in self.folder.glob(RECORDS) if path != self.record_path]
        for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                return read_record(path)
            except UserError:
                continue
        return None
