"""`siamla.load("model.pt")`: quick to import, one file, images as people have them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import siamla
from siamla.errors import UserError
from siamla.tracker.api import bgr
from siamla.tracker.loading import load_tracker
from siamla.tracker.settings import TrackerSettings

BOX = (50.0, 40.0, 30.0, 24.0)


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_the_import_brings_no_pytorch() -> None:
    heavy = "print(sorted({'torch', 'cv2', 'numpy'} & set(sys.modules)))"
    command = [sys.executable, "-c", f"import sys, siamla; assert siamla.load; {heavy}"]
    assert subprocess.check_output(command, text=True, timeout=60) == "[]\n"


def test_three_lines_from_any_folder(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file alone is moved; its own settings, which are no defaults, decide."""
    moved = tmp_path / "elsewhere" / "mine.pt"
    moved.parent.mkdir()
    moved.write_bytes(model_file.read_bytes())
    monkeypatch.chdir(moved.parent)
    monkeypatch.setattr(torch, "set_num_threads", (calls := []).append)
    tracker = siamla.load("mine.pt")
    assert calls == [1]
    plain = load_tracker(moved, TrackerSettings(window=0.1, size_lr=0.9, precision="fp32"))
    first, second = picture(0, 120, 160, 3), picture(1, 120, 160, 3)
    tracker.init(first, BOX)
    plain.init(first, BOX)
    np.testing.assert_array_equal(tracker.update(second), plain.update(second))
    assert tracker.label == "Noise"
    assert 0 < tracker.score < 1
    assert tracker.lost is (tracker.score < 0.25)
    assert siamla.load("mine.pt", {"lost": None}, threads=2).lost is None
    assert calls == [1, 2]


def test_images_as_people_have_them(model_file: Path) -> None:
    tracker, boxes = siamla.load(model_file), []
    first, second = picture(0, 120, 160), picture(1, 120, 160)
    for form in (
        lambda image: image,
        lambda image: image[..., None],
        lambda image: np.dstack([image] * 3),
        lambda image: np.dstack([image] * 4),
        lambda image: np.dstack([image] * 3)[..., ::-1],
        lambda image: image.astype(np.uint16) * 256 + 255,
    ):
        tracker.init(form(first), BOX)
        boxes.append(tracker.update(form(second)))
    for box in boxes[1:]:
        np.testing.assert_array_equal(box, boxes[0])


@pytest.mark.parametrize("shape", [(4, 4, 3), (4, 4, 2), (0, 4, 3), (4,)])
def test_what_is_no_image_is_told(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, float if shape == (4, 4, 3) else np.uint8)
    said = r"an image is .* of shape .*; expected uint8 or uint16 of shape \(H, W\)"
    with pytest.raises(UserError, match=said):
        bgr(image)


def test_a_pixel_and_a_box_outside(model_file: Path) -> None:
    tracker = siamla.load(model_file)
    with pytest.raises(UserError, match="no target yet"):
        tracker.update(picture(0, 20, 30))
    said = r"the box \[50\.0, 40\.0, 30\.0, 24\.0\] .* is not in the 1×1 image"
    with pytest.raises(UserError, match=said):
        tracker.init(picture(0, 1, 1, 3), BOX)
    tracker.init(picture(0, 1, 1, 3), (0, 0, 1, 1))
    assert np.isfinite(tracker.update(picture(1, 1, 1, 3))).all()


def test_wrong_files_and_settings_are_told(model_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.pt: no such file or folder"):
        siamla.load(tmp_path / "nowhere.pt")
    said = "tracker settings: unknown key 'windw'; did you mean 'window'"
    with pytest.raises(UserError, match=said):
        siamla.load(model_file, {"windw": 1})
    content = torch.load(model_file, weights_only=True)
    old = {key: content[key] for key in ("model", "settings")}
    name, *names = content["model"]
    weight = content["model"][name]
    odd = ("x", [1, 2], torch.zeros(weight.shape, dtype=torch.int64), weight.to_sparse())

    def changed(weight: object, name: str = name) -> dict[str, Any]:
        return {**content, "model": {**content["model"], name: weight}}

    lacking = {**content, "model": {each: content["model"][each] for each in names}}
    for broken, said in (
        (old, "expected the keys"),
        (changed(weight + 1), "the weights are not those that were written; the file is damaged"),
        (lacking, f"no key {name}"),
        (changed(weight, "extra"), "unknown key extra"),
        (changed(weight[:1]), rf"{name} has shape .*, expected"),
        (changed(weight * np.nan), f"{name} holds NaN"),
        ({**content, "settings": {"backbone": "alexnet"}}, "backbone is .alexnet.*did you mean"),
        ({**content, "more": 1}, "siamla model import"),
        ({**content, "tracker": {"window": 7}}, "tracker: window is 7"),
        ({**content, "tracker": 7}, "expected the keys"),
        ({**content, "model": 3}, "expected the keys"),
        *((changed(weight), f"{name} is no array of fractions") for weight in odd),
    ):
        torch.save(broken, tmp_path / "broken.pt")
        with pytest.raises(UserError, match=said):
            siamla.load(tmp_path / "broken.pt")
