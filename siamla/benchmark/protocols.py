"""The benchmarks' rules as data: the models of params/protocols.yaml, which says where each
definition comes from. The code in this package knows no benchmark by name.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from siamla.data.layout import LayoutName
from siamla.settings import (
    Name,
    Settings,
    neutral,
    params_file,
    read_yaml,
    validate,
    without_neutral,
)

Summary = Literal["mean", "trapezoid"] | float
Valid = Literal["size", "all", "any"]
ZeroCurves = Literal["keep", "drop"]


class Curve(Settings):
    """A curve over evenly spaced thresholds, both ends included; metric → its "mean", its
    "trapezoid" area over a unit axis, or the threshold to read it at.
    """

    first: float
    last: float
    count: int = Field(ge=2, le=100_001)
    compare: Literal[">", ">=", "<", "<="]  # how a frame's value is held against the threshold
    report: dict[str, Summary]

    @model_validator(mode="after")
    def _readable(self) -> "Curve":
        if self.first >= self.last:
            raise ValueError(f"last: {self.last}, expected more than first, {self.first}")
        for metric, how in self.report.items():
            if not isinstance(how, str) and not np.isclose(self.thresholds(), how).any():
                span = f"{self.count} thresholds {self.first}..{self.last}"
                raise ValueError(f"{metric}: {how} is not among the {span}")
        return self

    def thresholds(self) -> NDArray[np.float64]:
        """The thresholds (count,)."""
        return np.linspace(self.first, self.last, self.count)


class OnePass(Settings):
    """How a one-pass run is scored.

    Attributes:
        first_frame: "truth" replaces the first prediction by the given box, "drop" leaves the frame
            out, "keep" scores what the file holds.
        unseen: what happens to frames whose target is marked absent: "keep" or "drop".
        denominator: curves divide by "all" annotated frames or by the "kept" ones.
        valid_truth: a truth box counts if its "size" (w, h > 0) or "all" (x, y, w, h > 0 in the
            file's own coordinates) are positive, or "any". The others have no overlap and the
            distance below.
        valid_distance: a distance counts where the "overlap" does, or where the truth's "centre", x
            + (w - 1)/2 and y + (h - 1)/2 in the file's own coordinates, is positive, whatever its
            size.
        invalid_distance: centre distance of a frame without valid truth: -1 (always a precision
            hit) or 0..inf.
        normalised: what is divided by the truth's size: the "offset" of the centres, or each of
            the "centres" before they are subtracted, which rounds otherwise and so decides ties.
        broken_prediction: a prediction that is NaN or without area: "previous" repeats the row
            before it, which for the second is the first as the file has it (an infinite box is no
            broken one: it misses); "miss" leaves its overlap 0 and its distance unknown; "error":
            the same without area, but NaN is refused.
        undefined_overlap: 0/0, two boxes without area, is "zero", or a "miss" at every threshold, 0
            included; with "miss" a coordinate that is NaN bounds nothing, as in the data frames of
            TrackingNet's devkit.
        lacking: the share of its frames that a sequence's file may lack at the end; those frames
            are misses. With 1 the whole file may be missing: its boxes are empty ones.
        lead: frames before the annotation's first that a file may hold, too, by sequence; it loses
            its first rows then.
        long: a file with more rows than the truth: "error" or "crop".
        zero_curves: a sequence whose curve is zero all along counts in its mean ("keep") or not
            ("drop").
        rounded: boxes are rounded to whole pixels first.
        clipped: boxes are clipped to the image before the overlap.
        pooled: average over "sequences" (mean of their curves) or over all "frames" as one.
        overlap: name of the metric that is the plain mean overlap, if the benchmark has one.
        success, precision, norm_precision: the curves, each of siamla.benchmark.metrics.
    """

    first_frame: Literal["truth", "drop", "keep"]
    unseen: Literal["keep", "drop"]
    denominator: Literal["all", "kept"]
    valid_truth: Valid
    valid_distance: Literal["overlap", "centre"] = "overlap"
    invalid_distance: float = -1
    normalised: Literal["offset", "centres"] = neutral("offset")
    broken_prediction: Literal["previous", "miss", "error"]
    undefined_overlap: Literal["zero", "miss"] = "zero"
    lacking: float = Field(default=0, ge=0, le=1)
    lead: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    long: Literal["error", "crop"]
    zero_curves: ZeroCurves = "keep"
    rounded: bool = False
    clipped: bool = False
    pooled: Literal["sequences", "frames"]
    overlap: str | None = None
    success: Curve
    precision: Curve | None = None
    norm_precision: Curve | None = None

    def curves(self) -> dict[str, Curve]:
        """The curves that the benchmark has: name in siamla.benchmark.metrics → thresholds."""
        return {name: value for name, value in self if isinstance(value, Curve)}


class Convention(Settings):
    """Another toolkit's reading, scored beside; what is None is as in the protocol."""

    source: str  # whose definition it is
    valid_truth: Valid | None = None
    zero_curves: ZeroCurves | None = None

    def over(self, rules: OnePass) -> OnePass:
        """The protocol's rules with this convention's in their place."""
        return rules.model_copy(update=self.model_dump(exclude={"source"}, exclude_none=True))


class Supervised(Settings):
    """How a supervised (re-initialised) run is made and scored, as VOT does.

    Attributes:
        gap: frames from a failure to the re-initialisation.
        burn_in: frames from each initialisation that accuracy leaves out.
        init_padding: pixels added to the size of the box that a polygon is turned into (toolkits
            count end points).
        bound_margin: pixels taken off the image size where EAO bounds the regions; accuracy uses
            the full size.
        accuracy: "frames" pools all frames, "sequences" weights per-sequence means by length.
        robustness: "percent" is 100 · failures / frames, "weighted" the length-weighted mean number
            of failures.
        eao_interval: first and last frame of the window over which expected overlap is averaged
            (inclusive).
        eao_offset: added to the interval to index the curve; pysot -1, the VOT toolkit 0.
        lacking: the share of its frames that a sequence's file may lack at the end; a longer one is
            cut.
    """

    gap: int = Field(ge=1)
    burn_in: int = Field(ge=0)
    init_padding: float = Field(ge=0)
    bound_margin: int = Field(ge=0)
    accuracy: Literal["frames", "sequences"]
    robustness: Literal["percent", "weighted"]
    eao_interval: tuple[int, int]
    eao_offset: int
    lacking: float = Field(default=0, ge=0, le=1)


class Metric(Settings):
    """What tables and figures say about a metric; its only description."""

    label: str  # its name for people
    better: Literal["higher", "lower"]
    digits: int = Field(default=3, ge=0, le=6)  # decimal places in tables


class Protocol(Settings):
    """One benchmark's rules. `speed`: all frames by all seconds ("total"), the mean of 1/seconds
    over all "frames", or of that in each sequence over "sequences". `beside`: other conventions.
    """

    title: str  # as tables print it
    layout: LayoutName  # of the official data
    source: str  # whose definition this is
    sequences: int = Field(default=0, ge=0)  # of the whole benchmark; 0: there is no such number
    headline: str  # the metric that ranks trackers
    metrics: dict[str, Metric]  # by name, in table order
    speed: Literal["total", "frames", "sequences"] = "total"
    onepass: OnePass | None = None
    supervised: Supervised | None = None
    beside: dict[Name, Convention] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        if (self.onepass is None) == (self.supervised is None):
            raise ValueError("give exactly one of onepass and supervised")
        if self.beside and self.onepass is None:
            raise ValueError("beside is for onepass")
        if self.headline not in self.metrics:
            metrics = ", ".join(self.metrics)
            raise ValueError(f"headline {self.headline!r} is not in metrics ({metrics})")
        if self.onepass:
            curves = self.onepass.curves().values()
            reported = {name for curve in curves for name in curve.report} | {self.onepass.overlap}
        else:
            reported = {"accuracy", "robustness", "failures", "eao"}
        unknown = set(self.metrics) - reported
        if unknown:
            raise ValueError(f"metrics {', '.join(sorted(unknown))} are reported by no curve")
        return self


class RunRules(Settings):
    """The part of a protocol that decides what is run and stored; the rest decides scores alone."""

    layout: str
    gap: int | None = None  # None for a one-pass run
    init_padding: float = 0.0


def run_rules(protocol: Protocol) -> RunRules:
    """What running needs to know of a protocol."""
    if protocol.supervised is None:
        return RunRules(layout=protocol.layout)
    restarts = protocol.supervised.model_dump(include={"gap", "init_padding"})
    return RunRules(layout=protocol.layout, **restarts)


def score_rules(protocol: Protocol) -> dict[str, Any]:
    """What decides scores, as plain data: the protocol without its texts."""
    entry = without_neutral(protocol)
    decisive = ("layout", "speed", "onepass", "supervised")
    rules = {key: value for key, value in entry.items() if key in decisive}
    for convention in entry["beside"].values():
        del convention["source"]
    return {**rules, "beside": entry["beside"], "metrics": sorted(protocol.metrics)}


def load_protocols(path: Path) -> dict[str, Protocol]:
    """The protocols of a YAML file by key; UserError naming file, key, value and what is valid."""
    return validate(dict[Name, Protocol], read_yaml(path), str(path))


def default_protocols() -> dict[str, Protocol]:
    """The protocols of the current folder's params/protocols.yaml, else of the package's copy."""
    return load_protocols(params_file("protocols.yaml"))
