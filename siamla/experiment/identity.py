"""What decides a result, and nothing else: one frozen dataclass a step.

An identity holds the step's settings, its seed, the identities of what it is made from and the
digest of the code that computes it. It holds no path, name, host or date, so that a result is the
same wherever it was made. The kind of device, the precision and the number of threads are the
*place* of a record: known only where the step runs, written down and told, and no reason to make a
result again. Contents that only running can tell (the bytes of a folder that nobody generated)
stand in the record's inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

from siamla.files import digest

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Identity:
    """The base of all: plain data and their digest."""

    step: ClassVar[str]

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The identity as JSON-ready data, not to be changed: parents are nested, and share theirs."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.plain if isinstance(value, Identity) else value
            for name, value in values.items()
        }

    @cached_property
    def key(self) -> str:
        """16 hex digits."""
        return digest([self.step, self.plain])


@dataclass(frozen=True)
class Fetch(Identity):
    """A data set as it is brought. source: "generated", with settings and code of the generator;
    "pointer", with the digest in a .dvc file; "folder", of which nothing is known before it is
    read.
    """

    step: ClassVar[str] = "fetch"
    source: str
    settings: Plain | None = None
    pointer: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Curate(Identity):
    """A checked data set and its index."""

    step: ClassVar[str] = "curate"
    data: Fetch
    layout: str
    frames: int | None
    code: str


@dataclass(frozen=True)
class Crops(Identity):
    """The crop cache of a training set."""

    step: ClassVar[str] = "crops"
    curated: Curate
    settings: Plain
    code: str


@dataclass(frozen=True)
class Mix(Identity):
    """The crop caches of several training sets, in order, each with its share of the pairs and its
    reach.
    """

    step: ClassVar[str] = "mix"
    parts: tuple[tuple[float, int | None, Crops], ...]

    @cached_property
    def plain(self) -> dict[str, Any]:
        return {
            str(place): {"share": share, "reach": reach, "crops": crops.plain}
            for place, (share, reach, crops) in enumerate(self.parts, 1)
        }


@dataclass(frozen=True)
class Features(Identity):
    """The frozen backbone's features of the training pairs."""

    step: ClassVar[str] = "features"
    crops: Crops
    pairs: Plain
    network: Plain
    code: str


@dataclass(frozen=True)
class Train(Identity):
    """A trained model. features: the code of the cached features, where the training reads them."""

    step: ClassVar[str] = "train"
    crops: Crops | Mix
    features: Plain | None
    settings: Plain
    seed: int
    code: str


@dataclass(frozen=True)
class Predict(Identity):
    """A tracker's boxes on a benchmark. run: the part of the protocol that decides what is run,
    without its scores.
    """

    step: ClassVar[str] = "predict"
    model: Train
    data: Curate
    tracker: Plain
    run: Plain
    code: str


@dataclass(frozen=True)
class Maps(Identity):
    """Score maps of chosen frames. predictions: the tracker that is run once more; rule: which
    frames.
    """

    step: ClassVar[str] = "maps"
    predictions: Predict
    rule: Plain
    code: str


@dataclass(frozen=True)
class Alignment(Identity):
    """What a model does on crops around a benchmark's truth. tracker: the settings that are read,
    engine and precision; crops: how many of a sequence, and what draws them.
    """

    step: ClassVar[str] = "alignment"
    model: Train
    data: Curate
    tracker: Plain
    crops: Plain
    code: str


@dataclass(frozen=True)
class Score(Identity):
    """Scores. predictions is None for imported results: their bytes stand in the record's inputs."""

    step: ClassVar[str] = "score"
    predictions: Predict | None
    data: Curate
    rules: Plain
    code: str


@dataclass(frozen=True)
class Table(Identity):
    """A table of the paper, beside the scores that it is made from."""

    step: ClassVar[str] = "table"
    layout: Plain
    published: str
    shown: Plain
    code: str


@dataclass(frozen=True)
class Study(Identity):
    """The study, beside the scores, sweeps and maps that it is made from."""

    step: ClassVar[str] = "study"
    shown: Plain
    code: str


@dataclass(frozen=True)
class Figure(Identity):
    """A figure, beside the results that it is drawn from. published: digest of the published
    numbers in it.
    """

    step: ClassVar[str] = "figure"
    entry: Plain
    published: str | None
    shown: Plain
    code: str
