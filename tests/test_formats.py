"""The six layouts: what is written is read back, official quirks, and bad input named by file and
line.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from siamla.data.formats import LAYOUTS, lasot, text, vot
from siamla.errors import UserError
from siamla.miniatures.dataset import WRITERS
from siamla.sequence import Sequence

shared = Path(__file__).parents[2] / "shared"
ATTRIBUTES = {"otb": {"IV", "OCC"}, "lasot": {"POC", "ARC"}, "tnl2k": {"AS", "CM"}}


def images(count: int, width: int = 40, height: int = 30) -> list[bytes]:
    frame = np.zeros((height, width, 3), np.uint8)
    return [cv2.imencode(".jpg", frame)[1].tobytes()] * count


def example(name: str, count: int = 5) -> Sequence:
    boxes = np.array([[10.0 + i, 8.0 + i, 12.0, 9.0] for i in range(count)])
    return Sequence(name, (), boxes, np.ones(count, bool))


def make(root: Path, key: str, *names: str) -> None:
    for name in names:
        sequence = replace(example(name), attributes=frozenset(ATTRIBUTES.get(key, ())))
        WRITERS[key].write(root, sequence, images(5))
    WRITERS[key].finish(root, names)


@pytest.mark.parametrize("key", WRITERS)
def test_written_sequence_is_read_back(tmp_path: Path, key: str) -> None:
    make(tmp_path, key, "ball-1", "cat-2")
    layout = LAYOUTS[key]
    assert layout.names(tmp_path) == ["ball-1", "cat-2"]
    found = layout.read(tmp_path, "cat-2")
    np.testing.assert_allclose(found.boxes, example("cat-2").boxes)
    assert len(found) == 5
    assert all(path.is_file() for path in found.frames)
    assert [path.name for path in found.frames] == sorted(path.name for path in found.frames)
    assert found.visible.all()
    assert found.attributes == ATTRIBUTES.get(key, set())


@pytest.mark.parametrize("key", LAYOUTS)
def test_missing_and_empty_roots_say_what_belongs_there(tmp_path: Path, key: str) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError, match=r"expected .*layout"):
            LAYOUTS[key].names(root)


def test_trackingnet_first_frame_only_and_numeric_order(tmp_path: Path) -> None:
    sequence = example("abc_0", 12)
    first = replace(sequence, boxes=sequence.boxes[:1])
    WRITERS["trackingnet"].write(tmp_path, first, images(12, 8, 8))
    read = LAYOUTS["trackingnet"].read
    found = read(tmp_path, "abc_0")
    assert [path.stem for path in found.frames] == [str(n) for n in range(12)]
    assert found.boxes.shape == (1, 4)
    whole = tmp_path / "anno_full/abc_0.txt"
    text.write_boxes(whole, sequence.boxes, 0)
    np.testing.assert_allclose(read(tmp_path, "abc_0").boxes, sequence.boxes, atol=1e-4)
    text.write_boxes(whole, sequence.boxes + 1, 0)
    with pytest.raises(UserError, match=r"anno_full/abc_0.txt: contradicts .*anno/abc_0.txt"):
        read(tmp_path, "abc_0")
    (tmp_path / "frames/extra").mkdir()
    with pytest.raises(UserError, match="'extra' has no annotation"):
        LAYOUTS["trackingnet"].names(tmp_path)


def test_lasot_takes_the_names_of_its_list(tmp_path: Path) -> None:
    make(tmp_path, "lasot", "airplane-9", "airplane-2", "airplane-1")
    assert lasot.names(tmp_path) == ["airplane-9", "airplane-2", "airplane-1"]
    (tmp_path / "testing_set.txt").write_text("airplane-1\nbus-5\n")
    with pytest.raises(UserError, match=r"testing_set.txt: 1 listed .* 'bus-5'"):
        lasot.names(tmp_path)


def test_vot_polygons_and_tags(tmp_path: Path) -> None:
    polygons = np.array([[10, 0, 20, 10, 10, 20, 0, 10]] * 3, float)
    tags = {"occlusion": np.array([False, True, False])}
    bag = replace(example("bag", 3), polygons=polygons, frame_attributes=tags)
    WRITERS["vot"].write(tmp_path, bag, images(3))
    found = vot.read(tmp_path, "bag")
    np.testing.assert_array_equal(found.polygons, polygons)
    side = np.sqrt(200)  # the diamond's area is 200: the square of equal area about (10, 10)
    np.testing.assert_allclose(found.boxes[0], [10 - side / 2, 10 - side / 2, side, side])
    np.testing.assert_array_equal(found.frame_attributes["occlusion"], tags["occlusion"])
    assert set(found.frame_attributes) == set(vot.TAGS)
    (tmp_path / "bag/occlusion.tag").write_text("0\n1\n")  # files that end early are filled
    seen = vot.read(tmp_path, "bag").frame_attributes["occlusion"]
    assert seen.tolist() == [False, True, False]
