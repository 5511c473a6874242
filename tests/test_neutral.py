"""A new setting at its neutral default is no part of an identity; the tracker's change no byte."""

from typing import Any

import numpy as np
from pydantic import Field

from siamla.benchmark.protocols import Protocol, score_rules
from siamla.data.crop import crop, fill_colour
from siamla.engine.network import Maps, Network
from siamla.geometry import padded_size
from siamla.settings import Settings, neutral, params_file, read_yaml, validate, without_neutral
from siamla.tracker import postprocess
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker


def test_a_tracker_with_no_more_than_the_papers_settings_is_algorithm_1_alone() -> None:
    """Its crops and boxes, to the byte."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (6, 90, 120, 3), np.uint8)
    maps = [
        Maps(
            rng.uniform(size=(1, 25, 25)).astype(np.float32),
            np.exp(rng.normal(3, 0.3, (1, 4, 25, 25))).astype(np.float32),
            rng.normal(size=(1, 25, 25)).astype(np.float32),
        )
        for _ in images
    ]
    seen: list[bytes] = []
    box = np.array([40.0, 30.0, 25.0, 20.0])

    def search(_: object, crops: np.ndarray) -> Maps:
        seen.append(crops.tobytes())
        return maps[len(seen) - 1]

    tracker = SiamTracker(Network(lambda crops: None, search), TrackerSettings(precision="fp32"))
    tracker.init(images[0], box)
    now = [tracker.update(image).tobytes() for image in images]
    state, before, cut = postprocess.start(box, (120, 90)), [], []
    for image, (cls, ltrb, loc) in zip(images, maps, strict=True):
        side = float(padded_size(*state.size)) * 255 / 127
        fill = fill_colour(image, state.centre, side, 255)
        cut.append(crop(image, state.centre, side, 255, fill).tobytes())
        result = postprocess.topn(cls[0], ltrb[0], loc[0], state)
        state = result.state
        before.append(result.box.tobytes())
    assert (now, seen) == (before, cut)


class Part(Settings):
    share: float = 1.0
    blur: bool = neutral(False)


class Whole(Settings):
    part: Part = Part()
    named: dict[str, Part | int] = Field(default_factory=dict)
    listed: tuple[Part, ...] = ()
    lambda_: int | None = neutral(None, alias="lambda")
    hidden: int = neutral(0, exclude=True)


def test_a_neutral_value_is_left_out_wherever_it_stands() -> None:
    assert without_neutral(Whole()) == {"part": {"share": 1.0}, "named": {}, "listed": []}
    value = {
        "part": {"blur": True},
        "named": {"a": {"share": 0.5}, "b": 7},
        "listed": [{"blur": True}, {}],
        "lambda": 3,
    }
    assert without_neutral(Whole.model_validate(value)) == {
        "part": {"share": 1.0, "blur": True},
        "named": {"a": {"share": 0.5}, "b": 7},
        "listed": [{"share": 1.0, "blur": True}, {"share": 1.0}],
        "lambda": 3,
    }


def test_a_new_neutral_rule_changes_no_identity_of_a_score() -> None:
    class NewProtocol(Protocol):
        contrast: Any = neutral("total")

    rules = read_yaml(params_file("protocols.yaml"))["otb100"]
    now = score_rules(validate(NewProtocol, rules, "new"))
    assert now == score_rules(validate(Protocol, rules, "old"))
