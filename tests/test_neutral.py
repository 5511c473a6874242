"""A new setting at its neutral default is no part of an identity, and changes no byte."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import Field
from tiny import HARDWARE, MODEL

from siamla.benchmark.metrics import frame_values
from siamla.benchmark.protocols import Protocol, load_protocols, score_rules
from siamla.data.crop import crop, fill_colour
from siamla.engine.network import Maps, Network
from siamla.experiment.spec import Spec
from siamla.geometry import padded_size
from siamla.miniatures.background import camera, make_background, pick_scene
from siamla.miniatures.dataset import clip_settings
from siamla.miniatures.paths import walk
from siamla.miniatures.settings import load_sets
from siamla.model.checkpoint import initial_model, weights_digest
from siamla.model.siamla import build_model
from siamla.settings import Settings, neutral, neutral_fields, read_yaml, validate, without_neutral
from siamla.tracker import postprocess
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker
from siamla.training.settings import Labels, LossWeights, TrainingSettings
from siamla.training.step import Recipe, Resources, start

PARAMS = Path(__file__).parents[1] / "params"
PROTOCOLS = PARAMS / "protocols.yaml"
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
    state, before, cut = postprocess.start(box, (120, 90)), [], []
    for image, (cls, ltrb, loc) in zip(images, maps, strict=True):
        side = float(padded_size(*state.size)) * 255 / 127
        fill = fill_colour(image, state.centre, side, 255)
        cut.append(crop(image, state.centre, side, 255, fill).tobytes())
        result = postprocess.topn(cls[0], ltrb[0], loc[0], state)
        state = result.state
        before.append(result.box.tobytes())
    return b"".join(now + seen), b"".join(before + cut)


def by_thaw() -> tuple[bytes, bytes]:
    """Which weights learn before and after frozen_epochs, where all of the backbone thaws."""
    training = TrainingSettings(epochs=2, frozen_epochs=1)
    recipe = Recipe(MODEL, Labels(), LossWeights(), training, seed=0)
    learner = start(recipe, Resources(HARDWARE))
    now, before = [], []
    for epoch in range(2):
        learner.thaw(epoch)
        now += [parameter.requires_grad for parameter in learner.model.backbone.parameters()]
        learner.model.backbone.requires_grad_(epoch >= 1)
        before += [parameter.requires_grad for parameter in learner.model.backbone.parameters()]
    return bytes(now), bytes(before)


def by_init() -> tuple[bytes, bytes]:
    """The weights that a training without a model file starts from."""
    models = initial_model(MODEL, 3, None), build_model(MODEL, 3)
    now, before = (weights_digest(model.state_dict(), {}).encode() for model in models)
    return now, before


def by_film() -> tuple[bytes, bytes]:
    """What a set that has no film shows, and the photo under the camera where it has none."""
    settings = load_sets(PARAMS / "synthetic.yaml")["smoke_otb"]
    clip = clip_settings(settings)[0]
    background = make_background(np.random.default_rng(0), clip)
    matrix = background.matrices[1].copy()
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    mode = cv2.BORDER_REFLECT_101
    seen = cv2.warpAffine(background.photo, matrix, clip.size, borderMode=mode)
    return background.frame(1).tobytes(), seen.tobytes()


def by_shake() -> tuple[bytes, bytes]:
    """The camera's path, as it was walked before it could shake."""
    clip = clip_settings(load_sets(PARAMS / "synthetic.yaml")["smoke_otb"])[0]
    now = make_background(np.random.default_rng(0), clip).matrices
    rng, size = np.random.default_rng(0), np.array(clip.size, np.float64)
    extent = np.array(pick_scene(rng, clip)[0].shape[1::-1], np.float64)
    base = rng.uniform(1.0, 1.9) * (size / extent).max()
    zoom = base * np.exp(walk(rng, clip, 0.08, -0.3, 0.3, [0.0]))[:, 0]
    angle = walk(rng, clip, 0.05, -0.2, 0.2)[:, 0]
    half = np.minimum(size / base / 2, extent / 2)
    step = clip.motion.camera * size.min() / base
    view = walk(rng, clip, step, half * 0.8, extent - half * 0.8)
    middle = np.broadcast_to(size / 2, view.shape)
    before = camera(zoom, angle, np.ones(clip.frames), view, middle)
    return now.tobytes(), before.tobytes()


MORE = ("colours", "recover", "calm")
COMPARED: dict[str, Comparison] = {
    "SetSettings.film": by_film,
    "Motion.shake": by_shake,
    "OnePass.normalised": by_offset,
    "TrainingSettings.thaw": by_thaw,
    "TrainingSettings.init": by_init,
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
