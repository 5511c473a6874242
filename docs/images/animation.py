"""Draws README's animation: a clip with its truth and the boxes of one or two models.

python docs/images/animation.py data/raw/real_test/carphone-head out.webp model.pt other.pt
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import siamla
from siamla.data.formats import LAYOUTS
from siamla.data.images import read_image

WIDTH = 352  # pixels of the animation
MOST = 120  # frames
COLOURS = ((255, 140, 0), (40, 120, 255))  # RGB: orange, blue
WHITE = (255, 255, 255)


def main(clip: Path, out: Path, models: list[str]) -> None:
    """Write the animation of a clip in the layout `plain`."""
    sequence = LAYOUTS["plain"].read(clip.parent, clip.name)
    trackers = [siamla.load(model) for model in models or [None]]
    pictures = []
    for number, path in enumerate(sequence.frames[:MOST]):
        image = read_image(path)
        boxes = []
        for tracker in trackers:
            if number == 0:
                tracker.init(image, sequence.boxes[0])
            boxes.append(sequence.boxes[0] if number == 0 else tracker.update(image))
        scale = WIDTH / image.shape[1]
        size = (WIDTH, round(image.shape[0] * scale))
        canvas = cv2.cvtColor(cv2.resize(image, size), cv2.COLOR_BGR2RGB)
        drawn = [(sequence.boxes[number], WHITE), *zip(boxes, COLOURS, strict=False)]
        for box, colour in drawn:
            if np.isfinite(box).all() and box[2] > 0:
                x, y, w, h = np.rint(np.asarray(box) * scale).astype(int).tolist()
                cv2.rectangle(canvas, (x, y), (x + w, y + h), colour, 2)
        for line, (tracker, colour) in enumerate(zip(trackers, COLOURS, strict=False)):
            where = (6, size[1] - 8 - 18 * line)
            for thick, ink in ((3, (0, 0, 0)), (1, colour)):
                font = cv2.FONT_HERSHEY_SIMPLEX
                cv2.putText(canvas, tracker.label, where, font, 0.45, ink, thick, cv2.LINE_AA)
        pictures.append(Image.fromarray(canvas))
    pictures[0].save(
        out, save_all=True, append_images=pictures[1:], duration=40, loop=0, quality=60
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
