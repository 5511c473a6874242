"""The tracker itself, with a network that is replaced by measuring: where is the target's colour in
the crop? Boxes are right to a pixel, also where the target leaves the image in part, if the crop
is: its colours, middle, scale, size, and the colour beyond the border.
"""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from siamla.engine.engines import Maps, Network
from siamla.hardware import Hardware
from siamla.tracker.settings import TrackerSettings
from siamla.tracker.tracker import SiamTracker

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

WIDTH, HEIGHT = 320, 200
CELLS = 31 + 8 * torch.arange(25.0)
BACKGROUND = 150
ORANGE, BLUE = (20, 120, 250), (250, 120, 20)  # BGR: each is the other in the wrong order
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
EXACT = TrackerSettings(top_n=1, penalty_k=0, window=0, size_lr=1, precision="fp32")


class Measure:
    """Finds the target's colour: a sure score in the cell at its middle, and its box as seen from
    there.

    Attributes:
        template: width and height of the target in the template crop.
        crop: the last search crop (255, 255, 3).
    """

    def __init__(self, colour: Colour) -> None:
        self.colour = torch.tensor(colour, dtype=torch.float32).view(3, 1, 1)

    def extents(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Where the target's colour begins and ends (x, y), to a part of a pixel, in pixel-index
        coordinates.
        """
        way = self.colour - BACKGROUND
        share = ((image - BACKGROUND) * way).sum(0) / way.square().sum()  # 0 background, 1 target
        edges = []
        for axis in (0, 1):
            profile = nn.functional.pad(share.amax(axis), (1, 1))
            inside = (profile >= 0.5).nonzero().flatten()
            assert len(inside), "the target is not in the crop"
            first, last = int(inside[0]), int(inside[-1])
            left = first - (profile[first] - 0.5) / (profile[first] - profile[first - 1])
            right = last + (profile[last] - 0.5) / (profile[last] - profile[last + 1])
            edges.append((left - 1, right - 1))  # the padding
        (left, right), (top, bottom) = edges
        return torch.stack([left, top]), torch.stack([right, bottom])

    def embed(self, crops: NDArray[np.uint8]) -> str:
        assert (crops.shape, crops.dtype) == ((1, 127, 127, 3), np.uint8)
        first, last = self.extents(torch.from_numpy(crops[0]).permute(2, 0, 1).float())
        self.template = (last - first).tolist()
        return "embedded"

    def search(self, state: str, crops: NDArray[np.uint8]) -> Maps:
        assert state == "embedded"
        assert (crops.shape, crops.dtype) == ((1, 255, 255, 3), np.uint8)
        self.crop = crops[0]
        first, last = self.extents(torch.from_numpy(crops[0]).permute(2, 0, 1).float())
        column, row = ((first + last) / 2 - 31).div(8).round().clamp(0, 24).long()
        cls = torch.zeros(1, 25, 25)
        cls[0, row, column] = 1
        x, y = CELLS.view(1, 25).expand(25, 25), CELLS.view(25, 1).expand(25, 25)
        ltrb = torch.stack([x - first[0], y - first[1], last[0] - x, last[1] - y])
        return Maps(cls.numpy(), ltrb.unsqueeze(0).numpy(), torch.full((1, 25, 25), 20.0).numpy())


def draw(boxes: dict[Colour, Box]) -> np.ndarray:
    """An image of one colour with rectangles (x, y, w, h) that may reach beyond it."""
    image = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    for colour, (x, y, w, h) in boxes.items():
        cv2.rectangle(image, (x, y), (x + w - 1, y + h - 1), colour, cv2.FILLED)
    return image


def visible(box: Box) -> np.ndarray:
    """The part of a box inside the image."""
    x, y, w, h = box
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, WIDTH), min(y + h, HEIGHT)
    return np.array([left, top, right - left, bottom - top], np.float64)


def path(w: int, h: int) -> list[Box]:
    """From the middle across each of the image's borders and a corner, by half the target, and
    back.
    """
    middle = (160, 100)
    borders = [(0, 100), (160, 0), (320, 100), (160, 200)]
    stops = [middle, *(stop for each in borders for stop in (each, middle))]
    stops[-1:] = [(320, 200), middle]
    boxes = []
    for (x0, y0), (x1, y1) in pairwise(stops):
        steps = max(abs(x1 - x0), abs(y1 - y0)) // 4
        for i in range(steps):
            left, top = x0 + (x1 - x0) * i // steps, y0 + (y1 - y0) * i // steps
            boxes.append((left - w // 2, top - h // 2, w, h))
    return boxes


def beyond(centre: tuple[float, float], side: float) -> np.ndarray:
    """(255, 255) bool: crop pixels that show nothing of the image, neither of its border."""
    points = (np.arange(255) + 0.5 - 127.5) * side / 255
    x, y = centre[0] + points, centre[1] + points
    return ((x < -1) | (x > WIDTH + 1))[None, :] | ((y < -1) | (y > HEIGHT + 1))[:, None]


def follow(colour: Colour, size: tuple[int, int], decoy: Colour | None) -> None:
    """Track a rectangle along `path`, beside it the decoy, and check every box."""
    model = Measure(colour)
    network = Network(model.embed, model.search)
    hardware = Hardware("cpu", "fp32", 1)
    tracker = SiamTracker(model, EXACT, hardware=hardware, network=network)  # type: ignore[arg-type]
    first, *boxes = path(*size)
    filled = 0

    def image_of(box: Box) -> np.ndarray:
        x, y, w, h = box
        return draw({decoy: (x + w + 6, y, w, h), colour: box} if decoy else {colour: box})

    tracker.init(image_of(first), visible(first))
    padded = np.sqrt((size[0] + sum(size) / 2) * (size[1] + sum(size) / 2))
    assert model.template == pytest.approx([127 * side / padded for side in size], abs=1)
    for number, box in enumerate(boxes, start=1):
        before, image = tracker.state, image_of(box)
        assert before is not None
        message = f"frame {number}, the target at {box}"
        np.testing.assert_allclose(tracker.update(image), visible(box), 0, 1, err_msg=message)
        assert tracker.score > 0.99
        outside = beyond(before.centre, 255 / before.scale)
        filled += int(outside.any())
        if outside.any():  # the colour beyond the border
            assert np.abs(model.crop[outside] - image.reshape(-1, 3).mean(0)).max() <= 1
    assert filled > 20


@pytest.mark.parametrize("size", [(24, 24), (40, 20), (70, 90)], ids=["small", "wide", "large"])
def test_a_bright_target_is_followed_to_the_pixel_at_the_border_and_across_it(
    size: tuple[int, int],
) -> None:
    """Beside it runs one that is the same but for red and blue."""
    follow(ORANGE, size, BLUE)


@pytest.mark.parametrize("colour", [BLACK, WHITE], ids=["black", "white"])
def test_the_fill_beyond_the_border_is_not_the_target(colour: Colour) -> None:
    follow(colour, (30, 30), None)


def test_release_cuts_its_crops_as_the_public_code() -> None:
    """Box 100, 100, 50, 50: s = 100, the template's pixels are 74 to 173. The search crop has
    round(100 · 255/127) = 201 of them, from ⌊124.5 − 100.5⌋ = 24 on to 224; there are 200 rows, and
    below them is the mean of the first image, whatever the next one's is, cut to integers.
    """
    crops = []

    class Recorder(Measure):
        def embed(self, given: NDArray[np.uint8]) -> str:
            crops.append(given[0])
            return super().embed(given)

    model = Recorder(ORANGE)
    settings = TrackerSettings(postprocess="release", precision="fp32")
    network = Network(model.embed, model.search)
    hardware = Hardware("cpu", "fp32", 1)
    tracker = SiamTracker(model, settings, hardware=hardware, network=network)  # type: ignore[arg-type]
    first = draw({ORANGE: (100, 100, 50, 50)})
    tracker.init(first, (100, 100, 50, 50))
    np.testing.assert_array_equal(crops[0], cv2.resize(first[74:174, 74:174], (127, 127)))
    later = draw({ORANGE: (104, 98, 50, 50), BLUE: (0, 0, 60, 60)})
    tracker.update(later)
    window = np.empty((201, 201, 3), np.uint8)
    window[:176] = later[24:200, 24:225]
    window[176:] = np.floor(first.reshape(-1, 3).mean(0))
    np.testing.assert_array_equal(model.crop, cv2.resize(window, (255, 255)))
    assert tracker.search is not None
    assert (tracker.search.centre, tracker.search.side) == ((124.5, 124.5), 201)
