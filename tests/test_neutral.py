"""A new setting at its neutral default is no part of an identity, and changes no byte."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import Field

from siamla.benchmark.metrics import frame_values
from siamla.benchmark.protocols import Protocol, load_protocols, score_rules
from siamla.data.crop import crop, fill_colour
from siamla.engine.network import Maps, Network
from siamla.experiment.spec import Spec
from siamla.geometry import padded_size
from siamla.settings import Settings, neutral, neutral_fields, read_yaml, validate, without_neutral
from siamla.tracker.postprocess import start, topn
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker
from siamla.training.settings import LossWeights

PROTOCOLS = Path(__file__).parents[1] / "params/protocols.yaml"
Comparison = Callable[[], tuple[bytes, bytes]]


def by_offset() -> tuple[bytes, bytes]:
    """Normalised distances, by the rules of a protocol that leaves it at that."""
    rules = load_protocols(PROTOCOLS)["plain"].onepass
    assert rules is not None
    truth, boxes = np.random.default_rng(0).uniform(1, 90, (2, 500, 4))
    x, y = (
        (boxes[:, a] + boxes[:, a + 2] / 2 - (truth[:, a] + truth[:, a + 2] / 2)) for a in (0, 1)
    )
    before = np.sqrt((x / truth[:, 2]) ** 2 + (y / truth[:, 3]) ** 2)
    return frame_values("norm_precision", truth, boxes, rules, 0).tobytes(), before.tobytes()


def by_paper() -> tuple[bytes, bytes]:
    """Boxes of a tracker with no more than the paper's settings, and of Algorithm 1 alone."""
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
    state, before, cut = start(box, (120, 90)), [], []
    for image, (cls, ltrb, loc) in zip(images, maps, strict=True):
        side = float(padded_size(*state.size)) * 255 / 127
        fill = fill_colour(image, state.centre, side, 255)
        cut.append(crop(image, state.centre, side, 255, fill).tobytes())
        result = topn(cls[0], ltrb[0], loc[0], state)
        state = result.state
        before.append(result.box.tobytes())
    return b"".join(now + seen), b"".join(before + cut)


MORE = ("camera", "velocity", "colours", "recover", "calm")
COMPARED: dict[str, Comparison] = {
    "OnePass.normalised": by_offset,
    **{f"TrackerSettings.{name}": by_paper for name in MORE},
}
"""Group.setting that is declared neutral → what is computed with it at its default, and the same as
it was computed before there was the setting.
"""


def groups(base: type[Settings]) -> Iterator[type[Settings]]:
    """Every group of settings that has been imported."""
    for group in base.__subclasses__():
        yield group
        yield from groups(group)


def declared(group: type[Settings]) -> list[str]:
    """What a group declares neutral."""
    return [f"{group.__name__}.{name}" for name in neutral_fields(group)]


def check(setting: str, compared: dict[str, Comparison]) -> None:
    """AssertionError unless a setting has a comparison, and it shows equal bytes."""
    assert setting in compared, f"{setting} is declared neutral; COMPARED has to show that it is"
    now, before = compared[setting]()
    assert now == before, f"{setting} is declared neutral, but changes bytes"


def test_a_setting_that_is_declared_neutral_changes_no_bytes() -> None:
    shipped = [group for group in groups(Settings) if group.__module__.startswith("siamla.")]
    assert {Spec, LossWeights, Protocol} <= {*shipped}
    for group in shipped:
        for setting in declared(group):
            check(setting, COMPARED)


# --- settings that are declared here ---


def test_a_wrong_declaration_is_found() -> None:
    class Contrast(Settings):
        gain: float = 2.0
        contrast: float = neutral(0.0, ge=0, description="added to everything")

    (setting,) = declared(Contrast)
    assert setting == "Contrast.contrast"
    check(setting, {setting: lambda: (b"1", b"1")})
    with pytest.raises(AssertionError, match="declared neutral, but changes bytes"):
        check(setting, {setting: lambda: (b"1", b"2")})
    with pytest.raises(AssertionError, match="COMPARED has to show"):
        check(setting, {})


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

    (rules, *_) = validate(dict[str, Any], read_yaml(PROTOCOLS), "protocols").values()
    now = score_rules(validate(NewProtocol, rules, "new"))
    assert now == score_rules(validate(Protocol, rules, "old"))
